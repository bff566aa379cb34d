//! A collection: one folder with a database of documents and, beside it, the graph file.
//!
//! Opening, listing and removing. Adding is `ingest`'s, searching `search`'s, checking `verify`'s: each adds its methods
//! to the type that is here.

use std::path::{Path, PathBuf};

use super::embed::EmbedderId;
use super::index::Index;
use super::rows::{ChunkRow, DocumentSummary};
use super::store::Store;
use crate::{Error, Result};

/// Name of the database in a collection's folder.
pub const DATABASE_FILE: &str = "documents.db";

/// Documents that were embedded by one model, searchable. Several processes may have the same one open: readers see
/// whole documents, writers wait for each other.
#[derive(Debug)]
pub struct Collection {
    name: String,
    embedder: EmbedderId,
    store: Store,
    index: Index,
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
        let embedder = store
            .embedder()?
            .ok_or_else(|| store.damaged("it was never bound to an embedder"))?;
        let key = format!("{}/{}", store.collection_id()?, embedder.sha256);
        let name = dir.file_name().unwrap_or(dir.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            index: Index::new(dir, key, embedder.dimension),
            embedder,
            store,
        })
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

    /// Removes document `id`. Its file stays; [`Collection::sync`] adds it again while it is under a path once added.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownName`] when there is no such document.
    pub fn remove(&mut self, id: i64) -> Result<()> {
        let removed = self.store.remove(id)?;
        self.index.invalidate();
        if removed {
            Ok(())
        } else {
            Err(unknown_document(id))
        }
    }

    /// Builds anew what is derived from the rows: the full-text index and, if the collection is large enough to have
    /// one, the graph file. Returns the number of vectors.
    ///
    /// # Errors
    ///
    /// What the database says.
    pub fn rebuild(&mut self) -> Result<usize> {
        self.store.rebuild_words()?;
        self.store.snapshot(|store| self.index.refresh(store))?;
        self.index.rebuild();
        Ok(self.index.len())
    }

    pub(super) fn check_embedder(&self, offered: &EmbedderId) -> Result<()> {
        if self.embedder.is_same_model(offered) {
            return Ok(());
        }
        Err(Error::EmbedderMismatch {
            collection: self.name.clone(),
            expected: self.embedder.label(),
            found: offered.label(),
        })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn parts(&mut self) -> (&mut Store, &mut Index) {
        (&mut self.store, &mut self.index)
    }
}

fn unknown_document(id: i64) -> Error {
    Error::UnknownName {
        what: "document",
        name: id.to_string(),
        nearest: None,
    }
}
