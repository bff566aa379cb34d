//! The rows that are learnt from: read, looked over, split.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::json;
use unforget::guard::check::overlap_with;
use unforget::guard::suite::Suite;
use unforget::rag::personal_data;
use unforget::train::{Row, Rows};
use unforget::{Error, Result};

use super::args::Args;
use crate::cli::output::warn;

/// One answer to more than this share of the rows is probably a mistake in the data.
const SKEWED: f64 = 0.8;
/// Fewer rows say nothing of skew.
const FEW_ROWS: usize = 20;

/// Rows on both sides of the split.
pub struct Data {
    pub rows: Rows,
    pub learnt: Vec<Row>,
    pub held: Vec<Row>,
}

impl Data {
    /// Reads the file, and warns of what is probably not meant.
    pub fn read(args: &Args) -> Result<Self> {
        let rows = Rows::read(&args.data)?;
        let (learnt, held) = rows.split(args.recipe.seed);
        warn_of_duplicates(&rows);
        warn_of_skew(&rows);
        warn_of_personal_data(&rows)?;
        warn_of_overlap(&rows)?;
        Ok(Self { rows, learnt, held })
    }

    /// The held-back rows as a file that the guard takes for a task. `None` where none is a plain prompt with its answer.
    pub fn task(&self, folder: &Path) -> Result<Option<tempfile::TempPath>> {
        let lines = task_lines(&self.held);
        if lines.is_empty() {
            return Ok(None);
        }
        file(folder, "held-back.", ".jsonl", &lines).map(Some)
    }

    /// The rows that are learnt from as a file of texts, a line each, to compare with what is measured.
    pub fn learnt_texts(&self, folder: &Path) -> Result<tempfile::TempPath> {
        let line = |row: &Row| format!("{}\n", row.text().replace(['\n', '\r'], " "));
        let lines: String = self.learnt.iter().map(line).collect();
        file(folder, "learnt.", ".txt", &lines)
    }
}

fn file(folder: &Path, prefix: &str, suffix: &str, text: &str) -> Result<tempfile::TempPath> {
    let file = tempfile::Builder::new()
        .prefix(prefix)
        .suffix(suffix)
        .tempfile_in(folder)?
        .into_temp_path();
    fs_err::write(&file, text)?;
    Ok(file)
}

/// Rows as lines that the guard takes for a task: those that are a plain prompt with its answer.
pub fn task_lines(rows: &[Row]) -> String {
    rows.iter()
        .filter_map(|row| {
            let (prompt, target) = row.pair()?;
            let id = format!("line/{}", row.line);
            let line = json!({"id": id, "prompt": prompt, "target": target});
            Some(format!("{line}\n"))
        })
        .collect()
}

/// Bytes of a text of the user's: all of it is read, and two hundred paragraphs of it are taken.
const MAX_GENERAL_BYTES: u64 = 64 << 20;

/// The user's own general text.
pub fn general(path: &Path) -> Result<String> {
    let refused = |expected: String| Error::InvalidArgument {
        what: "general text",
        value: path.display().to_string(),
        expected,
    };
    let bytes = fs_err::metadata(path)?.len();
    if bytes > MAX_GENERAL_BYTES {
        return Err(refused(format!(
            "at most {MAX_GENERAL_BYTES} bytes, not {bytes}"
        )));
    }
    let text = String::from_utf8(fs_err::read(path)?)
        .map_err(|_| refused("plain text in UTF-8".to_owned()))?;
    match text.trim() {
        "" => Err(refused(
            "paragraphs with an empty line between them".to_owned(),
        )),
        _ => Ok(text),
    }
}

fn warn_of_duplicates(rows: &Rows) {
    if let Some(one) = rows.duplicates.first() {
        warn(&format!(
            "{} of the lines say what a line before says (line {} what line {} does); they are left out",
            rows.duplicates.len(),
            one.line,
            one.first
        ));
    }
}

fn warn_of_skew(rows: &Rows) {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for row in &rows.rows {
        let answer = row.messages.last().map_or("", |last| &last.content);
        counts.entry(answer).or_insert((0, row.line)).0 += 1;
    }
    let n = rows.rows.len();
    let most = counts
        .values()
        .max_by_key(|(count, line)| (*count, usize::MAX - line));
    if let Some((count, line)) = most
        && n >= FEW_ROWS
        && *count as f64 > SKEWED * n as f64
    {
        warn(&format!(
            "{count} of {n} rows have the same answer, that of line {line}: the adapter may learn to say nothing else"
        ));
    }
}

fn warn_of_personal_data(rows: &Rows) -> Result<()> {
    let texts: Vec<String> = rows.rows.iter().map(Row::text).collect();
    let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (row, counts) in rows
        .rows
        .iter()
        .zip(personal_data(texts.iter().map(String::as_str))?)
    {
        for (kind, count) in counts {
            found.entry(kind).or_insert((0, row.line)).0 += count;
        }
    }
    if !found.is_empty() {
        let kinds = found.iter().map(|(kind, (count, line))| {
            format!("{count} {} (first in line {line})", kind.to_lowercase())
        });
        warn(&format!(
            "the rows hold what looks like personal data or keys, which an adapter can give away: {}",
            kinds.collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(())
}

fn warn_of_overlap(rows: &Rows) -> Result<()> {
    let texts: Vec<String> = rows.rows.iter().map(Row::text).collect();
    let overlap = overlap_with(&Suite::builtin()?, &texts);
    if let Some(first) = overlap.ids.first() {
        warn(&format!(
            "{} items of the guard's suites stand in the rows, such as {first}: what is learnt from says nothing of what is kept",
            overlap.ids.len()
        ));
    }
    Ok(())
}
