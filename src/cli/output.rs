//! Standard output: text for people, or exactly one JSON object. Errors and notes go to stderr.

use std::io::Write;

use serde::Serialize;
use unforget::engine::TextDivergence;
use unforget::{Error, Result};

/// How a command reports.
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for: then nothing else may go to stdout.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints the command's result: as JSON, or as the text that `text` writes.
    pub fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut stdout, value).map_err(std::io::Error::from)?;
            writeln!(stdout)?;
        } else {
            text(&mut stdout)?;
        }
        Ok(stdout.flush()?)
    }

    /// Prints a piece of an answer at once. Only for text output.
    pub fn piece(&self, text: &str) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }
}

/// A remark for the person, not part of the result.
#[allow(clippy::print_stderr)]
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// A remark that should not be missed.
pub fn warn(text: &str) {
    note(&format!("warning: {text}"));
}

/// The one place where errors are printed.
pub fn print_error(error: &Error) {
    note(&format!("error: {error}"));
}

/// The last part of a path, for a line with little room.
pub fn file_name(path: &std::path::Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Bytes for people: 98,362,432 is `98.4 MB`.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// How far a file is from the one it was made from, for people.
pub fn divergence(found: &TextDivergence) -> String {
    format!(
        "mean KL {:.4}, perplexity {:+.1} %, {:.1} % the same likeliest token, over {} tokens of text",
        found.kl_mean,
        100.0 * (found.ln_perplexity_ratio.exp() - 1.0),
        100.0 * found.top1_agreement,
        found.n_tokens
    )
}

/// A table with left-aligned columns, as wide as they need to be; the last column is not padded.
pub fn table(out: &mut dyn Write, header: &[&str], rows: &[Vec<String>]) -> std::io::Result<()> {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .chain(header.get(column).map(|cell| cell.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let header = header
        .iter()
        .map(|&cell| cell.to_owned())
        .collect::<Vec<_>>();
    for row in std::iter::once(&header).chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
