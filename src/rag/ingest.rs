//! Adding files: read, cut, embed, commit.
//!
//! Files are read ahead until there is a window of passages to embed, which are embedded sorted by length, whatever file
//! they are from, so that the embedder's batches are full. Each batch is committed as soon as it is there (`pending`), and
//! each document, whole, as soon as it has all its vectors: a stop at any moment, Ctrl-C or kill -9, costs at most the
//! batch in flight. What did not change is not read (same size and time), or not embedded (same sha256; same passage,
//! anywhere in the collection).

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::chunk::{CHUNK_TOKENS, Chunking, OVERLAP_TOKENS, chunk_parsed, embedded};
use super::collection::Collection;
use super::embed::{Embed, embed_checked};
use super::files::{FileContent, MAX_FILE_BYTES, Skipped, Stat, TextFormat, resolve, walk};
use super::index::Patience;
use super::parsed::Parsed;
use super::pending::Key;
use super::position::Position;
use super::redact::{Redacted, Redactor};
use super::store::{Known, NewChunk, NewDocument, Store};
use super::tags::check_tags;
use crate::{Error, Result};

/// Chunks that are handed to the embedder at once: enough to fill its batches, few enough to stop soon.
const BATCH: usize = 32;

/// Chunks that are gathered from several files before they are sorted by length: four batches, so that each is of like
/// length, and a document waits for seconds at most.
const WINDOW: usize = 4 * BATCH;

/// How to read files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestOptions {
    /// Size of a chunk in tokens.
    pub chunk_tokens: usize,
    /// What neighbouring chunks share, in tokens.
    pub overlap_tokens: usize,
    /// Largest file to read.
    pub max_file_bytes: u64,
    /// Whether to replace e-mail addresses, phone and card numbers, IBANs and keys by tokens. A collection that was
    /// begun with it keeps to it, whatever is said here.
    pub redact: bool,
    /// Tags for all that is at and below the paths that are added, what comes later too; a search can ask for one.
    pub tags: Vec<String>,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            chunk_tokens: CHUNK_TOKENS,
            overlap_tokens: OVERLAP_TOKENS,
            max_file_bytes: MAX_FILE_BYTES,
            redact: false,
            tags: Vec::new(),
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
    /// Documents whose file was moved; their vectors stayed.
    pub moved: usize,
    /// Documents whose file is gone. Only [`Collection::sync`] removes.
    pub removed: usize,
    /// Files that were not taken, with the reason.
    pub skipped: Vec<Skipped>,
    /// Chunks that were written.
    pub chunks: usize,
    /// Tokens of those chunks.
    pub tokens: usize,
    /// Chunks that the embedder was asked for; the others were known.
    pub embedded: usize,
    /// What was redacted in the files that were read, by kind.
    pub redacted: Redacted,
    /// How long it took.
    pub seconds: f64,
}

/// How far adding has come; reported before each file, after each batch of chunks, and before each document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file at hand.
    pub path: &'a Path,
    /// Files before it.
    pub files_done: usize,
    /// Files in all.
    pub files: usize,
    /// Chunks of the file that have a vector.
    pub chunks_done: usize,
    /// Chunks of the file; 0 before it is read.
    pub chunks: usize,
    /// Bytes of the files before it.
    pub bytes_done: u64,
    /// Bytes of the file at hand.
    pub file_bytes: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Chunks that were embedded in this run.
    pub embedded: usize,
    /// Tokens that were embedded in this run.
    pub tokens: usize,
    /// What is being done.
    pub stage: Stage,
}

/// What adding is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading and embedding files.
    Files,
    /// Making the index file anew, after all files.
    Indexing {
        /// Vectors that are in it.
        done: usize,
        /// Vectors in all.
        all: usize,
    },
}

type OnProgress<'a> = dyn FnMut(&Progress<'_>) -> ControlFlow<()> + 'a;

impl Collection {
    /// Adds files, and what is in folders; updates what changed since it was added before.
    ///
    /// `progress` is called between batches; [`ControlFlow::Break`] stops there, and what is committed stays.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when one of `paths` is not there, [`Error::Interrupted`] when `progress` said so,
    /// [`Error::EmbedderMismatch`] for the wrong model, [`Error::Busy`] while another process writes,
    /// [`Error::InvalidArgument`] for redaction in a collection that has documents without it, [`Error::DiskFull`];
    /// otherwise what model or database say.
    pub fn add(
        &mut self,
        paths: &[PathBuf],
        embedder: &mut dyn Embed,
        options: &IngestOptions,
        progress: &mut OnProgress<'_>,
    ) -> Result<IngestReport> {
        let roots = resolve(paths)?;
        let sources: Vec<String> = roots.iter().filter_map(|root| utf8(root).ok()).collect();
        self.ingest(&roots, Task::Add(&sources), embedder, options, progress)
    }

    /// Walks everything that was ever added again: takes what is new, updates what changed, removes what is gone. What is
    /// gone is removed first, before anything is embedded.
    ///
    /// # Errors
    ///
    /// As [`Collection::add`].
    pub fn sync(
        &mut self,
        embedder: &mut dyn Embed,
        options: &IngestOptions,
        progress: &mut OnProgress<'_>,
    ) -> Result<IngestReport> {
        let sources = self.store().sources()?;
        let roots: Vec<PathBuf> = sources.into_iter().filter(|root| root.exists()).collect();
        self.ingest(&roots, Task::Sync, embedder, options, progress)
    }

    fn ingest(
        &mut self,
        roots: &[PathBuf],
        task: Task<'_>,
        embedder: &mut dyn Embed,
        options: &IngestOptions,
        progress: &mut OnProgress<'_>,
    ) -> Result<IngestReport> {
        let begun = Instant::now();
        self.check_embedder(embedder.id())?;
        let chunking = Chunking::new(options.chunk_tokens, options.overlap_tokens, &*embedder)?;
        check_tags(&options.tags)?;
        let _lock = self.lock()?;
        let redactor = self.redactor(options.redact)?;
        if let Task::Add(sources) = task {
            self.parts().0.remember_sources(sources)?;
            self.parts().0.tag(sources, &options.tags)?;
        }
        let found = walk(roots);
        let mut report = IngestReport {
            skipped: found.skipped,
            ..IngestReport::default()
        };
        self.settle_gone(&found.files, &task, &mut report)?;
        let sizes = found
            .files
            .iter()
            .map(|path| Stat::of(path).map_or(0, |stat| stat.bytes));
        let ends = sizes.scan(0u64, |sum, size| {
            *sum = sum.saturating_add(size);
            Some(*sum)
        });
        let redacting = if redactor.is_some() { "+redact/1" } else { "" };
        let mut run = Run {
            bytes: std::iter::once(0).chain(ends).collect(),
            files: &found.files,
            label: format!("{}{redacting}", chunking.label()),
            chunking,
            max_file_bytes: options.max_file_bytes,
            redactor,
            collection: self,
            embedder,
            progress,
            report: &mut report,
            queue: VecDeque::new(),
            vectors: HashMap::new(),
            tokens: 0,
        };
        for index in 0..run.files.len() {
            run.take(index)?;
            while run.waiting() >= WINDOW {
                run.embed_window()?;
            }
        }
        while !run.queue.is_empty() {
            run.embed_window()?;
        }
        let tokens = run.tokens;
        let bytes = run.bytes.last().copied().unwrap_or(0);
        let (store, index) = self.parts();
        store.clear_pending()?;
        store.trim_past()?;
        store.snapshot(|store| index.refresh(store))?;
        // Everything is committed: who stops here has all answers, by scanning.
        index.settle(Patience::Wait, &mut |done, all| {
            let flow = progress(&Progress {
                path: found.files.last().map_or(Path::new(""), PathBuf::as_path),
                files_done: found.files.len(),
                files: found.files.len(),
                chunks_done: 0,
                chunks: 0,
                bytes_done: bytes,
                file_bytes: 0,
                bytes,
                embedded: report.embedded,
                tokens,
                stage: Stage::Indexing { done, all },
            });
            flow.is_continue()
        })?;
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The redactor of a collection that has one, or gets one.
    fn redactor(&mut self, wanted: bool) -> Result<Option<Redactor>> {
        let name = self.name().to_owned();
        let (store, _) = self.parts();
        if wanted && store.redaction_key()?.is_none() {
            if !store.all_known()?.is_empty() {
                return Err(Error::InvalidArgument {
                    what: "--redact",
                    value: name,
                    expected:
                        "a new collection, since this one has documents that are not redacted"
                            .into(),
                });
            }
            store.begin_redacting()?;
        }
        store
            .redaction_key()?
            .map(|key| Redactor::new(&key))
            .transpose()
    }

    /// Finds the documents whose file is gone: to the one of `files` with the same content that was not known before,
    /// or altogether.
    fn settle_gone(
        &mut self,
        files: &[PathBuf],
        task: &Task<'_>,
        report: &mut IngestReport,
    ) -> Result<()> {
        let known = self.store().all_known()?;
        let paths: HashSet<&str> = known.iter().map(|known| known.path.as_str()).collect();
        // Only what is certainly gone: an unreadable folder, or a file that became binary, is no reason to forget.
        let is_gone = |known: &&Known| matches!(Path::new(&known.path).try_exists(), Ok(false));
        let mut gone: Vec<&Known> = known.iter().filter(is_gone).collect();
        for path in files {
            if gone.is_empty() {
                break;
            }
            let Some(name) = path.to_str().filter(|name| !paths.contains(name)) else {
                continue;
            };
            let same_size = |stat: Stat| gone.iter().any(|known| known.stat.bytes == stat.bytes);
            if !Stat::of(path).is_ok_and(same_size) {
                continue;
            }
            let Ok(file) = FileContent::read(path, MAX_FILE_BYTES) else {
                continue;
            };
            let parser = TextFormat::of(path).parser();
            let moved = gone
                .iter()
                .position(|known| known.sha256 == file.sha256 && known.parser == parser);
            if let Some(at) = moved {
                let document = gone.swap_remove(at);
                self.parts().0.rename(document.id, name, file.stat)?;
                report.moved += 1;
            }
        }
        if matches!(task, Task::Sync) {
            for document in gone {
                self.forget(document.id)?;
                report.removed += 1;
            }
        }
        Ok(())
    }
}

/// What is being done.
enum Task<'a> {
    /// Adding these paths.
    Add(&'a [String]),
    /// Following all that was added.
    Sync,
}

/// A document that waits for its vectors.
struct Job {
    index: usize,
    path: String,
    is_new: bool,
    sha256: String,
    stat: Stat,
    encoding: &'static str,
    chunks: Vec<Waiting>,
}

/// A chunk of it.
struct Waiting {
    bytes: Range<usize>,
    position: Position,
    heading: String,
    text: String,
    tokens: usize,
    key: Key,
}

/// One run over files.
struct Run<'a> {
    collection: &'a mut Collection,
    embedder: &'a mut dyn Embed,
    progress: &'a mut OnProgress<'a>,
    report: &'a mut IngestReport,
    files: &'a [PathBuf],
    /// Bytes of the files before each, and of all at the end.
    bytes: Vec<u64>,
    chunking: Chunking,
    label: String,
    max_file_bytes: u64,
    redactor: Option<Redactor>,
    queue: VecDeque<Job>,
    /// Vectors of the documents in the queue.
    vectors: HashMap<Key, Vec<f32>>,
    tokens: usize,
}

impl Run<'_> {
    /// Reads one file and puts it into the queue, unless it is as it was.
    fn take(&mut self, index: usize) -> Result<()> {
        let Some(path) = self.files.get(index) else {
            return Ok(());
        };
        self.tell(index, 0, 0)?;
        match self.read(index, path)? {
            Ok(None) => self.report.unchanged += 1,
            Ok(Some(job)) => {
                self.queue.push_back(job);
                self.commit_whole()?;
            }
            Err(skipped) => {
                tracing::debug!(path = %path.display(), reason = skipped.reason, "skipped");
                self.report.skipped.push(skipped);
            }
        }
        Ok(())
    }

    /// The file as a document with what is known of its vectors; nothing if it is as it was.
    fn read(
        &mut self,
        index: usize,
        path: &Path,
    ) -> Result<std::result::Result<Option<Job>, Skipped>> {
        let name = match utf8(path) {
            Ok(name) => name,
            Err(skipped) => return Ok(Err(skipped)),
        };
        let parser = TextFormat::of(path).parser();
        let known = self.collection.store().known(&name)?;
        let known = known.as_ref();
        let same_way = known.filter(|known| known.chunking == self.label && known.parser == parser);
        if let (Some(known), Ok(stat)) = (same_way, Stat::of(path))
            && known.stat == stat
            && stat.modified_at.is_some()
        {
            return Ok(Ok(None));
        }
        let file = match FileContent::read(path, self.max_file_bytes) {
            Ok(file) => file,
            Err(skipped) => return Ok(Err(skipped)),
        };
        if let Some(known) = same_way.filter(|known| known.sha256 == file.sha256) {
            if known.stat != file.stat {
                self.collection.parts().0.touch(known.id, file.stat)?;
            }
            return Ok(Ok(None));
        }
        let mut parsed = match Parsed::read(path, &file.bytes) {
            Ok(parsed) => parsed,
            Err(reason) => return Ok(Err(Skipped::new(path, reason))),
        };
        if let Some(redactor) = &mut self.redactor {
            parsed.redact(redactor);
            for (kind, count) in redactor.take_counts() {
                *self.report.redacted.entry(kind).or_default() += count;
            }
        }
        let chunks: Vec<Waiting> = chunk_parsed(&parsed, self.chunking, &*self.embedder)
            .into_iter()
            .map(|chunk| {
                let (bytes, position) = parsed.locate(chunk.bytes, &file.bytes);
                Waiting {
                    bytes,
                    position,
                    key: Key::of(&chunk.heading, chunk.text),
                    heading: chunk.heading,
                    text: chunk.text.to_owned(),
                    tokens: chunk.tokens,
                }
            })
            .collect();
        if chunks.is_empty() {
            return Ok(Err(Skipped::new(path, "empty")));
        }
        let keys: Vec<Key> = chunks.iter().map(|chunk| chunk.key).collect();
        let dimension = self.embedder.id().dimension;
        let embedded = self.collection.store().embedded(&keys, dimension)?;
        self.vectors.extend(embedded);
        Ok(Ok(Some(Job {
            index,
            path: name,
            is_new: known.is_none(),
            sha256: file.sha256,
            stat: file.stat,
            encoding: parsed.encoding,
            chunks,
        })))
    }

    /// Chunks in the queue that have no vector.
    fn waiting(&self) -> usize {
        let chunks = self.queue.iter().flat_map(|job| &job.chunks);
        chunks
            .filter(|chunk| !self.vectors.contains_key(&chunk.key))
            .count()
    }

    /// Embeds a window of the queue, the oldest first, and writes the documents that are whole then.
    fn embed_window(&mut self) -> Result<()> {
        let mut seen = HashSet::new();
        let chunks = self.queue.iter().flat_map(|job| &job.chunks);
        let new =
            chunks.filter(|chunk| !self.vectors.contains_key(&chunk.key) && seen.insert(chunk.key));
        let mut window: Vec<(Key, usize, String)> = new
            .take(WINDOW)
            .map(|chunk| {
                let text = embedded(&chunk.heading, &chunk.text, &*self.embedder);
                (chunk.key, chunk.tokens, text)
            })
            .collect();
        window.sort_by_key(|(_, tokens, _)| *tokens);
        for batch in window.chunks(BATCH) {
            let texts: Vec<&str> = batch.iter().map(|(_, _, text)| text.as_str()).collect();
            let vectors = embed_checked(self.embedder, &texts)?;
            let keys = batch.iter().map(|(key, ..)| *key);
            let kept: Vec<(Key, Vec<f32>)> = keys.zip(vectors).collect();
            self.collection.parts().0.keep(&kept)?;
            self.vectors.extend(kept);
            self.report.embedded += batch.len();
            self.tokens += batch.iter().map(|(_, tokens, _)| tokens).sum::<usize>();
            if let Some(job) = self.queue.front() {
                let done = job
                    .chunks
                    .iter()
                    .filter(|c| self.vectors.contains_key(&c.key));
                let (index, done, all) = (job.index, done.count(), job.chunks.len());
                // Said once more when it is written.
                if done < all {
                    self.tell(index, done, all)?;
                }
            }
            self.commit_whole()?;
        }
        let needed: HashSet<Key> = {
            let chunks = self.queue.iter().flat_map(|job| &job.chunks);
            chunks.map(|chunk| chunk.key).collect()
        };
        self.vectors.retain(|key, _| needed.contains(key));
        Ok(())
    }

    /// Writes the documents at the front of the queue that have all their vectors.
    fn commit_whole(&mut self) -> Result<()> {
        while let Some(job) = self.queue.pop_front() {
            let vectors: Option<Vec<&[f32]>> = job
                .chunks
                .iter()
                .map(|chunk| self.vectors.get(&chunk.key).map(Vec::as_slice))
                .collect();
            let Some(vectors) = vectors else {
                self.queue.push_front(job);
                return Ok(());
            };
            let rows = job
                .chunks
                .iter()
                .zip(vectors)
                .map(|(chunk, vector)| NewChunk {
                    bytes: chunk.bytes.clone(),
                    position: chunk.position,
                    tokens: chunk.tokens,
                    heading: &chunk.heading,
                    text: &chunk.text,
                    key: chunk.key,
                    vector,
                });
            let document = NewDocument {
                path: &job.path,
                sha256: &job.sha256,
                stat: job.stat,
                chunking: &self.label,
                parser: TextFormat::of(Path::new(&job.path)).parser(),
                encoding: job.encoding,
                chunks: rows.collect(),
            };
            tell(
                self.progress,
                self.files,
                &self.bytes,
                (self.report.embedded, self.tokens),
                (job.index, job.chunks.len(), job.chunks.len()),
            )?;
            let (store, index) = self.collection.parts();
            store.replace(&document)?;
            index.invalidate();
            if job.is_new {
                self.report.added += 1;
            } else {
                self.report.updated += 1;
            }
            self.report.chunks += job.chunks.len();
            self.report.tokens += job.chunks.iter().map(|chunk| chunk.tokens).sum::<usize>();
        }
        Ok(())
    }

    fn tell(&mut self, index: usize, chunks_done: usize, chunks: usize) -> Result<()> {
        tell(
            self.progress,
            self.files,
            &self.bytes,
            (self.report.embedded, self.tokens),
            (index, chunks_done, chunks),
        )
    }
}

/// Reports how far file `at.0` has come: chunks with a vector, and all.
fn tell(
    progress: &mut OnProgress<'_>,
    files: &[PathBuf],
    bytes: &[u64],
    (embedded, tokens): (usize, usize),
    at: (usize, usize, usize),
) -> Result<()> {
    let (index, chunks_done, chunks) = at;
    let Some(path) = files.get(index) else {
        return Ok(());
    };
    let before = bytes.get(index).copied().unwrap_or(0);
    let with_it = bytes.get(index + 1).copied().unwrap_or(before);
    let flow = progress(&Progress {
        path,
        files_done: index,
        files: files.len(),
        chunks_done,
        chunks,
        bytes_done: before,
        file_bytes: with_it.saturating_sub(before),
        bytes: bytes.last().copied().unwrap_or(0),
        embedded,
        tokens,
        stage: Stage::Files,
    });
    if flow.is_break() {
        return Err(Error::Interrupted);
    }
    Ok(())
}

impl Store {
    /// The key of the tokens that stand for what was redacted, in a collection that redacts.
    fn redaction_key(&self) -> Result<Option<String>> {
        self.meta("redaction_key")
    }

    /// Makes this a collection that redacts.
    fn begin_redacting(&mut self) -> Result<()> {
        self.write(|tx| {
            tx.execute(
                "INSERT OR IGNORE INTO meta VALUES ('redaction_key', lower(hex(randomblob(32))))",
                [],
            )?;
            Ok(())
        })
    }
}

/// The path as text: what a row and a citation hold.
fn utf8(path: &Path) -> std::result::Result<String, Skipped> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Skipped::new(path, "its path is not UTF-8"))
}
