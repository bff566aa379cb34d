//! Hashes of large files, computed once: rows of the table `file_hashes`.

use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fs_err as fs;
use rusqlite::{OptionalExtension as _, params};

use super::{Registry, path_text, size_column};
use crate::Result;
use crate::engine::ContentHash;
use crate::registry::hasher::Hasher;

/// A file younger than this is hashed, but the hash is not kept: another write in the same tick of the file system's
/// clock would leave size and time as they are. Two seconds is the coarsest clock in use (FAT).
const SETTLED_AFTER: Duration = Duration::from_secs(2);

impl Registry {
    /// The hash of a file: from the database while the file's size and modification time are what they were, otherwise
    /// by reading it.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where it cannot be read.
    pub fn sha256_of(&self, path: &Path) -> Result<ContentHash> {
        self.sha256_watched(path, |_, _| Ok(()))
    }

    /// As [`Registry::sha256_of`]; `each` hears of bytes done and in all, and stops the work by an error.
    pub(in crate::registry) fn sha256_watched(
        &self,
        path: &Path,
        mut each: impl FnMut(u64, u64) -> Result<()>,
    ) -> Result<ContentHash> {
        let path = fs::canonicalize(path)?;
        let mut file = fs::File::open(&path)?;
        let before = Stamp::of(&file.metadata()?)?;
        if let Some(known) = self.known_hash(&path, before)? {
            return Ok(known);
        }
        let mut hasher = Hasher::default();
        let mut done = 0;
        let total = u64::try_from(before.size).unwrap_or_default();
        hasher.read_all(&mut file, |block| {
            done += block.len() as u64;
            each(done, total)
        })?;
        let hash = hasher.finish();
        if before.is_settled() && Stamp::of(&file.metadata()?)? == before {
            self.keep_hash(&path, before, hash)?;
        }
        Ok(hash)
    }

    /// Stores the hash of a file that this program has just written itself, so that nobody has to read it again.
    pub(in crate::registry) fn remember_hash(&self, path: &Path, hash: ContentHash) -> Result<()> {
        let path = fs::canonicalize(path)?;
        let stamp = Stamp::of(&fs::metadata(&path)?)?;
        self.keep_hash(&path, stamp, hash)
    }

    fn known_hash(&self, path: &Path, stamp: Stamp) -> Result<Option<ContentHash>> {
        let path = path_text(path)?;
        self.run(|connection| {
            connection
                .prepare_cached("SELECT sha256 FROM file_hashes WHERE path = ?1 AND size = ?2 AND mtime_ns = ?3")?
                .query_row(params![path, stamp.size, stamp.mtime_ns], |row| row.get(0))
                .optional()
        })
    }

    fn keep_hash(&self, path: &Path, stamp: Stamp, hash: ContentHash) -> Result<()> {
        let path = path_text(path)?;
        self.run(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO file_hashes (path, size, mtime_ns, sha256) VALUES (?1, ?2, ?3, ?4)",
                params![path, stamp.size, stamp.mtime_ns, hash],
            )
        })?;
        Ok(())
    }
}

/// What is compared to tell whether a file is still the one that was hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: i64,
    mtime_ns: i64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Result<Self> {
        let age = metadata
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Self {
            size: size_column(metadata.len())?,
            mtime_ns: nanoseconds(age),
        })
    }

    fn is_settled(self) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.mtime_ns.saturating_add(nanoseconds(SETTLED_AFTER)) < nanoseconds(now)
    }
}

/// Until the year 2262.
fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
