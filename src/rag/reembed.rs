//! Another embedder for a collection: every stored text embedded anew, without its files.
//!
//! The new vectors gather beside the old ones, batch by batch, and take their place in one transaction when all are
//! there. Until then the collection answers as before, and a stop costs one batch.

use std::ops::ControlFlow;
use std::time::Instant;

use rusqlite::params;

use super::chunk::embedded;
use super::collection::Collection;
use super::embed::{Embed, EmbedderId, embed_checked, fitting};
use super::index::Patience;
use super::store::Store;
use super::vectors;
use crate::{Error, Result};

/// Chunks that are embedded and committed at once.
const BATCH: usize = 32;

/// How far embedding anew has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReembedProgress {
    /// Chunks with a new vector.
    pub chunks_done: usize,
    /// Chunks in all.
    pub chunks: usize,
    /// Tokens embedded in this run.
    pub tokens: usize,
}

/// What came of embedding anew.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ReembedReport {
    /// Vectors of the new embedder.
    pub vectors: usize,
    /// Chunks that were embedded in this run; an interrupted one has done the rest.
    pub embedded: usize,
    /// Chunks that are longer than the new embedder reads; their ends were left out.
    pub cut: usize,
    /// How long it took.
    pub seconds: f64,
}

impl Collection {
    /// Embeds every stored text with `embedder` and binds the collection to it.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] while another process writes, [`Error::Interrupted`] when `progress` said so; otherwise what the
    /// model or the database says. The collection keeps its old vectors then.
    pub fn reembed(
        &mut self,
        embedder: &mut dyn Embed,
        progress: &mut dyn FnMut(&ReembedProgress) -> ControlFlow<()>,
    ) -> Result<ReembedReport> {
        let begun = Instant::now();
        let _lock = self.lock()?;
        let (store, _) = self.parts();
        store.begin_reembedding(embedder.id())?;
        let mut report = ReembedReport {
            vectors: 0,
            embedded: 0,
            cut: 0,
            seconds: 0.0,
        };
        let mut tokens = 0;
        loop {
            let (chunks_done, chunks) = store.reembedded()?;
            let flow = progress(&ReembedProgress {
                chunks_done,
                chunks,
                tokens,
            });
            if flow.is_break() {
                return Err(Error::Interrupted);
            }
            let batch = store.not_reembedded(BATCH)?;
            if batch.is_empty() {
                report.vectors = chunks;
                break;
            }
            let mut texts = Vec::with_capacity(batch.len());
            for (_, heading, text) in &batch {
                let whole = embedded(heading, text, &*embedder);
                let fits = fitting(&*embedder, &whole);
                report.cut += usize::from(fits.len() < whole.len());
                tokens += embedder.count_tokens(fits);
                texts.push(fits.to_owned());
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let vectors = embed_checked(embedder, &texts)?;
            let ids = batch.iter().map(|(id, ..)| *id);
            store.keep_reembedded(&ids.zip(vectors).collect::<Vec<_>>())?;
            report.embedded += batch.len();
        }
        store.finish_reembedding(embedder.id())?;
        self.rebind()?;
        let (store, index) = self.parts();
        store.snapshot(|store| index.refresh(store))?;
        index.settle(Patience::Wait, &mut |_, _| true)?;
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }
}

impl Store {
    /// Forgets the new vectors of another embedder than `next`.
    fn begin_reembedding(&mut self, next: &EmbedderId) -> Result<()> {
        let id = next.key();
        if self.meta("next_embedder")?.as_deref() == Some(id.as_str()) {
            return Ok(());
        }
        self.write(|tx| {
            tx.execute("DELETE FROM next_vectors", [])?;
            tx.execute(
                "INSERT OR REPLACE INTO meta VALUES ('next_embedder', ?1)",
                [id],
            )?;
            Ok(())
        })
    }

    /// Chunks with a new vector, and all.
    fn reembedded(&self) -> Result<(usize, usize)> {
        self.read(|conn| {
            conn.query_row(
                "SELECT (SELECT count(*) FROM next_vectors), (SELECT count(*) FROM chunks)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
    }

    /// The next chunks without a new vector, by id: id, heading and text.
    fn not_reembedded(&self, limit: usize) -> Result<Vec<(i64, String, String)>> {
        self.read(|conn| {
            conn.prepare_cached(
                "SELECT id, heading, text FROM chunks WHERE id > (SELECT coalesce(max(chunk), 0) FROM next_vectors)
                 ORDER BY id LIMIT ?1",
            )?
            .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect()
        })
    }

    fn keep_reembedded(&mut self, batch: &[(i64, Vec<f32>)]) -> Result<()> {
        self.write(|tx| {
            let mut insert =
                tx.prepare_cached("INSERT OR REPLACE INTO next_vectors VALUES (?1, ?2)")?;
            for (id, vector) in batch {
                insert.execute(params![id, vectors::to_bytes(vector)])?;
            }
            Ok(())
        })
    }

    /// Puts the new vectors in place of the old.
    fn finish_reembedding(&mut self, next: &EmbedderId) -> Result<()> {
        self.write(|tx| {
            tx.execute("DELETE FROM vectors", [])?;
            tx.execute(
                "INSERT INTO vectors SELECT chunk, vector FROM next_vectors ORDER BY chunk",
                [],
            )?;
            tx.execute("DELETE FROM next_vectors", [])?;
            tx.execute("DELETE FROM pending", [])?;
            tx.execute("DELETE FROM meta WHERE key = 'next_embedder'", [])?;
            let mut update = tx.prepare("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
            update.execute(["embedder_name", &next.name])?;
            update.execute(["embedder_sha256", &next.sha256])?;
            update.execute(["dimension", &next.dimension.to_string()])?;
            update.execute(["embedder_recipe", &next.recipe])?;
            Ok(())
        })
    }
}
