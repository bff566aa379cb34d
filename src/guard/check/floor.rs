//! What the machine gives: the bare prefill that no check can be faster than, measured in the same run.

use std::time::Instant;

use crate::Result;
use crate::engine::{AdapterStack, CancelToken, ScoreItem, Scorer, ScorerOptions, Token};
use crate::guard::measure::{Run, Track};
use crate::guard::measurement::Work;

/// Tokens of the prefill that the speed is taken from: two of the scorer's batches.
const TOKENS: usize = 256;
/// What is timed, after a round that is not: it touches memory that the others find, and gives every thread time to have a
/// core to itself. The mean counts, as llama-bench has it.
const ROUNDS: usize = 2;

/// Speed of the bare prefill under each stack: one sequence, no logits but the last. A check also needs the logits of
/// every token that is scored, which a prefill alone does not compute; what a row of them costs is told apart.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    /// Seconds of a token under the base; `None` where the cache had all of it.
    base: Option<f64>,
    /// Seconds of a token under base and adapters.
    adapted: f64,
    /// Seconds of a row of logits, the same under both.
    row: f64,
    /// Seconds that finding out took.
    pub seconds: f64,
}

impl Floor {
    /// Measures it on the model and the stack that the check is of.
    ///
    /// # Errors
    /// The engine's.
    pub fn measure(run: &Run<'_>) -> Result<Self> {
        let start = Instant::now();
        let (model, cancel) = (run.model(), run.cancel());
        // As a prefill is done: one sequence, all threads at it.
        let options = ScorerOptions {
            n_ctx: TOKENS as u32,
            n_seq: 2,
            n_workers: 1,
            ..run.options().clone()
        };
        let base = match run.done().base_tokens {
            0 => None,
            _ => {
                let mut base = Scorer::new(model, &AdapterStack::base(), &options)?;
                Some(prefill(&mut base, TOKENS, cancel)?)
            }
        };
        let mut stack = Scorer::new(model, run.stack(), &options)?;
        let adapted = prefill(&mut stack, TOKENS, cancel)?;
        let with_rows = prefill(&mut stack, 1, cancel)?;
        Ok(Self {
            base,
            adapted,
            row: (with_rows - adapted).max(0.0),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// What measuring cost so far, beside what it had to.
    #[must_use]
    pub fn work(
        &self,
        tracks: &[Box<dyn Track>],
        run: &Run<'_>,
        seconds: f64,
        n_cached: usize,
    ) -> Work {
        let done = run.done();
        let n_items = tracks.iter().map(|track| track.done()).sum();
        let of_base = done.base_tokens as f64 * self.base.unwrap_or(0.0);
        let left_out = |track: &dyn Track| track.n_planned().saturating_sub(track.done());
        Work {
            n_tokens: done.tokens() as u64,
            n_items,
            items_saved: tracks.iter().map(|track| left_out(track.as_ref())).sum(),
            seconds,
            tokens_per_s: done.tokens() as f64 / seconds.max(1e-9),
            raw_prefill_tokens_per_s: 1.0 / self.adapted,
            prefill_floor_seconds: of_base + done.adapted_tokens as f64 * self.adapted,
            n_rows: done.rows as u64,
            rows_floor_seconds: done.rows as f64 * self.row,
            base_cached: n_cached >= n_items,
        }
    }
}

/// Seconds a token, with the rows of logits of all tokens from `first_scored` on.
fn prefill(scorer: &mut Scorer, first_scored: usize, cancel: &CancelToken) -> Result<f64> {
    let n_vocab = scorer.model().n_vocab().max(1);
    // Numbers without a pattern, the same in every run.
    let tokens = (0..TOKENS)
        .map(|i| Token(i32::try_from((i * 7919) % n_vocab).unwrap_or(0)))
        .collect();
    let items = [ScoreItem::text(tokens, first_scored)];
    let mut start = Instant::now();
    for round in 0..=ROUNDS {
        if round == 1 {
            start = Instant::now();
        }
        scorer.score(&items, cancel, |_, _| Ok(()))?;
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok((seconds / (ROUNDS * TOKENS) as f64).max(1e-9))
}
