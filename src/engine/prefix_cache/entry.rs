//! A block's file: an envelope of magic, version, key and checksum, then the KV as the engine writes it.
//!
//! ```text
//! 0   8 bytes   "UNFGT.KV"
//! 8   u32       version, little-endian
//! 12  32 bytes  key
//! 44  32 bytes  sha256 of the payload
//! 76            payload
//! ```

use sha2::{Digest, Sha256};

use super::key::BlockKey;

const MAGIC: [u8; 8] = *b"UNFGT.KV";

/// Version of the envelope. What is in the payload is part of the key.
const VERSION: u32 = 1;

/// Bytes before the payload.
pub(super) const HEADER: usize = 8 + 4 + 32 + 32;

/// Most bytes of a file: 64 tokens of 16 MiB each, an order of magnitude beyond any model that is known.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// What comes before `payload`.
pub(super) fn header(key: &BlockKey, payload: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..44].copy_from_slice(key.as_bytes());
    header[44..].copy_from_slice(&Sha256::digest(payload));
    header
}

/// The payload of a file, if it is the block of `key`, whole and unchanged.
pub(super) fn payload<'a>(key: &BlockKey, file: &'a [u8]) -> Option<&'a [u8]> {
    let (found, payload) = file.split_at_checked(HEADER)?;
    (found == header(key, payload)).then_some(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(key: &BlockKey, payload: &[u8]) -> Vec<u8> {
        [header(key, payload).as_slice(), payload].concat()
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let key = BlockKey::of([7; 32]);
        let file = file(&key, b"numbers");
        assert_eq!(payload(&key, &file), Some(b"numbers".as_slice()));
        assert_eq!(payload(&BlockKey::of([8; 32]), &file), None, "another's");
        assert_eq!(&file[..12], b"UNFGT.KV\x01\0\0\0");
    }

    proptest! {
        #[test]
        fn no_damage_goes_unnoticed(
            content in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let key = BlockKey::of([7; 32]);
            let whole = file(&key, &content);
            let at = at.index(whole.len());
            prop_assert_eq!(payload(&key, &whole[..at]), None, "cut off");
            let mut flipped = whole;
            flipped[at] ^= 1 << bit;
            prop_assert_eq!(payload(&key, &flipped), None, "changed");
        }
    }
}
