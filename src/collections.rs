//! Collections of documents by name: which there are in the data folder, and opening them. `registry` knows where they
//! lie, `rag` what they are.

use std::path::PathBuf;

use crate::rag::{Collection, DATABASE_FILE};
use crate::registry::{self, Home};
use crate::{Error, Result};

/// Names of the collections that there are.
///
/// # Errors
/// [`Error::Io`] where the folder cannot be read.
pub fn names(home: &Home) -> Result<Vec<String>> {
    let folder = home.collections();
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.path().join(DATABASE_FILE).is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Folder of a collection, there or not; the name may not lead anywhere else.
///
/// # Errors
/// [`Error::InvalidArgument`] for what is no name.
pub fn folder(home: &Home, name: &str) -> Result<PathBuf> {
    registry::check_name("collection", name)?;
    Ok(home.collections().join(name))
}

/// Whether there is a collection under this name.
///
/// # Errors
/// As [`folder`].
pub fn exists(home: &Home, name: &str) -> Result<bool> {
    Ok(folder(home, name)?.join(DATABASE_FILE).is_file())
}

/// Opens a collection that must be there.
///
/// # Errors
/// [`Error::NothingInstalled`] where there is none at all, [`Error::UnknownName`] with the nearest name; what
/// [`Collection::open`] can return.
pub fn open(home: &Home, name: &str) -> Result<Collection> {
    if exists(home, name)? {
        return Collection::open(&folder(home, name)?);
    }
    let names = names(home)?;
    if names.is_empty() {
        return Err(Error::NothingInstalled {
            what: "collection",
            advice: "index some documents with `unforget docs add PATH`".to_owned(),
        });
    }
    Err(Error::UnknownName {
        what: "collection",
        name: name.to_owned(),
        nearest: registry::nearest(name, names.iter().map(String::as_str)),
    })
}

/// What a list of collections says of each.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// The model that its vectors are from.
    pub embedder: String,
    /// Documents in it.
    pub documents: usize,
    /// Passages in it.
    pub passages: u64,
}

impl Summary {
    /// Counts what is in `collection`.
    ///
    /// # Errors
    /// [`Error::Store`] where its database cannot be read.
    pub fn of(collection: &Collection) -> Result<Self> {
        let documents = collection.documents()?;
        Ok(Self {
            name: collection.name().to_owned(),
            embedder: collection.embedder().name.clone(),
            documents: documents.len(),
            passages: documents.iter().map(|document| document.chunks).sum(),
        })
    }
}
