//! What happened at each step, as JSON Lines: of a run that was resumed, too.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use unforget::Result;
use unforget::guard::report::curves::{Curve, Table, render};

/// The file.
#[derive(Debug)]
pub struct Diary {
    pub path: PathBuf,
}

impl Diary {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Drops what an earlier run wrote after its step `steps`: it is done again.
    pub fn begin(&self, steps: usize) -> Result<()> {
        let text = fs_err::read_to_string(&self.path).unwrap_or_default();
        let is_before = |line: &&str| {
            let row: Option<Value> = serde_json::from_str(line).ok();
            row.is_some_and(|row| {
                row["step"]
                    .as_u64()
                    .is_some_and(|step| step <= steps as u64)
            })
        };
        let kept: String = (text.lines().filter(is_before))
            .flat_map(|line| [line, "\n"])
            .collect();
        Ok(fs_err::write(&self.path, kept)?)
    }

    /// Appends a step or a look.
    pub fn write(&self, what: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(what).map_err(std::io::Error::from)?;
        let mut file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        Ok(writeln!(file, "{text}")?)
    }

    /// A page of how the run went.
    pub fn page(&self, name: &str, tables: &[Table], facts: &[(String, String)]) -> Result<String> {
        let text = fs_err::read_to_string(&self.path)?;
        let rows: Vec<Value> = (text.lines())
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let curve = |title: &str, words: &str, figure: fn(&Value) -> Option<f64>| Curve {
            title: title.to_owned(),
            words: words.to_owned(),
            points: (rows.iter())
                .filter_map(|row| Some((row["step"].as_f64()?, figure(row)?)))
                .collect(),
        };
        let curves = [
            curve(
                "Answers",
                "Cross-entropy of the rows that are learnt, in nats a token.",
                |row| row["loss"].as_f64(),
            ),
            curve(
                "Replay",
                "How far the adapter is from the base's own answers, in nats a token.",
                |row| row["kl"].as_f64(),
            ),
            curve(
                "Held-back rows",
                "Share of rows that were not learnt from, and are answered rightly.",
                |row| {
                    Some(row["held_back"]["right"].as_f64()? / row["held_back"]["rows"].as_f64()?)
                },
            ),
            curve(
                "Retention",
                "Share of places in the guard's texts where the adapter holds the same token likeliest as the base; of the text \
                 where that is least.",
                |row| row["guard"]["retention"].as_f64(),
            ),
            curve(
                "Divergence in the guard's texts",
                "Mean divergence from the base, in nats a token; of the text where it is largest.",
                |row| row["guard"]["kl"].as_f64(),
            ),
            curve(
                "Learning rate",
                "Up in a line, down along half a cosine.",
                |row| row["rate"].as_f64(),
            ),
        ];
        let title = format!("training of {name}");
        Ok(render(&title, &curves, tables, facts))
    }
}
