//! What came of a run: for people, as JSON, and beside PEFT's files.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use unforget::Result;
use unforget::engine::{ContentHash, memory_use};
use unforget::guard::report::curves::Table;
use unforget::registry::AdapterRecord;
use unforget::train::{Evaluation, StepReport};

use super::learn::Trained;
use crate::cli::check::{self, Judged};
use crate::cli::output;
use crate::cli::versions::Scored;

/// A run that is over, and what is known of the adapter.
pub struct Finished<'a> {
    pub record: &'a AdapterRecord,
    pub peft: &'a Path,
    pub trained: &'a Trained,
    pub judged: Option<&'a Judged>,
    pub versions: Option<&'a Scored>,
}

/// The result, as JSON.
#[derive(Serialize)]
pub struct Json<'a> {
    adapter: &'a str,
    sha256: ContentHash,
    path: &'a Path,
    peft: &'a Path,
    steps: usize,
    scale: f32,
    seconds_per_step: f64,
    peak_rss_bytes: u64,
    held_back: &'a Option<Evaluation>,
    last: &'a Option<StepReport>,
    /// As `unforget check` says it.
    check: Option<check::Json<'a>>,
    /// As `unforget versions` says it.
    versions: Option<&'a Scored>,
}

/// Says that the adapter is there.
pub fn announce(name: &str, trained: &Trained) {
    output::note(&format!(
        "trained {name} in {} steps, {:.2} s a step, {} at most; use it with: unforget run --adapter {name} \"..\"",
        trained.steps,
        trained.seconds_per_step,
        output::megabytes(memory_use().peak_rss_bytes)
    ));
}

impl Finished<'_> {
    pub fn json(&self) -> Json<'_> {
        let trained = self.trained;
        Json {
            adapter: &self.record.name,
            sha256: self.record.sha256,
            path: &self.record.path,
            peft: self.peft,
            steps: trained.steps,
            scale: trained.scale,
            seconds_per_step: trained.seconds_per_step,
            peak_rss_bytes: memory_use().peak_rss_bytes,
            held_back: &trained.evaluation,
            last: &trained.last,
            check: self.judged.map(Judged::json),
            versions: self.versions,
        }
    }

    pub fn print(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        if let Some(judged) = self.judged {
            judged.print(out)?;
        }
        if let Some(versions) = self.versions {
            writeln!(out)?;
            versions.print(out)?;
        }
        Ok(())
    }

    /// Writes how the adapter was made and judged beside PEFT's files: for machines, and as a page with plots.
    pub fn write(&self) -> Result<()> {
        let check = self.judged.map(|judged| {
            let said = judged.json();
            json!({"certificate": said.id, "tier": said.tier, "verdict": judged.verdict()})
        });
        let all = json!({
            "sha256": self.record.sha256,
            "training": self.trained.provenance,
            "check": check,
            "versions": self.versions,
        });
        fs_err::write(self.peft.join("unforget.json"), format!("{all:#}\n"))?;
        let mut facts = Vec::new();
        flatten(
            "",
            &json!({"training": self.trained.provenance, "check": check}),
            &mut facts,
        );
        let tables: Vec<Table> = self
            .versions
            .iter()
            .flat_map(|versions| tables(versions))
            .collect();
        let page = self
            .trained
            .diary
            .page(&self.record.name, &tables, &facts)?;
        Ok(fs_err::write(self.peft.join("training.html"), page)?)
    }
}

/// What each version kept of the tasks before it.
fn tables(versions: &Scored) -> [Table; 2] {
    let (header, rows) = versions.table();
    let figures = versions.figures().into_iter();
    [
        Table {
            title: "Versions on their tasks".to_owned(),
            words: "Share of rows that are answered rightly, of those that were held back of each task. A row for each \
                    version, in the order in which they were trained."
                .to_owned(),
            header: header.into_iter().map(str::to_owned).collect(),
            rows,
        },
        Table {
            title: "What was kept over versions".to_owned(),
            words: "Backward transfer is below 0 where earlier tasks were forgotten, forgetting is above 0.".to_owned(),
            header: vec!["figure".to_owned(), "share".to_owned()],
            rows: figures.map(|(name, figure)| vec![name.to_owned(), figure]).collect(),
        },
    ]
}

/// The leaves of a JSON object, by their paths.
fn flatten(path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}{}{key}", if path.is_empty() { "" } else { " " });
                flatten(&path, value, into);
            }
        }
        Value::String(text) => into.push((path.to_owned(), text.clone())),
        other => into.push((path.to_owned(), other.to_string())),
    }
}
