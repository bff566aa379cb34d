//! A retrieval benchmark in BEIR's layout: `corpus.jsonl`, `queries.jsonl` and `qrels/*.tsv`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Longest line, 4 MiB: a document of a million words. A file without line ends must not fill the memory.
const MAX_LINE: u64 = 4 << 20;

/// A document of the corpus.
#[derive(Debug, Deserialize)]
pub struct BeirDocument {
    /// Its name in the judgements.
    #[serde(rename = "_id")]
    pub id: String,
    /// Title, perhaps empty.
    #[serde(default)]
    pub title: String,
    /// What it says.
    pub text: String,
}

/// A question.
#[derive(Debug, Clone, Deserialize)]
pub struct BeirQuery {
    /// Its name in the judgements.
    #[serde(rename = "_id")]
    pub id: String,
    /// The question.
    pub text: String,
    /// The short answer, where the benchmark has one.
    pub answer: Option<String>,
}

/// A benchmark, read whole.
#[derive(Debug)]
pub struct Beir {
    /// The corpus, in the order of the file.
    pub documents: Vec<BeirDocument>,
    /// The queries, in the order of the file.
    pub queries: Vec<BeirQuery>,
    /// Relevance by query id, then document id.
    pub judgements: HashMap<String, HashMap<String, u32>>,
}

impl Beir {
    /// Reads the benchmark in `folder` with the judgements of `split`; without one those of `test`, or the first by name.
    ///
    /// # Errors
    /// [`Error::Io`] for a missing file, [`Error::InvalidArgument`] naming file and line where one is not in the layout.
    pub fn read(folder: &Path, split: Option<&str>) -> Result<Self> {
        let qrels = folder.join("qrels");
        let judged = match split {
            Some(split) => qrels.join(format!("{split}.tsv")),
            None => judgement_file(&qrels)?,
        };
        Ok(Self {
            documents: json_lines(&folder.join("corpus.jsonl"))?,
            queries: json_lines(&folder.join("queries.jsonl"))?,
            judgements: judgements(&judged)?,
        })
    }
}

fn json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut rows = Vec::new();
    each_line(path, |number, line| {
        let row =
            serde_json::from_str(line).map_err(|error| wrong(path, number, &error.to_string()))?;
        rows.push(row);
        Ok(())
    })?;
    Ok(rows)
}

fn judgement_file(folder: &Path) -> Result<PathBuf> {
    let test = folder.join("test.tsv");
    if test.is_file() {
        return Ok(test);
    }
    let mut files: Vec<PathBuf> = fs_err::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "tsv"))
        .collect();
    files.sort_unstable();
    files
        .into_iter()
        .next()
        .ok_or_else(|| Error::InvalidArgument {
            what: "folder of judgements",
            value: folder.display().to_string(),
            expected: "a file test.tsv with query, document and score".to_owned(),
        })
}

fn judgements(path: &Path) -> Result<HashMap<String, HashMap<String, u32>>> {
    let mut judgements: HashMap<String, HashMap<String, u32>> = HashMap::new();
    each_line(path, |number, line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [query, document, score] = fields[..] else {
            return Err(wrong(
                path,
                number,
                "three fields with tabs between are expected",
            ));
        };
        match score.trim().parse::<i64>() {
            // Judged as not relevant, with some as less than that.
            Ok(score) => {
                let score = u32::try_from(score).unwrap_or(0);
                let of_query = judgements.entry(query.to_owned()).or_default();
                of_query.insert(document.to_owned(), score);
                Ok(())
            }
            Err(_) if number == 1 => Ok(()), // the header
            Err(_) => Err(wrong(path, number, "the score is not a whole number")),
        }
    })?;
    Ok(judgements)
}

/// Hands each line that is not blank to `take`, with its number from 1.
fn each_line(path: &Path, mut take: impl FnMut(usize, &str) -> Result<()>) -> Result<()> {
    let mut reader = BufReader::new(fs_err::File::open(path)?);
    for number in 1.. {
        let mut line = Vec::new();
        reader
            .by_ref()
            .take(MAX_LINE + 1)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if line.len() as u64 > MAX_LINE {
            return Err(wrong(path, number, "it is longer than 4 MiB"));
        }
        let line =
            std::str::from_utf8(&line).map_err(|error| wrong(path, number, &error.to_string()))?;
        if !line.trim().is_empty() {
            take(number, line.trim_end_matches(['\n', '\r']))?;
        }
    }
    Ok(())
}

fn wrong(path: &Path, line: usize, reason: &str) -> Error {
    Error::InvalidArgument {
        what: "benchmark",
        value: format!("{}, line {line}", path.display()),
        expected: format!("BEIR's layout: {reason}"),
    }
}
