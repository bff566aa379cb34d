//! What was measured so far, on disk: a search that was stopped goes on where it was.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::measure::Measured;
use crate::Result;
use crate::engine::ContentHash;

/// Version of the format. A journal of another one is not read, only replaced.
const VERSION: u32 = 1;

/// Measurements that were made under one key: the model, the machine and how it was measured.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    entries: Entries,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entries {
    version: u32,
    measured: Vec<Measured>,
}

impl Journal {
    /// Opens the journal of `key` in `folder`, empty if there is none that can be read or `fresh` is asked for.
    pub(super) fn open(folder: &Path, key: ContentHash, fresh: bool) -> Self {
        let path = folder.join(format!("{}.json", key.short()));
        let read = || -> Option<Entries> {
            let entries: Entries = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
            (entries.version == VERSION).then_some(entries)
        };
        let entries = match fresh {
            true => None,
            false => read(),
        };
        let entries = entries.unwrap_or(Entries {
            version: VERSION,
            measured: Vec::new(),
        });
        Self { path, entries }
    }

    /// What was measured of a layout.
    pub(super) fn get(&self, layout: &str) -> Option<&Measured> {
        let mut entries = self.entries.measured.iter();
        entries.find(|measured| measured.layout == layout)
    }

    /// Adds a measurement and stores all.
    pub(super) fn add(&mut self, measured: Measured) -> Result<()> {
        self.entries.measured.push(measured);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let json = serde_json::to_vec_pretty(&self.entries).map_err(std::io::Error::from)?;
        file.write_all(&json)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes it: the search is done.
    pub(super) fn finish(self) {
        // One that stays is only read again by the same search.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_there_after_a_stop_and_nothing_of_a_damaged_file() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let open = |key: &[u8], fresh| Journal::open(folder.path(), ContentHash::of(key), fresh);
        let measured = Measured {
            layout: "Q8_0".to_owned(),
            speedup: 1.5,
            ..Measured::default()
        };
        open(b"a", false).add(measured.clone())?;
        assert_eq!(open(b"a", false).get("Q8_0"), Some(&measured));
        assert_eq!(open(b"b", false).get("Q8_0"), None);
        assert_eq!(open(b"a", true).get("Q8_0"), None);
        let path = open(b"a", false).path;
        let whole = fs_err::read(&path)?;
        fs_err::write(&path, &whole[..whole.len() / 2])?;
        assert_eq!(open(b"a", false).get("Q8_0"), None);
        fs_err::write(&path, &whole)?;
        open(b"a", false).finish();
        assert_eq!(open(b"a", false).get("Q8_0"), None);
        Ok(())
    }
}
