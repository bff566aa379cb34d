//! A scorer: many short sequences at once over a model with a stack of adapters, for what they are worth and not for
//! their text.
//!
//! It differs from a [`super::Session`] in having many sequences in one context. What they have in common is computed
//! once and forked; what is wanted of each is rows of logits, handed to a visitor and never stored. Two scorers can
//! walk the same plan in lock-step, so that base and adapted rows meet in memory ([`Scorer::score_both`]).

mod answer;
mod round;
mod share;
mod worker;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use answer::{GreedyAnswer, Opening};
use round::run;
use share::share_out;
use worker::Worker;

use super::model::Model;
use super::session::SessionOptions;
use super::stack::AdapterStack;
use crate::error::{Error, Result};
use crate::llama::{CancelToken, Token};

/// Sizes of a scorer. All but the threads are each worker's.
#[derive(Debug, Clone)]
pub struct ScorerOptions {
    /// Tokens of the longest item, with all its branches.
    pub n_ctx: u32,
    /// Tokens of a round: items are computed together up to this many. Every token looks at every cell of the round,
    /// its own or not, so large rounds cost more than they save.
    pub n_round: u32,
    /// Sequences in one context; an item takes as many as it has branches.
    pub n_seq: u32,
    /// Most rows of logits in one call. They lie in memory at once: a row of 49,152 is 196 kB.
    pub n_outputs: u32,
    /// Threads; by default one a core.
    pub n_threads: Option<u32>,
    /// Contexts that the items and the threads are shared out among. Several wait for each other less than the threads of
    /// one, and each token looks at fewer others' cells; a single item is computed by one of them alone.
    pub n_workers: u32,
}

impl ScorerOptions {
    /// Tokens that the engine computes at once. More are hardly faster, and every row of logits needs room.
    fn n_together(&self) -> u32 {
        self.n_ctx.min(128)
    }

    /// Tokens of one call of the engine.
    fn n_batch(&self) -> u32 {
        self.n_ctx.min(512)
    }
}

impl Default for ScorerOptions {
    fn default() -> Self {
        Self {
            n_ctx: 2048,
            n_round: 768,
            n_seq: 64,
            n_outputs: 128,
            n_threads: None,
            n_workers: 1,
        }
    }
}

/// A sequence to score: a beginning, and branches that each continue it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreItem {
    /// The beginning: at least one token.
    pub prefix: Vec<Token>,
    /// Rows of the beginning are wanted from this index on; the last one always is.
    pub rows_from: usize,
    /// Continuations. Rows of all their tokens but the last are wanted: each row is about the token after it.
    pub branches: Vec<Vec<Token>>,
}

impl ScoreItem {
    /// A beginning whose last row is wanted, with branches.
    #[must_use]
    pub fn branching(prefix: Vec<Token>, branches: Vec<Vec<Token>>) -> Self {
        Self {
            rows_from: prefix.len().saturating_sub(1),
            prefix,
            branches,
        }
    }

    /// A text whose tokens from `first_scored` on are to be scored; the row of its last token is given too.
    #[must_use]
    pub fn text(tokens: Vec<Token>, first_scored: usize) -> Self {
        Self {
            rows_from: first_scored.saturating_sub(1),
            prefix: tokens,
            branches: Vec::new(),
        }
    }

    fn n_sequences(&self) -> usize {
        self.branches.len().max(1)
    }

    fn n_cells(&self) -> usize {
        self.prefix.len()
            + self
                .branches
                .iter()
                .map(|branch| branch.len().saturating_sub(1))
                .sum::<usize>()
    }
}

/// Where a row of logits belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowAt {
    /// Index of the item in the list.
    pub item: usize,
    /// Index of the branch; `None` for the beginning.
    pub branch: Option<usize>,
    /// Index of the token in the beginning or branch that the row follows: it is about the token after it.
    pub index: usize,
}

impl RowAt {
    /// The same in a list with `n` more items before.
    const fn after(self, n: usize) -> Self {
        Self {
            item: self.item + n,
            ..self
        }
    }
}

/// Many sequences over one model and one stack of adapters.
#[derive(Debug)]
pub struct Scorer {
    model: Model,
    /// At least one.
    workers: Vec<Worker>,
}

impl Scorer {
    /// Allocates a scorer over `model` with `stack` applied.
    ///
    /// # Errors
    /// [`Error::WrongModelKind`] for an embedder, [`Error::Engine`] if memory cannot be had or an adapter was loaded for
    /// another model.
    pub fn new(model: &Model, stack: &AdapterStack, options: &ScorerOptions) -> Result<Self> {
        model.require_generator()?;
        let threads = SessionOptions {
            n_threads: options.n_threads,
            ..SessionOptions::default()
        }
        .threads();
        let n_workers = options.n_workers.clamp(1, threads.max(1));
        let workers = (0..n_workers)
            .map(|_| Worker::new(model, stack, options, threads.max(1) / n_workers))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            model: model.clone(),
            workers,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Tokens computed so far.
    #[must_use]
    pub fn n_evaluated(&self) -> usize {
        self.workers.iter().map(|worker| worker.n_evaluated).sum()
    }

    /// Rows of logits computed so far.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.workers.iter().map(|worker| worker.n_rows).sum()
    }

    /// Computes `items` and hands each wanted row of logits (one a vocabulary entry) to `visit`: those of an item in
    /// order, those of different items as they come.
    ///
    /// # Errors
    /// [`Error::ContextFull`] for an item that does not fit, [`Error::InvalidArgument`] for one that is empty or has too
    /// many branches, [`Error::Interrupted`], and what `visit` returns.
    pub fn score(
        &mut self,
        items: &[ScoreItem],
        cancel: &CancelToken,
        visit: impl FnMut(RowAt, &[f32]) -> Result<()> + Send,
    ) -> Result<()> {
        let visit = Mutex::new(visit);
        let workers = self.workers.iter_mut().collect();
        share_out(
            workers,
            items,
            ScoreItem::n_cells,
            |worker, items, start| {
                run(&mut [worker], items, cancel, &mut |at, rows| {
                    lock(&visit)(at.after(start), rows[0])
                })
            },
        )?;
        Ok(())
    }

    /// As [`Self::score`], with two scorers in lock-step: `visit` gets the row of each.
    ///
    /// # Errors
    /// As [`Self::score`], and [`Error::Engine`] if the vocabularies differ in size.
    pub fn score_both(
        base: &mut Self,
        adapted: &mut Self,
        items: &[ScoreItem],
        cancel: &CancelToken,
        visit: impl FnMut(RowAt, &[f32], &[f32]) -> Result<()> + Send,
    ) -> Result<()> {
        let sizes = [base.model.n_vocab(), adapted.model.n_vocab()];
        if sizes[0] != sizes[1] {
            return Err(Error::Engine(format!(
                "models with vocabularies of {} and {} tokens cannot be compared",
                sizes[0], sizes[1]
            )));
        }
        let visit = Mutex::new(visit);
        let pairs = base.workers.iter_mut().zip(&mut adapted.workers).collect();
        share_out(
            pairs,
            items,
            ScoreItem::n_cells,
            |(base, adapted), items, start| {
                run(&mut [base, adapted], items, cancel, &mut |at, rows| {
                    lock(&visit)(at.after(start), rows[0], rows[1])
                })
            },
        )?;
        Ok(())
    }

    /// Answers greedily, at most `max_tokens` each. `visit` gets each row of logits that was computed: with
    /// [`RowAt::branch`] `None` those along the guess, also where the answer has left it, and `Some(0)` those of the
    /// answer beyond. [`RowAt::index`] is the place in the answer of the token that the row is about.
    ///
    /// # Errors
    /// As [`Self::score`]; [`Error::NonFinite`] where a row is not finite.
    pub fn answer(
        &mut self,
        openings: &[Opening],
        max_tokens: usize,
        cancel: &CancelToken,
        visit: impl FnMut(RowAt, &[f32]) -> Result<()> + Send,
    ) -> Result<Vec<GreedyAnswer>> {
        let visit = Mutex::new(visit);
        let workers = self.workers.iter_mut().collect();
        let cells = |opening: &Opening| opening.prompt.len() + max_tokens;
        let parts = share_out(workers, openings, cells, |worker, openings, start| {
            worker.answer(openings, max_tokens, cancel, &mut |at, row| {
                lock(&visit)(at.after(start), row)
            })
        })?;
        Ok(parts.into_iter().flatten().collect())
    }
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}
