//! Which state of the rows the index file was made from, and what has left since.
//!
//! An epoch is a random name. The index file carries the one it began; vectors of greater ids came later, those in `gone`
//! left later, and together they say what the file lacks and has too much. Ids only grow and are never given twice.

use rusqlite::params;

use super::store::Store;
use crate::Result;

/// A moment of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub epoch: String,
    /// The last of `gone` then; 0 before the first.
    pub seq: i64,
}

impl Store {
    /// Now.
    pub fn moment(&self) -> Result<Moment> {
        let epoch = self.meta("index_epoch")?;
        let epoch = epoch.ok_or_else(|| self.damaged("it has no index epoch"))?;
        let seq = self.read(|conn| {
            conn.query_row("SELECT coalesce(max(seq), 0) FROM gone", [], |row| {
                row.get(0)
            })
        })?;
        Ok(Moment { epoch, seq })
    }

    /// Chunks whose vectors left after `seq`.
    pub fn gone_since(&self, seq: i64) -> Result<Vec<i64>> {
        self.read(|conn| {
            conn.prepare_cached("SELECT chunk FROM gone WHERE seq > ?1 ORDER BY seq")?
                .query_map([seq], |row| row.get(0))?
                .collect()
        })
    }

    /// Begins the epoch `next` with the index file that was made at `made`; false when that epoch is over already.
    pub fn begin_epoch(&mut self, made: &Moment, next: &str) -> Result<bool> {
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE meta SET value = ?2 WHERE key = 'index_epoch' AND value = ?1",
                params![made.epoch, next],
            )?;
            if changed == 0 {
                return Ok(false);
            }
            tx.execute("DELETE FROM gone WHERE seq <= ?1", [made.seq])?;
            Ok(true)
        })
    }

    /// A name that no epoch ever had.
    pub fn new_epoch(&self) -> Result<String> {
        self.read(|conn| conn.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0)))
    }

    /// Number of vectors.
    pub fn count_vectors(&self) -> Result<usize> {
        // Each chunk has one; the index over chunks is a fraction of what the vectors take.
        self.read(|conn| conn.query_row("SELECT count(*) FROM chunks", [], |row| row.get(0)))
    }
}
