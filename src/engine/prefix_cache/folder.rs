//! The folder: a file a block, named by its key, no more bytes than allowed. Nothing is locked: a name stands for one
//! content only, files appear by being renamed, and one that has gone is a block that must be computed.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::entry;
use super::key::BlockKey;
use crate::error::{Error, Result};

/// How long a block is kept that nobody asks for.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How old a file of another writer must be to be one that was never finished.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What an unfinished file's name begins with.
const UNFINISHED: &str = ".part-";

/// What a block's name ends with.
const SUFFIX: &str = ".kv";

#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    limit: u64,
}

/// A file of the folder.
struct Kept {
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
}

impl Folder {
    pub(super) fn open(path: &Path, limit: u64) -> Result<Self> {
        if !fs_err::metadata(path)?.is_dir() {
            return Err(Error::InvalidArgument {
                what: "prefix cache",
                value: path.display().to_string(),
                expected: "a folder".to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            limit,
        })
    }

    fn file(&self, key: &BlockKey) -> PathBuf {
        self.path.join(format!("{key}{SUFFIX}"))
    }

    pub(super) fn has(&self, key: &BlockKey) -> bool {
        self.file(key).is_file()
    }

    /// The whole file of a block, checked; a wrong one is removed.
    pub(super) fn read(&self, key: &BlockKey) -> Option<Vec<u8>> {
        let path = self.file(key);
        let file = fs_err::File::open(&path).ok()?;
        let bytes = file.metadata().ok()?.len();
        let mut content = Vec::with_capacity(usize::try_from(bytes.min(entry::MAX_BYTES)).ok()?);
        let read = file.take(entry::MAX_BYTES).read_to_end(&mut content);
        if read.is_ok() && entry::payload(key, &content).is_some() {
            return Some(content);
        }
        tracing::warn!(file = %path.display(), "a block of the prefix cache was damaged and is removed");
        self.remove(key);
        None
    }

    pub(super) fn remove(&self, key: &BlockKey) {
        // Whoever removed it before has done the same.
        let _ = fs_err::remove_file(self.file(key));
    }

    /// Writes a block beside and renames it. It is not synced: after a crash it is whole or its checksum is wrong.
    pub(super) fn write(&self, key: &BlockKey, payload: &[u8]) -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(&self.path)?;
        file.write_all(&entry::header(key, payload))?;
        file.write_all(payload)?;
        file.persist(self.file(key))?;
        Ok(())
    }

    /// Marks a block as used now.
    pub(super) fn touch(&self, key: &BlockKey) {
        // One that has just gone need not be marked.
        if let Ok(file) = std::fs::File::options().append(true).open(self.file(key)) {
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// Removes what is too old, then what was longest unused, until the rest is small enough.
    pub(super) fn trim(&self, now: SystemTime) -> std::io::Result<()> {
        let mut kept = self.list(now)?;
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.used));
        let mut total = 0_u64;
        for kept in kept {
            total = total.saturating_add(kept.bytes);
            let age = now.duration_since(kept.used).unwrap_or_default();
            if total > self.limit || age > MAX_AGE {
                let _ = std::fs::remove_file(&kept.path);
            }
        }
        Ok(())
    }

    /// The blocks. What was never finished is removed on the way.
    fn list(&self, now: SystemTime) -> std::io::Result<Vec<Kept>> {
        let mut all = Vec::new();
        for found in std::fs::read_dir(&self.path)? {
            let found = found?;
            // A file that goes meanwhile is no reason to stop.
            let Ok(metadata) = found.metadata() else {
                continue;
            };
            let (Ok(used), Ok(name)) = (metadata.modified(), found.file_name().into_string())
            else {
                continue;
            };
            if name.starts_with(UNFINISHED) {
                if now.duration_since(used).is_ok_and(|age| age > ABANDONED) {
                    let _ = std::fs::remove_file(found.path());
                }
            } else if name.ends_with(SUFFIX) {
                all.push(Kept {
                    path: found.path(),
                    used,
                    bytes: metadata.len(),
                });
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> BlockKey {
        BlockKey::of([n; 32])
    }

    fn used(folder: &Folder, n: u8, ago: Duration) {
        let file = std::fs::File::options()
            .append(true)
            .open(folder.file(&key(n)));
        file.unwrap().set_modified(SystemTime::now() - ago).unwrap();
    }

    #[test]
    fn the_longest_unused_go_until_the_rest_fits() {
        let scratch = tempfile::tempdir().unwrap();
        let size = entry::HEADER as u64 + 100;
        let folder = Folder::open(scratch.path(), 2 * size).unwrap();
        for n in 1..=4 {
            folder.write(&key(n), &[n; 100]).unwrap();
            used(&folder, n, Duration::from_secs(100 - u64::from(n)));
        }
        folder.touch(&key(1));
        folder.trim(SystemTime::now()).unwrap();
        let left: Vec<u8> = (1..=4).filter(|&n| folder.has(&key(n))).collect();
        assert_eq!(
            left,
            [1, 4],
            "the one just used and the youngest of the others"
        );
    }

    #[test]
    fn old_blocks_and_abandoned_files_go() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path(), 1 << 20).unwrap();
        for n in 1..=2 {
            folder.write(&key(n), b"x").unwrap();
        }
        used(&folder, 1, MAX_AGE + Duration::from_secs(60));
        let part = scratch.path().join(".part-abc");
        std::fs::write(&part, b"half").unwrap();
        folder.trim(SystemTime::now()).unwrap();
        assert!(part.exists(), "it may be another's, just being written");
        assert!(!folder.has(&key(1)) && folder.has(&key(2)));
        folder.trim(SystemTime::now() + 2 * ABANDONED).unwrap();
        assert!(!part.exists());
    }

    #[test]
    fn a_damaged_block_is_not_there_and_goes() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path(), 1 << 20).unwrap();
        folder.write(&key(1), b"numbers").unwrap();
        let whole = folder.read(&key(1)).unwrap();
        assert_eq!(entry::payload(&key(1), &whole), Some(b"numbers".as_slice()));
        std::fs::write(folder.file(&key(1)), &whole[..whole.len() - 1]).unwrap();
        assert!(folder.read(&key(1)).is_none());
        assert!(!folder.has(&key(1)));
        assert!(folder.read(&key(2)).is_none());
    }

    #[test]
    fn a_file_is_no_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert!(Folder::open(&file, 1).is_err());
        assert!(Folder::open(&scratch.path().join("none"), 1).is_err());
    }
}
