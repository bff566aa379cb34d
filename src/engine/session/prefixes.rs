//! A session and the prefix cache: taking from it before computing, giving to it after an answer.

use super::super::prefix_cache::{KeptPrefixes, Place, Way};
use super::{SEQUENCE, Session};
use crate::error::Result;
use crate::llama::Token;

impl Session {
    /// Says under which model and adapters to look, after these have changed.
    pub(super) fn find_kept(&mut self) -> Result<()> {
        let found = self.prefix_cache.as_ref().map(|cache| {
            let way = Way::Alone(self.kv_type);
            KeptPrefixes::new(cache, &self.model, self.fingerprint, way)
        });
        self.kept = found.transpose()?;
        Ok(())
    }

    /// Has the prefix cache keep what was computed, if there is one.
    pub(in super::super) fn keep(&mut self) {
        // What was moved, and what came after it, is not what a later prompt computes.
        let chosen = self.chosen().min(self.in_order);
        if let Some(kept) = &self.kept {
            kept.keep(&mut self.context, &self.tokens[..chosen], Place::SESSION);
        }
    }

    /// Takes from the prefix cache what it has of `prompt` beyond what is here.
    pub(super) fn restore(&mut self, prompt: &[Token]) {
        let Some(kept) = &self.kept else {
            return;
        };
        let found = kept.find(prompt, self.tokens.len());
        let Some(first) = found.first() else {
            return;
        };
        // Blocks begin at multiples of their size.
        if self.tokens.len() > first.start {
            if !self.context.truncate(SEQUENCE, first.start) {
                return;
            }
            self.tokens.truncate(first.start);
        }
        let end = kept.restore(&mut self.context, &found, Place::SESSION);
        self.tokens
            .extend_from_slice(&prompt[self.tokens.len()..end]);
    }
}
