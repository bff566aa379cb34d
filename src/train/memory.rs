//! What training takes in memory, before it begins.

use super::compute::{Keep, Shape, Target};

/// What a step needs beside the base: counted from the shapes of what the forward pass keeps and the backward pass works
/// with. Allocators and threads add to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The base's weights as floats.
    pub weights: u64,
    /// The adapter with its gradients and moments.
    pub adapter: u64,
    /// What a part of a step keeps and works with.
    pub activations: u64,
    /// Logits of some rows at a time.
    pub logits: u64,
}

/// Rows of logits at a time.
const LOGIT_ROWS: usize = 64;

impl Estimate {
    /// The estimate for an adapter of `rank` with `n_parameters`, trained in parts of `n_tokens`; `weights` are the bytes of
    /// the base.
    #[must_use]
    pub fn of(
        shape: &Shape,
        weights: u64,
        (rank, n_parameters): (usize, usize),
        n_tokens: usize,
        keep: Keep,
    ) -> Self {
        // What goes in and what lies in the middle; q and what was attended; k and v; gate and up; and `A x` of each.
        let layer = 2 * (shape.n_embd + shape.n_query() + shape.n_key() + shape.n_ff)
            + Target::ALL.len() * rank;
        let kept = match keep {
            Keep::All => shape.n_layers * layer,
            Keep::Inputs => shape.n_layers * shape.n_embd,
            Keep::Nothing => 0,
        };
        // One layer's own, computed again or not, and as many gradients; what is normed and gated on the way.
        let working = 2 * layer + 4 * shape.n_embd + 2 * shape.n_ff;
        Self {
            weights,
            // Values, gradients and two moments.
            adapter: 16 * n_parameters as u64,
            activations: 4 * (n_tokens * (kept + working)) as u64,
            logits: 4 * (LOGIT_ROWS * shape.n_vocab) as u64,
        }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights + self.adapter + self.activations + self.logits
    }
}
