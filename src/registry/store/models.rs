//! Installed models: rows of the table `models`.

use std::path::PathBuf;

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Registry, now, path_text, size_column};
use crate::engine::ContentHash;
use crate::registry::catalog::{Catalog, ModelKind};
use crate::registry::name::{check_name, nearest};
use crate::{Error, Result};

const COLUMNS: &str = "name, kind, path, sha256, bytes, architecture, source, licence, added_at";

/// An installed model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelRecord {
    /// The name it is called by.
    pub name: String,
    /// What it is for.
    pub kind: ModelKind,
    /// Its GGUF file.
    pub path: PathBuf,
    /// The file's hash.
    pub sha256: ContentHash,
    /// The file's size.
    pub bytes: u64,
    /// `general.architecture`, once somebody who reads GGUF has filled it in.
    pub architecture: Option<String>,
    /// What it was pulled from, as `catalog:NAME@..`, `hf:..`, an address or `path:..`.
    pub source: String,
    /// Its licence, where the source says one.
    pub licence: Option<String>,
    /// When it was added, in seconds since 1970. The registry sets it; a change of the record keeps it.
    pub added_at: i64,
}

impl Registry {
    /// All models, by name.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn models(&self) -> Result<Vec<ModelRecord>> {
        self.run(|connection| {
            let mut rows = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM models ORDER BY name"))?;
            rows.query_map([], from_row)?.collect()
        })
    }

    /// The model of this name.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] where only the catalog knows it, [`Error::UnknownName`] with the nearest name, installed
    /// or in the catalog, where nothing does.
    pub fn model(&self, name: &str) -> Result<ModelRecord> {
        if let Some(model) = self.installed(name)? {
            return Ok(model);
        }
        let catalog = Catalog::load()?;
        if catalog.find(name).is_ok() {
            return Err(Error::NotInstalled {
                name: name.to_owned(),
            });
        }
        let installed = self.models()?;
        let known = installed
            .iter()
            .map(|model| model.name.as_str())
            .chain(catalog.names());
        Err(Error::UnknownName {
            what: "model",
            name: name.to_owned(),
            nearest: nearest(name, known),
        })
    }

    /// Adds a model, or replaces the one of this name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name or path that cannot be stored.
    pub fn add_model(&self, model: &ModelRecord) -> Result<()> {
        check_name("model name", &model.name)?;
        let (path, bytes) = (path_text(&model.path)?, size_column(model.bytes)?);
        self.run(|connection| {
            connection.execute(
                "INSERT INTO models (name, kind, path, sha256, bytes, architecture, source, licence, added_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, path = excluded.path, sha256 = excluded.sha256,
                     bytes = excluded.bytes, architecture = excluded.architecture, source = excluded.source,
                     licence = excluded.licence",
                params![
                    model.name, model.kind, path, model.sha256, bytes, model.architecture, model.source, model.licence, now()
                ],
            )
        })?;
        Ok(())
    }

    /// Fails unless the file of a model is there and is the one that was installed. Size and time of the last change
    /// tell; where they differ, the content is hashed again.
    ///
    /// # Errors
    /// [`Error::Damaged`] saying what changed, [`Error::Io`].
    pub fn verify_model(&self, model: &ModelRecord) -> Result<()> {
        let ModelRecord { name, path, .. } = model;
        let damaged = |reason: String| Error::Damaged {
            path: path.clone(),
            reason,
        };
        if !path.is_file() {
            return Err(damaged(format!(
                "the file of model '{name}' is gone; fetch it again with `unforget pull {name}`"
            )));
        }
        let found = self.sha256_of(path)?;
        if found == model.sha256 {
            return Ok(());
        }
        let again = if model.source.starts_with("path:") {
            format!(
                "register it as it is now with `unforget pull {}`",
                path.display()
            )
        } else {
            format!("fetch it again with `unforget pull {name}`")
        };
        Err(damaged(format!(
            "the file of model '{name}' was changed after it was installed: its sha256 is {}, it was {}; adapters and \
             measurements made for it do not hold for the changed file. Restore it, or {again}",
            found.short(),
            model.sha256.short()
        )))
    }

    /// Takes the row of a model away, unless `keep` objects, with no other writer in between. Its file is the caller's
    /// to remove.
    pub(in crate::registry) fn forget_model(
        &self,
        name: &str,
        keep: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.change(|| {
            keep()?;
            self.run(|connection| {
                connection.execute("DELETE FROM models WHERE name = ?1", [name])
            })?;
            Ok(())
        })
    }

    /// The models that were pulled from a source, by name.
    pub(in crate::registry) fn models_from(&self, source: &str) -> Result<Vec<ModelRecord>> {
        self.run(|connection| {
            let mut rows = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM models WHERE source = ?1 ORDER BY name"
            ))?;
            rows.query_map([source], from_row)?.collect()
        })
    }

    /// The model of this name, if there is one.
    pub(in crate::registry) fn installed(&self, name: &str) -> Result<Option<ModelRecord>> {
        self.run(|connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM models WHERE name = ?1"))?
                .query_row([name], from_row)
                .optional()
        })
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ModelRecord> {
    let bytes: i64 = row.get(4)?;
    Ok(ModelRecord {
        name: row.get(0)?,
        kind: row.get(1)?,
        path: PathBuf::from(row.get::<_, String>(2)?),
        sha256: row.get(3)?,
        bytes: u64::try_from(bytes)
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(4, bytes))?,
        architecture: row.get(5)?,
        source: row.get(6)?,
        licence: row.get(7)?,
        added_at: row.get(8)?,
    })
}
