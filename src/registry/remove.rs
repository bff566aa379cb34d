//! Taking models and adapters away: the row, and the file where it is ours.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::home::Home;
use super::store::Registry;
use super::tuned::forget_tuned;
use crate::{Error, Result};

/// What was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The name that is free again.
    pub name: String,
    /// The file that was deleted; `None` where it was gone, is used under another name, or lies outside of the data
    /// folder and so is not ours to delete.
    pub file: Option<PathBuf>,
}

/// Removes an adapter and its file.
///
/// # Errors
/// [`Error::UnknownName`] with the nearest name, [`Error::Io`].
pub fn remove_adapter(registry: &Registry, home: &Home, name: &str) -> Result<Removed> {
    let path = registry.adapter(name)?.path;
    registry.forget_adapter(name)?;
    let used = registry.adapters()?.iter().any(|other| other.path == path);
    Ok(Removed {
        name: name.to_owned(),
        file: delete(&path, &home.adapters(), used)?,
    })
}

/// Removes a model with its file and its tuned copies, unless adapters belong to it alone.
///
/// # Errors
/// [`Error::InUse`] naming the adapters, [`Error::UnknownName`] and [`Error::NotInstalled`], [`Error::Io`].
pub fn remove_model(registry: &Registry, home: &Home, name: &str) -> Result<Removed> {
    let model = registry.model(name)?;
    registry.forget_model(name, || {
        let same_content = registry
            .models()?
            .iter()
            .any(|other| other.name != name && other.sha256 == model.sha256);
        let adapters: Vec<String> = registry
            .adapters()?
            .into_iter()
            .filter(|adapter| adapter.base_sha256 == model.sha256 && !same_content)
            .map(|adapter| adapter.name)
            .collect();
        if adapters.is_empty() {
            return Ok(());
        }
        Err(Error::InUse {
            name: name.to_owned(),
            users: adapters,
        })
    })?;
    let models = registry.models()?;
    if models.iter().all(|other| other.sha256 != model.sha256) {
        forget_tuned(registry, home, model.sha256)?;
    }
    let used = models.iter().any(|other| other.path == model.path);
    Ok(Removed {
        name: name.to_owned(),
        file: delete(&model.path, &home.models(), used)?,
    })
}

/// Deletes a file of ours, and its folder where nothing else is in it.
pub(super) fn delete(path: &Path, ours: &Path, used: bool) -> Result<Option<PathBuf>> {
    if used || !path.starts_with(ours) || !path.is_file() {
        return Ok(None);
    }
    fs_err::remove_file(path)?;
    if let Some(folder) = path.parent().filter(|folder| *folder != ours) {
        // Refused by the system where something is left in it, which then stays.
        let _ = std::fs::remove_dir(folder);
    }
    Ok(Some(path.to_owned()))
}
