//! Who may write to a collection: one process at a time, and the others learn which.
//!
//! The lock is the operating system's, on a file beside the database, so that it ends with the process that holds it,
//! however that ends. Readers never ask for it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, Result};

/// The file that is locked.
const LOCK_FILE: &str = "writer.lock";

/// Who holds it: process id and seconds since 1970. A file of its own, since some systems let nobody read a locked one.
const HOLDER_FILE: &str = "writer.txt";

/// A file that this process has locked, until dropped.
#[derive(Debug)]
pub(super) struct FileLock(#[allow(dead_code, reason = "held, not read")] File);

impl FileLock {
    /// Locks the file at `path`, made where it is not there; none when another process has locked it.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(path);
        let file = file.map_err(|error| explain(path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(explain(path, error)),
        }
    }
}

/// The right to write, until dropped.
#[derive(Debug)]
pub(super) struct WriterLock {
    _lock: FileLock,
    holder: PathBuf,
}

impl WriterLock {
    /// Takes the lock of the collection in `dir`.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] when another writer has it; otherwise what the file system says.
    pub fn take(dir: &Path, collection: &str) -> Result<Self> {
        let holder = dir.join(HOLDER_FILE);
        let lock = FileLock::try_take(&dir.join(LOCK_FILE))?;
        let lock = lock.ok_or_else(|| busy(collection, &holder))?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // Only for the message: a full disk is found where it matters.
        let _ = std::fs::write(
            &holder,
            format!("{} {}\n", std::process::id(), now.as_secs()),
        );
        Ok(Self {
            _lock: lock,
            holder,
        })
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // The lock itself ends when the file is closed, after this.
        let _ = std::fs::remove_file(&self.holder);
    }
}

fn busy(collection: &str, holder: &Path) -> Error {
    let text = std::fs::read_to_string(holder).unwrap_or_default();
    let mut words = text.split_whitespace();
    Error::Busy {
        collection: collection.to_owned(),
        pid: words.next().and_then(|word| word.parse().ok()),
        since: words.next().and_then(|word| word.parse().ok()),
    }
}

fn explain(path: &Path, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::DiskFull {
            path: path.to_owned(),
            needed_and_free: None,
        };
    }
    let reason = format!("{}: {error}", path.display());
    Error::Io(std::io::Error::new(error.kind(), reason))
}
