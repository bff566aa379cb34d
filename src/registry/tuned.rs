//! Keeping the tuned copy of a model: one a machine, whose file goes when its row does.

use std::path::PathBuf;

use super::home::Home;
use super::remove::delete;
use super::store::{Registry, TunedRecord};
use crate::Result;
use crate::engine::ContentHash;

/// Stores the layout of a model on this machine, and deletes the copy that it replaces.
///
/// # Errors
/// As for [`Registry::set_tuned`], and [`crate::Error::Io`].
pub fn store_tuned(registry: &Registry, home: &Home, record: &TunedRecord) -> Result<()> {
    let Some(before) = registry.set_tuned(record)? else {
        return Ok(());
    };
    let used = before.path == record.path
        || registry
            .tuned_of(record.base_sha256)?
            .iter()
            .any(|other| other.path == before.path);
    delete(&before.path, &home.tuned(), used)?;
    Ok(())
}

/// Forgets the layouts of a model, and deletes its copies. Returns the files that were deleted.
///
/// # Errors
/// [`crate::Error::Store`], [`crate::Error::Io`].
pub fn forget_tuned(registry: &Registry, home: &Home, base: ContentHash) -> Result<Vec<PathBuf>> {
    let records = registry.tuned_of(base)?;
    registry.forget_tuned(base)?;
    let mut deleted = Vec::new();
    for record in records {
        deleted.extend(delete(&record.path, &home.tuned(), false)?);
    }
    Ok(deleted)
}
