//! Checking a collection: is the database whole, and do its rows still say what the files say.

use std::path::{Path, PathBuf};

use super::collection::Collection;
use super::embed::is_unit;
use super::files::{FileContent, MAX_FILE_BYTES};
use super::position::Span;
use super::rows::ChunkRow;
use super::vectors::floats;
use crate::Result;

/// A document whose file is not what was added.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Stale {
    /// Number of the document.
    pub document: i64,
    /// The file.
    pub path: PathBuf,
    /// What became of it.
    pub reason: String,
}

/// What checking found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct VerifyReport {
    /// Whether there are no problems. Stale documents are none: `sync` updates them.
    pub ok: bool,
    /// Documents that were checked.
    pub documents: usize,
    /// Chunks that were checked.
    pub chunks: usize,
    /// What is wrong inside of the database.
    pub problems: Vec<String>,
    /// Documents to add again.
    pub stale: Vec<Stale>,
}

impl Collection {
    /// Checks everything: SQLite's own integrity, links between rows, the full-text index, every vector, and for each
    /// file that has not changed every byte range.
    ///
    /// # Errors
    ///
    /// When the database cannot be read at all; what is found wrong is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        self.verify_database(&mut report)?;
        self.verify_vectors(&mut report)?;
        for document in self.documents()? {
            report.documents += 1;
            let path = Path::new(&document.path);
            let chunks = self.store().chunks_of(document.id)?;
            report.chunks += chunks.len();
            let limit = MAX_FILE_BYTES.max(document.bytes);
            let reason = match FileContent::read(path, limit) {
                Err(skipped) => skipped.reason,
                Ok(file) if file.sha256 != document.sha256 => "changed since it was added".into(),
                Ok(file) => {
                    let is_there = |chunk: &&ChunkRow| {
                        let said = file.bytes.get(chunk.start..chunk.end);
                        match chunk.position.span {
                            Span::Exact => said == Some(chunk.text.as_bytes()),
                            Span::Covering => said.is_some(),
                            // Bytes of a text that only the parser has seen.
                            Span::Extracted => true,
                        }
                    };
                    let differs = chunks.iter().filter(|chunk| !is_there(chunk));
                    report.problems.extend(differs.map(|chunk| {
                        format!(
                            "chunk {} is not what {} says there",
                            chunk.id, document.path
                        )
                    }));
                    continue;
                }
            };
            report.stale.push(Stale {
                document: document.id,
                path: path.to_owned(),
                reason,
            });
        }
        report.ok = report.problems.is_empty();
        Ok(report)
    }

    fn verify_database(&self, report: &mut VerifyReport) -> Result<()> {
        let store = self.store();
        let lines: Vec<String> = store.read(|conn| {
            conn.prepare("PRAGMA integrity_check")?
                .query_map([], |row| row.get(0))?
                .collect()
        })?;
        report
            .problems
            .extend(lines.into_iter().filter(|line| line != "ok"));
        let unlinked: i64 = store.read(|conn| {
            conn.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
                row.get(0)
            })
        })?;
        if unlinked > 0 {
            report
                .problems
                .push(format!("{unlinked} rows belong to none"));
        }
        let missing: i64 = store.read(|conn| {
            conn.query_row(
                "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk FROM vectors)",
                [],
                |row| row.get(0),
            )
        })?;
        if missing > 0 {
            report
                .problems
                .push(format!("{missing} chunks have no vector"));
        }
        // The check is written as an insertion, which a read-only disk refuses.
        if store.read(|conn| conn.is_readonly("main"))? {
            return Ok(());
        }
        let words = store.read(|conn| {
            conn.execute(
                "INSERT INTO words (words, rank) VALUES ('integrity-check', 1)",
                [],
            )
        });
        if let Err(error) = words {
            report
                .problems
                .push(format!("the full-text index: {error}"));
        }
        Ok(())
    }

    fn verify_vectors(&self, report: &mut VerifyReport) -> Result<()> {
        let bytes = self.embedder().dimension * size_of::<f32>();
        self.store().each_vector(i64::MIN, |id, blob| {
            let unit = || is_unit(&floats(blob).collect::<Vec<_>>());
            if blob.len() != bytes || !unit() {
                report
                    .problems
                    .push(format!("the vector of chunk {id} is not usable"));
            }
            true
        })
    }
}
