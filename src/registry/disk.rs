//! Writing so that a crash leaves the old file or the new one, and saying so where the disk is full.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::{Error, Result};

/// Fails where `needed` more bytes do not fit beside `path`.
///
/// # Errors
/// [`Error::DiskFull`]. A file system that does not tell its free space counts as large enough.
pub(super) fn require_space(path: &Path, needed: u64) -> Result<()> {
    match free_space(path) {
        Some(free) if free < needed => Err(Error::DiskFull {
            path: path.to_owned(),
            needed_and_free: Some((needed, free)),
        }),
        _ => Ok(()),
    }
}

/// Turns "no space" and "over quota" into [`Error::DiskFull`]; every other error stays what it is.
pub(super) fn write_error(error: io::Error, path: &Path, needed: u64) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull {
            path: path.to_owned(),
            needed_and_free: free_space(path).map(|free| (needed, free)),
        },
        _ => Error::Io(error),
    }
}

/// `path` with `suffix` after its name: a temporary neighbour on the same file system.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Gives a finished file its final name: content to disk, rename, then the folder to disk.
pub(super) fn publish(temporary: &Path, target: &Path) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(temporary)?
        .sync_all()?;
    fs::rename(temporary, target)?;
    sync_folder(target)
}

/// Removes a file that may not be there.
pub(super) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Removes a folder that may not be there.
pub(super) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A rename is durable once its folder is. Only Unix opens folders as files.
fn sync_folder(file: &Path) -> Result<()> {
    #[cfg(unix)]
    if let Some(folder) = file.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn free_space(path: &Path) -> Option<u64> {
    fs4::available_space(path.parent()?).ok()
}
