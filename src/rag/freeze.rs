//! Making a new index file from the rows: on one's own connection, under a lock of its own.
//!
//! Rows are read in one snapshot; writers and readers go on meanwhile. The file is renamed into place when it is whole, and
//! the epoch that begins with it is committed after that: a kill in between leaves a file that nobody believes and the next
//! one replaces.

use std::path::PathBuf;
use std::time::Duration;

use super::ann::{PART_PREFIX, Writer};
use super::index::{FLAT_LIMIT, Patience, index_path};
use super::lock::FileLock;
use super::store::Store;
use crate::{Error, Result};

/// Held while a file is made. Not the writer's: nobody has to wait for an index to add documents.
const LOCK_FILE: &str = "index.lock";

/// How often to look whether another process is done making it.
const POLL: Duration = Duration::from_millis(50);

/// What to make an index file of.
#[derive(Debug, Clone)]
pub(super) struct Freeze {
    /// The collection's folder.
    pub dir: PathBuf,
    /// The database in it.
    pub database: PathBuf,
    /// Names database and embedder.
    pub identity: String,
    /// Length of every vector.
    pub dimension: usize,
}

/// What the key of an index file says.
pub(super) fn key(identity: &str, epoch: &str) -> String {
    format!("{identity}/{epoch}")
}

impl Freeze {
    /// Makes the file. False when another process did, or is at it and there is no `patience` to wait for it. `go_on` is
    /// asked now and then, with the number of vectors that are done and the number of all.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] when `go_on` said so; otherwise what file system and database say.
    pub fn run(
        &self,
        patience: Patience,
        go_on: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<bool> {
        let mut store = Store::open(&self.database, false)?;
        let begun = store.moment()?.epoch;
        let Some(_lock) = self.lock(patience, go_on)? else {
            return Ok(false);
        };
        if store.moment()?.epoch != begun {
            return Ok(false);
        }
        self.remove_unfinished();
        if store.count_vectors()? <= FLAT_LIMIT {
            return self.do_without(&mut store);
        }
        let mut writer = Writer::begin(&self.dir, self.dimension)?;
        let made = store.snapshot(|store| {
            let mut failed = None;
            store
                .each_vector(i64::MIN, |id, bytes| match writer.push(id, bytes) {
                    Ok(usable) => usable,
                    Err(error) => {
                        failed = Some(error);
                        false
                    }
                })
                .map_err(|error| failed.unwrap_or(error))?;
            store.moment()
        })?;
        let next = store.new_epoch()?;
        let all = writer.len();
        tracing::info!(vectors = all, "building the index");
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let key = key(&self.identity, &next);
        writer.finish(&index_path(&self.dir), &key, threads, &mut |done| {
            go_on(done, all)
        })?;
        store.begin_epoch(&made, &next)
    }

    /// Begins an epoch without a file: few vectors are scanned.
    fn do_without(&self, store: &mut Store) -> Result<bool> {
        let now = store.snapshot(Store::moment)?;
        let next = store.new_epoch()?;
        let begun = store.begin_epoch(&now, &next)?;
        match std::fs::remove_file(index_path(&self.dir)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(begun),
        }
    }

    fn lock(
        &self,
        patience: Patience,
        go_on: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Option<FileLock>> {
        let path = self.dir.join(LOCK_FILE);
        loop {
            let lock = FileLock::try_take(&path)?;
            if lock.is_some() || patience == Patience::GoOn {
                return Ok(lock);
            }
            if !go_on(0, 0) {
                return Err(Error::Interrupted);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Removes what a killed builder left; nobody else builds, as the lock is held.
    fn remove_unfinished(&self) {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for entry in entries {
            if entry.file_name().to_string_lossy().starts_with(PART_PREFIX) {
                // What cannot be removed only takes room.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Whether `error` means that the disk or the database is of no use for an index file, but otherwise well.
pub(super) fn is_only_the_cache(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_) | Error::DiskFull { .. } | Error::Busy { .. } | Error::Store(_)
    )
}
