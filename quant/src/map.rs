//! Read-only memory maps of whole files: the one place that maps. What the bytes mean is left to
//! the readers.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A regular, non-empty file mapped read-only.
#[derive(Debug)]
pub(crate) struct Map {
    path: PathBuf,
    map: memmap2::Mmap,
}

impl Map {
    /// Maps `path`; refuses what is missing, not a regular file, or empty. `expected` names the
    /// format for the error.
    pub(crate) fn open(path: &Path, expected: &'static str) -> Result<Self> {
        // Asked before opening: opening a pipe would wait for its other end.
        let kind = fs_err::metadata(path).map_err(Error::io(path))?;
        let refuse = |found: &str| Error::WrongFormat {
            path: path.to_owned(),
            expected,
            found: found.to_owned(),
        };
        if kind.is_dir() {
            return Err(refuse("it is a directory; name the file inside it"));
        }
        if !kind.is_file() {
            return Err(refuse("it is not a regular file; copy it to disk first"));
        }
        if kind.len() == 0 {
            return Err(refuse("it is empty; copy or download it again"));
        }
        let file = fs_err::File::open(path).map_err(Error::io(path))?;
        // SAFETY: the map is private and read-only, and is only handed out as `&[u8]`. Its bytes
        // stay what they are as long as nobody writes to the file: the base of this project is
        // immutable by contract, and our own writers never write in place but rename a new file
        // over the old one, which leaves this map on the old content.
        let map = unsafe { memmap2::Mmap::map(file.file()) }.map_err(Error::io(path))?;
        Ok(Self {
            path: path.to_owned(),
            map,
        })
    }

    /// Lets go of the pages of `start..end`, so that a pass over a large file stays small in
    /// memory. Reading them again gives the same bytes, from the page cache or the disk.
    pub(crate) fn forget(&self, start: usize, end: usize) {
        #[cfg(unix)]
        if start < end && end <= self.map.len() {
            // SAFETY: the map is of a file and is never written to, so there is nothing to lose:
            // dropped pages are read from the file again. A refusal only costs memory.
            let _ = unsafe {
                self.map.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    start,
                    end - start,
                )
            };
        }
        #[cfg(not(unix))]
        let _ = (start, end);
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
