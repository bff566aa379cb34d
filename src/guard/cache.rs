//! What the base scored, kept between checks: the next adapter on the same base costs half.
//!
//! An entry is keyed by the base, the engine that computed it, and what was measured and how, all by content; it carries
//! a checksum. Whatever is wrong with one, it is measured again: the cache can be deleted at any time.

use std::io::Write as _;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::engine::ContentHash;

/// First bytes of an entry: name and version of the format. A new version never reads an old entry.
const MAGIC: &[u8; 16] = b"unforget base 1\n";
const DIGEST: usize = 32;

/// The folder of base records.
#[derive(Debug, Clone)]
pub struct BaseCache {
    folder: PathBuf,
    key: String,
}

impl BaseCache {
    /// A cache in `folder` (made when something is stored) for one base on one engine. `engine` is anything that tells
    /// engines apart whose numbers differ.
    #[must_use]
    pub fn new(folder: PathBuf, base: ContentHash, engine: &str) -> Self {
        Self {
            folder,
            key: format!("{base}\n{engine}"),
        }
    }

    fn path(&self, content: ContentHash) -> PathBuf {
        let key = ContentHash::of(format!("{}\n{content}", self.key).as_bytes());
        self.folder.join(format!("{key}.base"))
    }

    /// The bytes of an entry, if it is there and whole.
    #[must_use]
    pub fn load(&self, content: ContentHash) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.path(content)).ok()?;
        let body = bytes.strip_prefix(MAGIC)?;
        let (body, digest) = body.split_at_checked(body.len().checked_sub(DIGEST)?)?;
        if digest != digest_of(body).as_slice() {
            tracing::warn!("an entry of the guard's cache is damaged and is measured again");
            return None;
        }
        Some(body.to_vec())
    }

    /// Stores an entry. One that cannot be stored is only missed: the failure is logged.
    pub fn store(&self, content: ContentHash, body: &[u8]) {
        let stored = (|| -> std::io::Result<()> {
            fs_err::create_dir_all(&self.folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(MAGIC)?;
            file.write_all(body)?;
            file.write_all(&digest_of(body))?;
            file.persist(self.path(content))?;
            Ok(())
        })();
        if let Err(error) = stored {
            tracing::warn!("the guard's cache could not be written: {error}");
        }
    }
}

fn digest_of(body: &[u8]) -> [u8; DIGEST] {
    Sha256::digest(body).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;

    #[test]
    fn only_whole_entries_of_the_same_base_are_used() -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path().join("cache");
        let base = |text: &[u8]| BaseCache::new(folder.clone(), ContentHash::of(text), "cpu");
        let content = ContentHash::of(b"items");
        base(b"one").store(content, b"records");
        assert_eq!(base(b"one").load(content).as_deref(), Some(&b"records"[..]));
        assert_eq!(base(b"two").load(content), None);
        assert_eq!(base(b"one").load(ContentHash::of(b"other")), None);

        let path = base(b"one").path(content);
        let good = fs_err::read(&path)?;
        for (place, wrong) in [(0, b'x'), (20, b'x'), (good.len() - 1, 0)] {
            let mut bytes = good.clone();
            bytes[place] ^= wrong.max(1);
            fs_err::write(&path, &bytes)?;
            assert_eq!(base(b"one").load(content), None, "byte {place}");
        }
        for length in 0..good.len() {
            fs_err::write(&path, &good[..length])?;
            assert_eq!(base(b"one").load(content), None, "cut at {length}");
        }
        Ok(())
    }
}
