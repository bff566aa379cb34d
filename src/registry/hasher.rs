//! Hashing while bytes pass by, so that a file of many gigabytes is read once, and the read can be watched and stopped.

use std::io::Read;

use sha2::{Digest as _, Sha256};

use crate::Result;
use crate::engine::ContentHash;

/// Bytes read at a time. Large enough that the hash, not the system call, is what takes the time.
const BLOCK: usize = 1 << 20;

/// A hash in the making. `sha2` uses the processor's SHA instructions where it finds them at run time.
#[derive(Clone, Default)]
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> ContentHash {
        ContentHash::from(<[u8; 32]>::from(self.0.finalize()))
    }

    /// Takes all that `source` gives and says how many bytes that was. `each` gets every block, and stops by an error.
    pub(super) fn read_all(
        &mut self,
        source: &mut impl Read,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let mut block = vec![0; BLOCK];
        let mut total = 0;
        loop {
            let n = match source.read(&mut block) {
                Ok(0) => return Ok(total),
                Ok(n) => n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let filled = block.get(..n).unwrap_or_default();
            self.update(filled);
            total += n as u64;
            each(filled)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The one-block example of FIPS 180-4's test vectors.
    #[test]
    fn the_hash_of_abc_is_the_published_one() {
        let mut hasher = Hasher::default();
        hasher.update(b"abc");
        assert_eq!(
            hasher.finish().to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    proptest! {
        #[test]
        fn reading_in_blocks_is_hashing_at_once(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let mut hasher = Hasher::default();
            let n = hasher.read_all(&mut bytes.as_slice(), |_| Ok(())).unwrap();
            prop_assert_eq!(n, bytes.len() as u64);
            prop_assert_eq!(hasher.finish(), ContentHash::of(&bytes));
        }
    }
}
