//! Drafts from the text itself: an answer that quotes a passage, or code that is edited, goes on as it did before. What
//! came after the same words then is computed in one batch with the next token, and kept as far as the model would have
//! chosen the same.
//!
//! No second model takes part, and the model decides every token: the sampler chooses from its logits at each position,
//! in order, as it would have without a draft. [`lookup`] finds drafts, [`pace`] says how long they may be.

mod lookup;
mod pace;

use std::time::Duration;

use lookup::Lookup;
use pace::Pace;

use crate::llama::Token;

/// Drafts for one answer.
#[derive(Debug)]
pub(super) struct Drafter {
    lookup: Lookup,
    pace: Pace,
    /// The draft that was computed last, until its outcome is known.
    open: Option<Open>,
    drafted: Drafted,
}

#[derive(Debug)]
struct Open {
    took: Duration,
    length: usize,
    accepted: usize,
}

/// How much was drafted for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Drafted {
    /// Tokens that were drafted.
    pub(super) proposed: usize,
    /// Those of them that the model chose too.
    pub(super) accepted: usize,
}

impl Drafter {
    /// Drafts from what has been said: the prompt, with the conversation and the passages in it.
    pub(super) fn new(prompt: &[Token]) -> Self {
        Self {
            lookup: Lookup::new(prompt),
            pace: Pace::default(),
            open: None,
            drafted: Drafted::default(),
        }
    }

    /// `token` was chosen, as the draft has it.
    pub(super) fn confirm(&mut self, token: Token) {
        self.lookup.push(token);
        if let Some(open) = &mut self.open {
            open.accepted += 1;
        }
    }

    /// `token` was chosen and is to be computed: what may come after it, at most `room` tokens.
    pub(super) fn propose(&mut self, token: Token, room: usize) -> Vec<Token> {
        self.settle();
        self.lookup.push(token);
        self.lookup.draft(self.pace.length().min(room))
    }

    /// A token and a draft of `length` took so long to compute.
    pub(super) fn computed(&mut self, took: Duration, length: usize) {
        self.open = Some(Open {
            took,
            length,
            accepted: 0,
        });
    }

    /// What became of the last draft.
    fn settle(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        self.drafted.proposed += open.length;
        self.drafted.accepted += open.accepted;
        self.pace.learn(open.took, open.length, open.accepted);
    }

    /// All drafts so far.
    pub(super) fn drafted(&mut self) -> Drafted {
        self.settle();
        self.drafted
    }
}
