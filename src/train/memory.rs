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
    /// The estimate for parts of `n_tokens`.
    #[must_use]
    pub fn of(
        shape: &Shape,
        weights: u64,
        n_parameters: usize,
        n_tokens: usize,
        keep: Keep,
    ) -> Self {
        let layer = 4 * shape.n_embd + 2 * shape.n_query() + 2 * shape.n_key() + 3 * shape.n_ff;
        let inner = Target::ALL.len() * 64;
        let kept = match keep {
            Keep::All => shape.n_layers * (layer + inner),
            Keep::Inputs => shape.n_layers * shape.n_embd,
            Keep::Nothing => 0,
        };
        // One layer's gradients of everything beside.
        let working = 2 * (layer + inner);
        Self {
            weights,
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
