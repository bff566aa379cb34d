//! A scorer: many short sequences at once over a model with a stack of adapters, for what they are worth and not for
//! their text.
//!
//! It differs from a [`super::Session`] in having many sequences in one context. What they have in common is computed
//! once and forked; what is wanted of each is rows of logits, handed to a visitor and never stored. Two scorers can
//! walk the same plan in lock-step, so that base and adapted rows meet in memory ([`Scorer::score_both`]).

mod answer;
mod round;

pub use answer::{GreedyAnswer, Opening};
use round::{SHARED, run};

use super::model::Model;
use super::session::SessionOptions;
use super::stack::AdapterStack;
use crate::error::{Error, Result};
use crate::llama::{Batch, CancelToken, Context, ContextParams, Token};

/// Sizes of a scorer.
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
            n_ctx: 3072,
            n_round: 768,
            n_seq: 64,
            n_outputs: 256,
            n_threads: None,
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

/// Many sequences over one model and one stack of adapters.
#[derive(Debug)]
pub struct Scorer {
    model: Model,
    context: Context,
    batch: Batch,
    options: ScorerOptions,
    /// Tokens whose KV is in [`SHARED`].
    shared: Vec<Token>,
    n_evaluated: usize,
    n_rows: usize,
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
        let mut context = Context::new(
            model.engine(),
            &ContextParams {
                n_ctx: options.n_ctx,
                n_batch: options.n_batch(),
                n_ubatch: options.n_together(),
                n_seq_max: options.n_seq,
                n_threads: threads,
                n_threads_batch: threads,
                embeddings: false,
            },
        )?;
        let adapters = stack
            .effective()
            .map(|(adapter, scale)| (adapter.engine().clone(), *scale))
            .collect();
        context.set_adapters(adapters)?;
        Ok(Self {
            model: model.clone(),
            context,
            batch: Batch::default(),
            options: options.clone(),
            shared: Vec::new(),
            n_evaluated: 0,
            n_rows: 0,
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
        self.n_evaluated
    }

    /// Rows of logits computed so far.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Computes `items` and hands each wanted row of logits (one a vocabulary entry) to `visit`.
    ///
    /// # Errors
    /// [`Error::ContextFull`] for an item that does not fit, [`Error::InvalidArgument`] for one that is empty or has too
    /// many branches, [`Error::Interrupted`], and what `visit` returns.
    pub fn score(
        &mut self,
        items: &[ScoreItem],
        cancel: &CancelToken,
        mut visit: impl FnMut(RowAt, &[f32]) -> Result<()>,
    ) -> Result<()> {
        run(&mut [self], items, cancel, &mut |at, rows| {
            visit(at, rows[0])
        })
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
        mut visit: impl FnMut(RowAt, &[f32], &[f32]) -> Result<()>,
    ) -> Result<()> {
        let sizes = [base.model.n_vocab(), adapted.model.n_vocab()];
        if sizes[0] != sizes[1] {
            return Err(Error::Engine(format!(
                "models with vocabularies of {} and {} tokens cannot be compared",
                sizes[0], sizes[1]
            )));
        }
        run(&mut [base, adapted], items, cancel, &mut |at, rows| {
            visit(at, rows[0], rows[1])
        })
    }

    /// Forgets a sequence from a position on.
    fn cut(&mut self, sequence: u32, position: usize) -> Result<()> {
        if self.context.truncate(sequence, position) {
            return Ok(());
        }
        Err(Error::Engine(
            "this model's memory cannot be cut at a position, which scoring needs".to_owned(),
        ))
    }

    /// Forgets all but the shared beginning.
    fn drop_sequences(&mut self, n: usize) {
        for sequence in 0..u32::try_from(n).unwrap_or(0) {
            self.context.truncate(SHARED + 1 + sequence, 0);
        }
    }

    fn forget(&mut self) {
        self.context.clear();
        self.shared.clear();
    }
}
