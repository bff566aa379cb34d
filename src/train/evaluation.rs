//! How well the adapter answers rows that it does not learn from.

use serde::{Deserialize, Serialize};

use super::compute::{Keep, Lora, Pack, Transformer};
use super::example::Example;
use crate::{Error, Result};

/// Tokens of a forward pass.
const PACK_TOKENS: usize = 512;

/// Answers to rows that were held back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Rows.
    pub rows: usize,
    /// Rows whose answer is the right one, to the last token.
    pub right: usize,
    /// Mean cross-entropy of the answers' tokens, in nats.
    pub loss: f64,
}

impl Evaluation {
    /// Looks at each learnt token after all the right ones before it. Where all are the likeliest, a greedy answer is the
    /// right one: it never leaves the right answer. So one forward pass says what generating would.
    ///
    /// # Errors
    /// As [`Transformer::forward`]; [`Error::InvalidArgument`] without a row.
    pub fn of(
        transformer: &Transformer,
        lora: Option<&Lora>,
        examples: &[Example],
    ) -> Result<Self> {
        let mut rest = examples;
        let (mut right, mut loss, mut n_tokens) = (0, 0.0, 0);
        while !rest.is_empty() {
            let mut n = 0;
            let fitting = rest.iter().take_while(|example| {
                n += example.tokens.len();
                n <= PACK_TOKENS
            });
            let (part, after) = rest.split_at(fitting.count().max(1));
            rest = after;
            let sequences: Vec<&[u32]> = part.iter().map(|example| &*example.tokens).collect();
            let pack = Pack::of(&sequences);
            let trace = transformer.forward(&pack, lora, Keep::Nothing)?;
            for (at, example) in part.iter().enumerate() {
                let before: Vec<usize> = (example.learnt.iter())
                    .map(|&index| pack.row(at, index - 1))
                    .collect();
                let targets = example.learnt.iter().map(|&index| example.tokens[index]);
                let fits = transformer.fits(&trace, &before, targets);
                right += usize::from(fits.iter().all(|fit| fit.likeliest));
                loss += fits.iter().map(|fit| fit.loss).sum::<f64>();
                n_tokens += fits.len();
            }
        }
        match n_tokens {
            0 => Err(Error::InvalidArgument {
                what: "held-back rows",
                value: "none".to_owned(),
                expected: "at least one".to_owned(),
            }),
            n => Ok(Self {
                rows: examples.len(),
                right,
                loss: loss / n as f64,
            }),
        }
    }

    /// Share of right answers.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.right as f64 / self.rows.max(1) as f64
    }

    /// Whether more answers are right than in `other`, or as many with a smaller loss.
    #[must_use]
    pub fn is_better_than(&self, other: &Self) -> bool {
        (self.share(), -self.loss) > (other.share(), -other.loss)
    }
}
