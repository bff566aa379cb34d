//! What was embedded already: each text once in a collection, and each batch kept as soon as it is there.
//!
//! A [`Key`] names what was embedded. Its vector is in `pending` while its document is on the way, so that a killed
//! writer goes on after the last batch, and with its chunk from then on, so that another document with the same
//! passage takes it over.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::store::Store;
use super::vectors;
use crate::Result;

/// Bytes of a key: half of a sha256. Two texts with the same one would have to be sought for 2^64 tries.
const KEY_BYTES: usize = 16;

/// The name of a passage with its heading, which together say what is embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(pub [u8; KEY_BYTES]);

impl Key {
    pub fn of(heading: &str, text: &str) -> Self {
        let mut hash = Sha256::new();
        // The length keeps apart what is heading and what is text.
        hash.update(heading.len().to_le_bytes());
        hash.update(heading);
        hash.update(text);
        let mut key = [0; KEY_BYTES];
        key.iter_mut()
            .zip(hash.finalize())
            .for_each(|(to, from)| *to = from);
        Self(key)
    }
}

impl Store {
    /// The vectors of those `keys` that were embedded before, of length `dimension`.
    pub fn embedded(&self, keys: &[Key], dimension: usize) -> Result<HashMap<Key, Vec<f32>>> {
        self.read(|conn| {
            let mut pending = conn.prepare_cached("SELECT vector FROM pending WHERE key = ?1")?;
            let mut stored = conn.prepare_cached(
                "SELECT v.vector FROM chunks c JOIN vectors v ON v.chunk = c.id WHERE c.key = ?1 LIMIT 1",
            )?;
            let mut found = HashMap::new();
            for &key in keys {
                let vector = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>(0);
                let bytes = match pending.query_row([key.0], vector).optional()? {
                    Some(bytes) => Some(bytes),
                    None => stored.query_row([key.0], vector).optional()?,
                };
                let vector: Option<Vec<f32>> = bytes.map(|bytes| vectors::floats(&bytes).collect());
                if let Some(vector) = vector.filter(|vector| vector.len() == dimension) {
                    found.insert(key, vector);
                }
            }
            Ok(found)
        })
    }

    /// Keeps a batch that was just embedded.
    pub fn keep(&mut self, batch: &[(Key, Vec<f32>)]) -> Result<()> {
        self.write(|tx| {
            let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO pending VALUES (?1, ?2)")?;
            for (key, vector) in batch {
                insert.execute(params![key.0, vectors::to_bytes(vector)])?;
            }
            Ok(())
        })
    }

    /// Forgets the batches: their documents are whole.
    pub fn clear_pending(&mut self) -> Result<()> {
        let none = self.read(|conn| {
            conn.query_row("SELECT NOT EXISTS (SELECT 1 FROM pending)", [], |row| {
                row.get(0)
            })
        })?;
        if none {
            return Ok(());
        }
        self.write(|tx| {
            tx.execute("DELETE FROM pending", [])?;
            Ok(())
        })
    }
}
