//! Checking a collection: is the database whole, is the index file made of it, and do its rows still say what the files
//! say.
//!
//! Mending is `repair`'s.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::ann::Frozen;
use super::collection::Collection;
use super::embed::is_unit;
use super::files::{FileContent, MAX_FILE_BYTES};
use super::index::FLAT_LIMIT;
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
    /// What is wrong inside of the collection.
    pub problems: Vec<String>,
    /// What was wrong and was made anew from what is sound.
    pub repaired: Vec<String>,
    /// Documents to add again.
    pub stale: Vec<Stale>,
    /// What the problems are in.
    #[serde(skip)]
    pub(super) broken: BTreeSet<Part>,
}

/// What can be made anew on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Rows that belong to none.
    Rows,
    /// The full-text index, from the chunks.
    Words,
    /// The index file, from the vectors.
    Index,
    /// Vectors, from the text: an embedder is needed.
    Vectors,
    /// The database itself: nothing to make it from.
    Database,
}

impl VerifyReport {
    fn problem(&mut self, part: Part, what: String) {
        self.broken.insert(part);
        self.problems.push(what);
    }
}

impl Collection {
    /// Checks everything: SQLite's own integrity, links between rows, the full-text index, every vector, every byte of the
    /// index file, and for each file that has not changed every byte range. Changes nothing.
    ///
    /// # Errors
    ///
    /// When the database cannot be read at all; what is found wrong is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        self.verify_database(&mut report)?;
        self.verify_vectors(&mut report)?;
        self.verify_index(&mut report)?;
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
                    for chunk in differs {
                        let (chunk, path) = (chunk.id, &document.path);
                        report.problem(
                            Part::Database,
                            format!("chunk {chunk} is not what {path} says there"),
                        );
                    }
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
        for line in lines.into_iter().filter(|line| line != "ok") {
            report.problem(Part::Database, line);
        }
        let unlinked: i64 = store.read(|conn| {
            conn.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
                row.get(0)
            })
        })?;
        if unlinked > 0 {
            report.problem(Part::Rows, format!("{unlinked} rows belong to none"));
        }
        let missing: i64 = store.read(|conn| {
            conn.query_row(
                "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk FROM vectors)",
                [],
                |row| row.get(0),
            )
        })?;
        if missing > 0 {
            report.problem(Part::Vectors, format!("{missing} chunks have no vector"));
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
            report.problem(Part::Words, format!("the full-text index: {error}"));
        }
        Ok(())
    }

    fn verify_vectors(&self, report: &mut VerifyReport) -> Result<()> {
        let bytes = self.embedder().dimension * size_of::<f32>();
        self.store().each_vector(i64::MIN, |id, blob| {
            let unit = || is_unit(&floats(blob).collect::<Vec<_>>());
            if blob.len() != bytes || !unit() {
                let what = format!("the vector of chunk {id} is not usable");
                report.problem(Part::Vectors, what);
            }
            true
        })
    }

    /// The index file against the rows: every vector that it should have, as the row holds it, and none beside those that
    /// have left since.
    fn verify_index(&self, report: &mut VerifyReport) -> Result<()> {
        let store = self.store();
        let file = |what: &str| format!("the index file: {what}");
        let frozen: Frozen = match self.open_index()? {
            Ok(opened) => opened,
            // A small collection does without.
            Err(_) if store.count_vectors()? <= FLAT_LIMIT => return Ok(()),
            Err(reason) => {
                report.problem(Part::Index, file(&reason.to_string()));
                return Ok(());
            }
        };
        if let Err(reason) = frozen.check() {
            report.problem(Part::Index, file(&reason.to_string()));
            return Ok(());
        }
        let (mut same, mut different, mut missing) = (0, 0, 0);
        let last = frozen.last_id().unwrap_or(i64::MIN);
        store.each_vector(i64::MIN, |id, blob| {
            match frozen.find(id).map(|node| frozen.holds(node, blob)) {
                Some(true) => same += 1,
                Some(false) => different += 1,
                None => missing += usize::from(id <= last),
            }
            true
        })?;
        let left = store.gone_since(0)?;
        let left: BTreeSet<u32> = left.iter().filter_map(|&id| frozen.find(id)).collect();
        let extra = frozen.len().saturating_sub(same + different + left.len());
        for (count, what) in [
            (different, "vectors are not those of the database"),
            (missing, "vectors are missing"),
            (extra, "vectors are of no chunk"),
        ] {
            if count > 0 {
                report.problem(Part::Index, file(&format!("{count} {what}")));
            }
        }
        Ok(())
    }
}
