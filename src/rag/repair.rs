//! Mending a collection from what is sound in it.
//!
//! The full-text index is made of the chunks, the index file of the vectors, vectors of the stored text. What is in the
//! database and nowhere else cannot be made anew: that stays a problem.

use std::ops::ControlFlow;

use super::chunk::embedded;
use super::collection::Collection;
use super::embed::{Embed, embed_checked, fitting, is_unit};
use super::reembed::ReembedProgress;
use super::store::Store;
use super::vectors::{floats, to_bytes};
use super::verify::{Part, VerifyReport};
use crate::{Error, Result};

/// Chunks that are embedded and committed at once.
const BATCH: usize = 32;

impl Collection {
    /// [`Collection::verify`], and what can be is made anew: rows that belong to none are removed, the full-text index and
    /// the index file are built. Vectors need an embedder: [`Collection::embed_missing`]. `go_on` is asked while the index
    /// file is made, with the number of vectors that are done and the number of all.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] while another process writes, [`Error::Interrupted`] when `go_on` said so; otherwise what the
    /// database says.
    pub fn repair(&mut self, go_on: &mut dyn FnMut(usize, usize) -> bool) -> Result<VerifyReport> {
        let before = self.verify()?;
        let mendable = [Part::Rows, Part::Words, Part::Index];
        if !mendable.iter().any(|part| before.broken.contains(part)) {
            return Ok(before);
        }
        {
            let _lock = self.lock()?;
            let (store, index) = self.parts();
            if before.broken.contains(&Part::Rows) {
                store.remove_unlinked()?;
            }
            if before.broken.contains(&Part::Words) {
                store.rebuild_words()?;
            }
            if before.broken.contains(&Part::Index) {
                index.make(go_on)?;
            }
            index.invalidate();
        }
        let mut after = self.verify()?;
        let gone = before.problems.into_iter();
        after.repaired = gone
            .filter(|problem| !after.problems.contains(problem))
            .collect();
        Ok(after)
    }

    /// Embeds the stored text of chunks that have no usable vector, and returns how many there were.
    ///
    /// # Errors
    ///
    /// [`Error::EmbedderMismatch`] for the wrong model, [`Error::Busy`] while another process writes,
    /// [`Error::Interrupted`] when `progress` said so; otherwise what the model or the database says.
    pub fn embed_missing(
        &mut self,
        embedder: &mut dyn Embed,
        progress: &mut dyn FnMut(&ReembedProgress) -> ControlFlow<()>,
    ) -> Result<usize> {
        self.check_embedder(embedder.id())?;
        let _lock = self.lock()?;
        let (store, index) = self.parts();
        let chunks = store.drop_unusable(embedder.id().dimension)?;
        let (mut chunks_done, mut tokens) = (0, 0);
        while chunks_done < chunks {
            let batch = store.without_vector(BATCH)?;
            let texts: Vec<String> = batch
                .iter()
                .map(|(_, heading, text)| {
                    let whole = embedded(heading, text, &*embedder);
                    fitting(&*embedder, &whole).to_owned()
                })
                .collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            tokens += texts
                .iter()
                .map(|text| embedder.count_tokens(text))
                .sum::<usize>();
            let vectors = embed_checked(embedder, &texts)?;
            store.put_vectors(batch.iter().map(|(id, ..)| *id).zip(vectors))?;
            chunks_done += batch.len();
            let flow = progress(&ReembedProgress {
                chunks_done,
                chunks,
                tokens,
            });
            if flow.is_break() {
                return Err(Error::Interrupted);
            }
        }
        index.invalidate();
        Ok(chunks)
    }
}

impl Store {
    /// Removes rows whose document or chunk is not there.
    fn remove_unlinked(&mut self) -> Result<()> {
        self.write(|tx| {
            tx.execute_batch(
                "DELETE FROM chunks WHERE document NOT IN (SELECT id FROM documents);
                 DELETE FROM vectors WHERE chunk NOT IN (SELECT id FROM chunks);
                 DELETE FROM next_vectors WHERE chunk NOT IN (SELECT id FROM chunks);",
            )
        })
    }

    /// Removes vectors that are not usable, and returns how many chunks are without one then. Since vectors of old chunks
    /// are about to come, the index file is given up: a new epoch begins.
    fn drop_unusable(&mut self, dimension: usize) -> Result<usize> {
        let mut unusable = Vec::new();
        self.each_vector(i64::MIN, |id, blob| {
            let vector: Vec<f32> = floats(blob).collect();
            if blob.len() != dimension * size_of::<f32>() || !is_unit(&vector) {
                unusable.push(id);
            }
            true
        })?;
        self.write(|tx| {
            let mut delete = tx.prepare("DELETE FROM vectors WHERE chunk = ?1")?;
            for id in unusable {
                delete.execute([id])?;
            }
            let without = tx.query_row(
                "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk FROM vectors)",
                [],
                |row| row.get(0),
            )?;
            if without > 0 {
                tx.execute_batch(
                    "UPDATE meta SET value = lower(hex(randomblob(8))) WHERE key = 'index_epoch';
                     DELETE FROM gone;",
                )?;
            }
            Ok(without)
        })
    }

    /// Chunks without a vector: id, heading and text.
    fn without_vector(&self, limit: usize) -> Result<Vec<(i64, String, String)>> {
        self.read(|conn| {
            conn.prepare_cached(
                "SELECT id, heading, text FROM chunks WHERE id NOT IN (SELECT chunk FROM vectors) ORDER BY id LIMIT ?1",
            )?
            .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect()
        })
    }

    fn put_vectors(&mut self, vectors: impl Iterator<Item = (i64, Vec<f32>)>) -> Result<()> {
        self.write(|tx| {
            let mut insert = tx.prepare_cached("INSERT INTO vectors VALUES (?1, ?2)")?;
            for (id, vector) in vectors {
                insert.execute(rusqlite::params![id, to_bytes(&vector)])?;
            }
            Ok(())
        })
    }
}
