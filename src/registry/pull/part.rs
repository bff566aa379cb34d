//! The unfinished part of a download: `FILE.part`, and beside it `FILE.part.json`, which says what it is a part of.
//!
//! Bytes of two editions of a file must never be joined. So the sidecar names the edition (address, validator, size),
//! and it is written only while the part is empty: whatever moment the process is killed at, the bytes in a part
//! belong to the edition in its sidecar.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::client::Resume;
use super::plan::Expected;
use super::progress::{Phase, Watch};
use crate::engine::ContentHash;
use crate::registry::disk::{beside, publish, remove_file, write_error};
use crate::registry::hasher::Hasher;
use crate::{Error, Result};

/// One edition of a remote file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edition {
    pub(super) address: String,
    /// A strong entity tag or a date; without one the download cannot be resumed.
    pub(super) validator: Option<String>,
    pub(super) total: Option<u64>,
}

/// An unfinished download. Dropping it keeps the files.
pub(super) struct Part {
    target: PathBuf,
    path: PathBuf,
    sidecar: PathBuf,
    file: fs::File,
    length: u64,
    hasher: Hasher,
    edition: Option<Edition>,
}

impl Part {
    /// Opens the part of `target` from `address`, empty if there is none that can be resumed.
    pub(super) fn open(target: &Path, address: &str, watch: &mut Watch<'_>) -> Result<Self> {
        let path = beside(target, ".part");
        let sidecar = beside(target, ".part.json");
        let edition = read_edition(&sidecar)
            .filter(|edition| edition.address == address && edition.validator.is_some());
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        let target = target.to_owned();
        let mut part = Self {
            target,
            path,
            sidecar,
            file,
            length: 0,
            hasher: Hasher::default(),
            edition,
        };
        match part.edition.clone() {
            Some(edition) => part.take_up(&edition, watch)?,
            None => part.clear()?,
        }
        Ok(part)
    }

    /// Hashes what is there, to hash on from there.
    fn take_up(&mut self, edition: &Edition, watch: &mut Watch<'_>) -> Result<()> {
        let present = self.file.metadata()?.len();
        if edition.total.is_some_and(|total| present > total) {
            return self.clear();
        }
        let mut done = 0;
        self.length = self.hasher.read_all(&mut self.file, |block| {
            done += block.len() as u64;
            watch.step(Phase::Verifying, done, Some(present))
        })?;
        Ok(())
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.edition.as_ref()?.total
    }

    pub(super) fn is_complete(&self) -> bool {
        self.total() == Some(self.length)
    }

    /// How to ask for the rest; `None` where all of it has to be fetched.
    pub(super) fn resume(&self) -> Option<Resume> {
        let validator = self.edition.as_ref()?.validator.clone()?;
        (self.length > 0).then_some(Resume {
            from: self.length,
            validator,
        })
    }

    /// Whether an answer about `edition` continues what is here. A server may leave the size out of a part's answer.
    pub(super) fn continues(&self, edition: &Edition) -> bool {
        self.edition.as_ref().is_some_and(|own| {
            own.validator == edition.validator
                && (edition.total.is_none() || own.total == edition.total)
        })
    }

    /// Starts over with another edition.
    pub(super) fn restart(&mut self, edition: Edition) -> Result<()> {
        self.clear()?;
        let temporary = beside(&self.sidecar, ".new");
        let json = serde_json::to_vec(&edition).map_err(std::io::Error::from)?;
        fs::write(&temporary, &json)
            .map_err(|error| write_error(error, &self.path, json.len() as u64))?;
        publish(&temporary, &self.sidecar)?;
        self.edition = Some(edition);
        Ok(())
    }

    /// Forgets all: first the bytes, then what they were.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        remove_file(&self.sidecar)?;
        self.length = 0;
        self.hasher = Hasher::default();
        self.edition = None;
        Ok(())
    }

    pub(super) fn append(&mut self, block: &[u8]) -> Result<()> {
        let needed = self.total().map_or(block.len() as u64, |total| {
            total.saturating_sub(self.length)
        });
        // After an error the part may end within the block: the bytes of it that are there are right ones, and the
        // next to open the part hashes what it finds.
        self.file
            .write_all(block)
            .map_err(|error| write_error(error, &self.path, needed))?;
        self.hasher.update(block);
        self.length += block.len() as u64;
        Ok(())
    }

    /// Verifies the whole and gives it its name. What fails is thrown away, since resuming could not mend it.
    pub(super) fn finish(
        mut self,
        expected: &Expected,
        check: impl Fn(&Path) -> Result<()>,
    ) -> Result<ContentHash> {
        let found = self.hasher.clone().finish();
        let verdict = match expected.sha256 {
            Some(wanted) if wanted != found => Err(Error::Checksum {
                path: self.target.clone(),
                expected: wanted.to_string(),
                found: found.to_string(),
            }),
            _ => check(&self.path),
        };
        if let Err(error) = verdict {
            self.clear()?;
            remove_file(&self.path)?;
            return Err(error);
        }
        publish(&self.path, &self.target)?;
        remove_file(&self.sidecar)?;
        Ok(found)
    }
}

/// A sidecar that is missing or unreadable only costs the resume.
fn read_edition(sidecar: &Path) -> Option<Edition> {
    serde_json::from_slice(&fs::read(sidecar).ok()?).ok()
}
