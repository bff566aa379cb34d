//! A sequence in a context: tokens with their cells, running for a request or kept for what it begins with.

use super::answer::Answer;
use super::cells::Cell;
use crate::llama::Token;

/// A place in a context, with what is computed there.
#[derive(Debug)]
pub(super) struct Sequence {
    /// Its number in the context.
    pub(super) slot: u32,
    /// Tokens whose KV is in the context come first, those to compute after them.
    pub(super) tokens: Vec<Token>,
    /// A cell for each computed token.
    pub(super) cells: Vec<Cell>,
}

impl Sequence {
    /// Tokens whose KV is there.
    pub(super) fn computed(&self) -> &[Token] {
        &self.tokens[..self.cells.len()]
    }

    /// Tokens still to compute.
    pub(super) fn pending(&self) -> &[Token] {
        &self.tokens[self.cells.len()..]
    }
}

/// A sequence that a request is computed on.
pub(super) struct Running {
    pub(super) sequence: Sequence,
    pub(super) n_prompt: usize,
    pub(super) answer: Answer,
}

impl Running {
    /// Whether its prompt is not computed yet.
    pub(super) fn is_prefilling(&self) -> bool {
        self.sequence.cells.len() < self.n_prompt
    }

    /// Cells that it may still need.
    pub(super) fn n_reserved(&self) -> usize {
        cells_to_the_end(self.n_prompt, self.answer.max_tokens())
            .saturating_sub(self.sequence.cells.len())
    }
}

/// Cells of a whole request: the last token of an answer is never computed.
pub(super) fn cells_to_the_end(n_prompt: usize, max_tokens: usize) -> usize {
    n_prompt + max_tokens.saturating_sub(1)
}
