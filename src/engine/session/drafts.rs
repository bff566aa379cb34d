//! Tokens that are computed before they are chosen: at the end of the timeline, until they are confirmed or taken back.

use super::{Outputs, SEQUENCE, Session};
use crate::error::{Error, Result};
use crate::llama::{CancelToken, KvType, Token};

impl Session {
    /// Whether drafts can be computed with an answer, and change nothing of it: KV that can be cut, and numbers of a token
    /// that do not depend on its company.
    #[must_use]
    pub fn can_draft(&self) -> bool {
        self.model.engine().has_plain_memory() && self.computes_tokens_alone()
    }

    fn computes_tokens_alone(&self) -> bool {
        // Attention of our own is for keys and values in half precision.
        self.kv_type == KvType::F16
            && self.model.computes_tokens_alone()
            && self.stack.computes_tokens_alone()
    }

    /// How many tokens of a draft fit beside the next token.
    pub(in super::super) fn room_for_draft(&self) -> usize {
        let room = self.n_ctx().saturating_sub(self.chosen());
        room.min(self.n_batch).saturating_sub(1)
    }

    /// As [`Self::advance`], with a draft of what may come after it. What of it is chosen is told by [`Self::confirm`].
    pub(in super::super) fn advance_with(
        &mut self,
        token: Token,
        draft: &[Token],
        cancel: &CancelToken,
    ) -> Result<()> {
        self.take_back_draft()?;
        let tokens: Vec<Token> = std::iter::once(token)
            .chain(draft.iter().copied())
            .collect();
        self.extend(&tokens, Outputs::All, cancel)?;
        self.drafted = draft.len();
        self.output = Some(0);
        Ok(())
    }

    /// Whether `token`, which was chosen, has been computed as part of a draft: then the logits after it are there.
    pub(in super::super) fn confirm(&mut self, token: Token) -> bool {
        let is_drafted = self.drafted > 0 && self.tokens[self.chosen()] == token;
        if is_drafted {
            self.drafted -= 1;
            self.output = self.output.map(|at| at + 1);
        }
        is_drafted
    }

    /// Removes what was drafted and not chosen.
    fn take_back_draft(&mut self) -> Result<()> {
        let chosen = self.chosen();
        if std::mem::take(&mut self.drafted) > 0 {
            if !self.context.truncate(SEQUENCE, chosen) {
                self.forget();
                return Err(Error::Engine("a draft could not be taken back".to_owned()));
            }
            self.tokens.truncate(chosen);
        }
        Ok(())
    }

    /// How many tokens of the timeline are not a draft.
    pub(super) fn chosen(&self) -> usize {
        self.tokens.len() - self.drafted
    }
}
