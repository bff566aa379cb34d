//! A collection: one folder with a database of documents and, beside it, the index file.
//!
//! Opening, listing and removing. Adding is `ingest`'s, searching `search`'s, checking `verify`'s: each adds its methods
//! to the type that is here.

use std::path::{Path, PathBuf};

use super::ann::{Frozen, Unusable};
use super::embed::EmbedderId;
use super::freeze::{Freeze, key};
use super::index::{Index, index_path};
use super::lock::WriterLock;
use super::rerank::Rerank;
use super::rows::{ChunkRow, DocumentSummary, Version};
use super::store::Store;
use crate::{Error, Result};

/// Name of the database in a collection's folder.
pub const DATABASE_FILE: &str = "documents.db";

/// Documents that were embedded by one model, searchable. Several processes may have the same one open: readers see
/// whole documents and never wait, and one process at a time writes.
///
/// # Examples
/// ```
/// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-home/models/minilm"))?;
/// use std::ops::ControlFlow;
/// use unforget::engine::{CancelToken, Embedder, Model, ModelOptions, SessionOptions};
/// use unforget::rag::{Collection, Embed, EngineEmbedder, IngestOptions, SearchOptions};
///
/// let model = Model::open("all-MiniLM-L6-v2.gguf".as_ref(), ModelOptions::default())?;
/// let embedder = Embedder::new(&model, &SessionOptions::default())?;
/// let mut embedder = EngineEmbedder::new(embedder, CancelToken::default())?;
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("sheds.md"), "# Sheds\n\nThe mower is in the green shed.")?;
/// # std::env::set_current_dir(folder.path())?;
/// let mut notes = Collection::create_or_open("notes".as_ref(), embedder.id())?;
/// notes.add(&["sheds.md".into()], &mut embedder, &IngestOptions::default(), &mut |_| ControlFlow::Continue(()))?;
/// let found = notes.search("Where is the mower?", &mut embedder, &SearchOptions::default())?;
/// assert!(found.hits[0].text.contains("green shed"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Collection {
    name: String,
    embedder: EmbedderId,
    store: Store,
    index: Index,
    reranker: Option<Box<dyn Rerank>>,
}

impl Collection {
    /// Opens the collection in `dir`, or makes it there for `embedder`.
    ///
    /// # Errors
    ///
    /// [`Error::EmbedderMismatch`] when it was made with another model, [`Error::Damaged`] when its database is
    /// damaged, foreign or newer; otherwise what the file system or database says.
    pub fn create_or_open(dir: &Path, embedder: &EmbedderId) -> Result<Self> {
        fs_err::create_dir_all(dir)?;
        let mut store = Store::open(&dir.join(DATABASE_FILE), true)?;
        if store.embedder()?.is_none() {
            store.bind(embedder)?;
        }
        let collection = Self::over(dir, store)?;
        collection.check_embedder(embedder)?;
        Ok(collection)
    }

    /// Opens the collection in `dir`.
    ///
    /// # Errors
    ///
    /// As [`Collection::create_or_open`]; [`Error::Io`] of kind `NotFound` when there is none.
    pub fn open(dir: &Path) -> Result<Self> {
        let database = dir.join(DATABASE_FILE);
        fs_err::metadata(&database)?;
        Self::over(dir, Store::open(&database, false)?)
    }

    fn over(dir: &Path, store: Store) -> Result<Self> {
        let embedder = bound(&store)?;
        let freeze = freeze(&store, dir, &embedder)?;
        let name = dir.file_name().unwrap_or(dir.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            index: Index::new(freeze),
            embedder,
            store,
            reranker: None,
        })
    }

    /// Has the best hits of each search read again by `reranker`, and put into its order.
    pub fn rerank_with(&mut self, reranker: Box<dyn Rerank>) {
        self.reranker = Some(reranker);
    }

    /// Its name: that of its folder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model that its vectors come from.
    #[must_use]
    pub fn embedder(&self) -> &EmbedderId {
        &self.embedder
    }

    /// Its database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.store.path().to_owned()
    }

    /// All documents by path.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn documents(&self) -> Result<Vec<DocumentSummary>> {
        self.store.documents()
    }

    /// The chunks of document `id`, in the order of the text.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] when there is no such document.
    pub fn chunks(&self, id: i64) -> Result<Vec<ChunkRow>> {
        let chunks = self.store.chunks_of(id)?;
        // A document without chunks is never stored.
        if chunks.is_empty() {
            return Err(unknown_document(id));
        }
        Ok(chunks)
    }

    /// The chunk with this number.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] when there is none, or no longer.
    pub fn passage(&self, id: i64) -> Result<ChunkRow> {
        self.store.chunk(id)?.ok_or_else(|| Error::UnknownName {
            what: "passage",
            name: id.to_string(),
            nearest: None,
        })
    }

    /// Removes document `id`. Its file stays; [`Collection::sync`] adds it again while it is under a path once added.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] when there is no such document, [`Error::Busy`] while another process writes.
    pub fn remove(&mut self, id: i64) -> Result<()> {
        let _lock = self.lock()?;
        self.forget(id)
    }

    /// [`Collection::remove`] by who has the lock.
    pub(super) fn forget(&mut self, id: i64) -> Result<()> {
        let removed = self.store.remove(id)?;
        self.index.invalidate();
        if removed {
            Ok(())
        } else {
            Err(unknown_document(id))
        }
    }

    /// Builds anew what is derived from the rows: the full-text index and, if the collection is large enough to have
    /// one, the index file. Returns the number of vectors. `go_on` is asked now and then, with the number of vectors that
    /// are in the new index and the number of all.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] while another process writes, [`Error::Interrupted`] when `go_on` said so; otherwise what the
    /// database says.
    pub fn rebuild(&mut self, go_on: &mut dyn FnMut(usize, usize) -> bool) -> Result<usize> {
        let _lock = self.lock()?;
        self.store.rebuild_words()?;
        self.store.snapshot(|store| self.index.refresh(store))?;
        self.index.make(go_on)?;
        self.store.snapshot(|store| self.index.refresh(store))?;
        Ok(self.index.len())
    }

    /// What document `id` was and is, oldest first: what an answer of last month saw. Hashes and times are kept for ever,
    /// past texts while there is room (64 MiB, deflated) and the document is not removed.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] when there never was such a document.
    pub fn history(&self, id: i64) -> Result<Vec<Version>> {
        let mut versions = self.store.versions(id)?;
        let now = self
            .documents()?
            .into_iter()
            .find(|document| document.id == id);
        versions.extend(now.map(|now| Version {
            document: now.id,
            path: now.path,
            sha256: now.sha256,
            bytes: now.bytes,
            parser: now.parser,
            added_at: now.added_at,
            replaced_at: None,
            has_text: true,
        }));
        if versions.is_empty() {
            return Err(unknown_document(id));
        }
        Ok(versions)
    }

    /// The chunks of document `id` as they were in the version whose sha256 begins with `sha256`: what an answer cites.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] when there is no such document, no such version, or no longer a text of it.
    pub fn chunks_of_version(&self, id: i64, sha256: &str) -> Result<Vec<ChunkRow>> {
        let history = self.history(id)?;
        let mut newest_first = history.iter().rev();
        let unknown = |what, nearest: Option<&Version>| Error::UnknownName {
            what,
            name: sha256.to_owned(),
            nearest: nearest.map(|version| version.sha256.clone()),
        };
        let version = newest_first.find(|version| version.sha256.starts_with(sha256));
        let version = version.ok_or_else(|| unknown("version", history.last()))?;
        let now = history.iter().find(|version| version.replaced_at.is_none());
        if now.is_some_and(|now| now.sha256 == version.sha256) {
            return self.chunks(id);
        }
        let past = self.store.past_chunks(id, &version.sha256)?;
        past.ok_or_else(|| unknown("text of version", None))
    }

    /// The right to write; nobody else has it meanwhile.
    pub(super) fn lock(&self) -> Result<WriterLock> {
        let folder = self.store.path().parent().unwrap_or(Path::new("."));
        WriterLock::take(folder, &self.name)
    }

    /// Whether `offered` is the embedder of the vectors, as the database says now: another process may have put another
    /// one's in their place.
    pub(super) fn check_embedder(&self, offered: &EmbedderId) -> Result<()> {
        let stored = self.store.embedder()?;
        let bound = stored.as_ref().unwrap_or(&self.embedder);
        if bound.is_same_model(offered) && self.embedder.is_same_model(bound) {
            return Ok(());
        }
        Err(Error::EmbedderMismatch {
            collection: self.name.clone(),
            expected: bound.label(),
            found: if bound.is_same_model(offered) {
                self.embedder.label()
            } else {
                offered.label()
            },
        })
    }

    /// Follows the database after its vectors were replaced by those of another embedder.
    pub(super) fn rebind(&mut self) -> Result<()> {
        let folder = self
            .store
            .path()
            .parent()
            .unwrap_or(Path::new("."))
            .to_owned();
        let embedder = bound(&self.store)?;
        self.index = Index::new(freeze(&self.store, &folder, &embedder)?);
        self.embedder = embedder;
        Ok(())
    }

    /// Opens the index file that belongs to the rows as they are, apart from the one in use; or why that cannot be.
    pub(super) fn open_index(&self) -> Result<std::result::Result<Frozen, Unusable>> {
        let dir = self.store.path().parent().unwrap_or(Path::new("."));
        let freeze = freeze(&self.store, dir, &self.embedder)?;
        let key = key(&freeze.identity, &self.store.moment()?.epoch);
        Ok(Frozen::open(&index_path(dir), &key, freeze.dimension))
    }

    pub(super) fn reranker(&mut self) -> Option<&mut (dyn Rerank + 'static)> {
        self.reranker.as_deref_mut()
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn parts(&mut self) -> (&mut Store, &mut Index) {
        (&mut self.store, &mut self.index)
    }
}

fn bound(store: &Store) -> Result<EmbedderId> {
    let embedder = store.embedder()?;
    embedder.ok_or_else(|| store.damaged("it was never bound to an embedder"))
}

/// What an index file of this collection is made of.
fn freeze(store: &Store, dir: &Path, embedder: &EmbedderId) -> Result<Freeze> {
    Ok(Freeze {
        dir: dir.to_owned(),
        database: store.path().to_owned(),
        identity: format!("{}/{}", store.collection_id()?, embedder.key()),
        dimension: embedder.dimension,
    })
}

fn unknown_document(id: i64) -> Error {
    Error::UnknownName {
        what: "document",
        name: id.to_string(),
        nearest: None,
    }
}
