//! What the machine gives: the bare prefill that no check can be faster than, measured in the same run.

use std::time::Instant;

use crate::Result;
use crate::engine::{CancelToken, ScoreItem, Scorer, Token};
use crate::guard::measure::Run;

/// Tokens of the prefill that the speed is taken from: two of the scorer's batches.
const TOKENS: usize = 256;

/// Speed of the bare prefill under each stack: one sequence, no logits but the last.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    /// Tokens a second of the base; `None` where the cache had all of it.
    base: Option<f64>,
    /// Tokens a second of base and adapters.
    pub adapted: f64,
    /// Seconds that finding out took.
    pub seconds: f64,
}

impl Floor {
    /// Measures it on the scorers that the check has.
    ///
    /// # Errors
    /// The engine's.
    pub fn measure(run: &mut Run<'_>) -> Result<Self> {
        let start = Instant::now();
        let cancel = run.cancel();
        let base = match run.n_tokens() {
            (0, _) => None,
            _ => Some(speed(run.base()?, cancel)?),
        };
        let adapted = speed(run.adapted()?, cancel)?;
        Ok(Self {
            base,
            adapted,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Seconds that the bare prefill of so many tokens, base and adapted, would take.
    #[must_use]
    pub fn seconds_for(&self, (base, adapted): (usize, usize)) -> f64 {
        let of_base = base as f64 / self.base.unwrap_or(f64::INFINITY);
        of_base + adapted as f64 / self.adapted
    }
}

fn speed(scorer: &mut Scorer, cancel: &CancelToken) -> Result<f64> {
    let n_vocab = scorer.model().n_vocab().max(1);
    // Numbers without a pattern, the same in every run.
    let tokens = (0..TOKENS)
        .map(|i| Token(i32::try_from((i * 7919) % n_vocab).unwrap_or(0)))
        .collect();
    let start = Instant::now();
    scorer.score(&[ScoreItem::text(tokens, TOKENS)], cancel, |_, _| Ok(()))?;
    Ok(TOKENS as f64 / start.elapsed().as_secs_f64().max(1e-9))
}
