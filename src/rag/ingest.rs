//! Adding files: read, cut, embed, commit, one document at a time.
//!
//! A document is embedded before its transaction begins, so the database is never locked for long, and a stop at any
//! moment, Ctrl-C or kill -9, costs at most the document in flight. What did not change is not embedded again: not a
//! file with the same sha256, and not a chunk with the same text in a file that changed.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::chunk::{CHUNK_TOKENS, Chunk, Chunking, OVERLAP_TOKENS, chunk};
use super::collection::Collection;
use super::embed::{Embed, embed_checked};
use super::files::{MAX_FILE_BYTES, Skipped, TextFile, TextFormat, resolve, walk};
use super::index::Patience;
use super::store::{Known, NewChunk, NewDocument};
use super::vectors;
use crate::{Error, Result};

/// Chunks that are handed to the embedder at once: enough to fill its batches, few enough to stop soon.
const BATCH: usize = 32;

/// How to read files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestOptions {
    /// Size of a chunk in tokens.
    pub chunk_tokens: usize,
    /// What neighbouring chunks share, in tokens.
    pub overlap_tokens: usize,
    /// Largest file to read.
    pub max_file_bytes: u64,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            chunk_tokens: CHUNK_TOKENS,
            overlap_tokens: OVERLAP_TOKENS,
            max_file_bytes: MAX_FILE_BYTES,
        }
    }
}

/// What came of adding files.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct IngestReport {
    /// Documents that are new.
    pub added: usize,
    /// Documents that are as they were.
    pub unchanged: usize,
    /// Documents whose file had changed.
    pub updated: usize,
    /// Documents whose file is gone. Only [`Collection::sync`] removes.
    pub removed: usize,
    /// Files that were not taken, with the reason.
    pub skipped: Vec<Skipped>,
    /// Chunks that were written.
    pub chunks: usize,
    /// Tokens of those chunks.
    pub tokens: usize,
    /// How long it took.
    pub seconds: f64,
}

/// How far adding has come; reported before each document and after each batch of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file at hand.
    pub path: &'a Path,
    /// Files before it.
    pub files_done: usize,
    /// Files in all.
    pub files: usize,
    /// Chunks of the file that are embedded.
    pub chunks_done: usize,
    /// Chunks of the file; 0 before it is read.
    pub chunks: usize,
}

/// What came of one file.
enum Outcome {
    Unchanged,
    Added { chunks: usize, tokens: usize },
    Updated { chunks: usize, tokens: usize },
}

impl Collection {
    /// Adds files, and what is in folders; updates what changed since it was added before.
    ///
    /// `progress` is called between batches; [`ControlFlow::Break`] stops there, and what is committed stays.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when one of `paths` is not there, [`Error::Interrupted`] when `progress` said so,
    /// [`Error::EmbedderMismatch`] for the wrong model, [`Error::DiskFull`]; otherwise what model or database say.
    pub fn add(
        &mut self,
        paths: &[PathBuf],
        embedder: &mut dyn Embed,
        options: &IngestOptions,
        progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<IngestReport> {
        let roots = resolve(paths)?;
        let sources: Vec<String> = roots.iter().filter_map(|root| utf8(root).ok()).collect();
        self.ingest(&roots, embedder, options, progress, |collection| {
            collection.parts().0.remember_sources(&sources)
        })
    }

    /// Walks everything that was ever added again: takes what is new, updates what changed, removes what is gone.
    ///
    /// # Errors
    ///
    /// As [`Collection::add`].
    pub fn sync(
        &mut self,
        embedder: &mut dyn Embed,
        options: &IngestOptions,
        progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<IngestReport> {
        let sources = self.store().sources()?;
        let roots: Vec<PathBuf> = sources.into_iter().filter(|root| root.exists()).collect();
        let mut report = self.ingest(&roots, embedder, options, progress, |_| Ok(()))?;
        for document in self.store().documents()? {
            let path = Path::new(&document.path);
            // Only what is certainly gone: an unreadable folder, or a file that became binary, is no reason to forget.
            if matches!(path.try_exists(), Ok(false)) {
                self.remove(document.id)?;
                report.removed += 1;
            }
        }
        Ok(report)
    }

    fn ingest(
        &mut self,
        roots: &[PathBuf],
        embedder: &mut dyn Embed,
        options: &IngestOptions,
        progress: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
        prepare: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<IngestReport> {
        let begun = Instant::now();
        self.check_embedder(embedder.id())?;
        let chunking = Chunking::new(options.chunk_tokens, options.overlap_tokens, &*embedder)?;
        prepare(self)?;
        let found = walk(roots);
        let mut report = IngestReport {
            skipped: found.skipped,
            ..IngestReport::default()
        };
        for (files_done, path) in found.files.iter().enumerate() {
            let mut report_chunks = |chunks_done: usize, chunks: usize| {
                let flow = progress(&Progress {
                    path,
                    files_done,
                    files: found.files.len(),
                    chunks_done,
                    chunks,
                });
                if flow.is_break() {
                    return Err(Error::Interrupted);
                }
                Ok(())
            };
            report_chunks(0, 0)?;
            let read = utf8(path)
                .and_then(|name| Ok((name, TextFile::read(path, options.max_file_bytes)?)));
            match read {
                Err(skipped) => {
                    tracing::debug!(path = %path.display(), reason = skipped.reason, "skipped");
                    report.skipped.push(skipped);
                }
                Ok((name, file)) => {
                    match self.take(&name, &file, chunking, embedder, &mut report_chunks)? {
                        Outcome::Unchanged => report.unchanged += 1,
                        Outcome::Added { chunks, tokens } => {
                            report.added += 1;
                            report.chunks += chunks;
                            report.tokens += tokens;
                        }
                        Outcome::Updated { chunks, tokens } => {
                            report.updated += 1;
                            report.chunks += chunks;
                            report.tokens += tokens;
                        }
                    }
                }
            }
        }
        let (store, index) = self.parts();
        store.snapshot(|store| index.refresh(store))?;
        index.settle(Patience::Wait);
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Brings one file into the database.
    fn take(
        &mut self,
        path: &str,
        file: &TextFile,
        chunking: Chunking,
        embedder: &mut dyn Embed,
        report: &mut dyn FnMut(usize, usize) -> Result<()>,
    ) -> Result<Outcome> {
        let label = chunking.label();
        let known = self.store().known(path)?;
        let unchanged = |known: &Known| known.sha256 == file.sha256 && known.chunking == label;
        if known.as_ref().is_some_and(unchanged) {
            return Ok(Outcome::Unchanged);
        }
        let (base, text) = file.text();
        let format = TextFormat::of(Path::new(path));
        let chunks = chunk(text, base, format, chunking, &*embedder);
        let known_vectors = match &known {
            Some(known) => self.known_vectors(known.id)?,
            None => KnownVectors::new(),
        };
        let vectors = embed_all(&chunks, known_vectors, embedder, report)?;
        let n_chunks = chunks.len();
        let tokens = chunks.iter().map(|chunk| chunk.tokens).sum();
        let rows = chunks.iter().zip(vectors).map(|(chunk, vector)| NewChunk {
            start: chunk.bytes.start,
            end: chunk.bytes.end,
            tokens: chunk.tokens,
            heading: &chunk.heading,
            text: chunk.text,
            vector,
        });
        let document = NewDocument {
            path,
            sha256: &file.sha256,
            bytes: file.content().len(),
            chunking: &label,
            chunks: rows.collect(),
        };
        let (store, index) = self.parts();
        store.replace(&document)?;
        index.invalidate();
        let chunks = n_chunks;
        Ok(match known {
            None => Outcome::Added { chunks, tokens },
            Some(_) => Outcome::Updated { chunks, tokens },
        })
    }

    fn known_vectors(&self, document: i64) -> Result<KnownVectors> {
        let rows = self.store().embedded(document)?;
        let keyed = rows.into_iter().map(|(heading, text, bytes)| {
            let vector = vectors::floats(&bytes).collect();
            ((heading, text), vector)
        });
        Ok(keyed.collect())
    }
}

/// Vectors of a document as it was, by heading and text, which together say what was embedded.
type KnownVectors = HashMap<(String, String), Vec<f32>>;

/// The vectors of `chunks`, those that are `known` without asking the model.
fn embed_all(
    chunks: &[Chunk<'_>],
    mut known: KnownVectors,
    embedder: &mut dyn Embed,
    report: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<Vec<Vec<f32>>> {
    let key = |chunk: &Chunk<'_>| (chunk.heading.clone(), chunk.text.to_owned());
    let mut seen = HashSet::new();
    let new: Vec<&Chunk<'_>> = chunks
        .iter()
        .filter(|chunk| !known.contains_key(&key(chunk)) && seen.insert(key(chunk)))
        .collect();
    let mut done = chunks.len() - new.len();
    for batch in new.chunks(BATCH) {
        let texts: Vec<String> = batch
            .iter()
            .map(|chunk| chunk.embedded(&*embedder))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = embed_checked(embedder, &texts)?;
        known.extend(batch.iter().map(|chunk| key(chunk)).zip(vectors));
        done += batch.len();
        report(done, chunks.len())?;
    }
    let vector = |chunk: &Chunk<'_>| known.get(&key(chunk)).cloned();
    let vectors: Option<Vec<_>> = chunks.iter().map(vector).collect();
    vectors.ok_or_else(|| Error::Engine("a chunk was left without a vector".into()))
}

/// The path as text: what a row and a citation hold.
fn utf8(path: &Path) -> std::result::Result<String, Skipped> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Skipped::new(path, "its path is not UTF-8"))
}
