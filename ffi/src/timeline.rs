//! A session with the answer that it is making: what the pull interface goes on with from call to call.

use std::ptr::NonNull;

use unforget::engine::{FinishReason, GenerateOptions, Generation, Outcome, Session, Token};
use unforget::{Error, Result};

use crate::text;

/// A session, and perhaps an answer in the making, which borrows it.
///
/// The session is a box of its own behind a raw pointer. Nobody touches it while there is an `answer`: every method
/// that needs it ends the answer first.
pub(crate) struct Timeline {
    answer: Option<Generation<'static>>,
    session: NonNull<Session>,
    /// The last piece of text, lent to the caller until the next call.
    piece: String,
    /// The last answer, once it ended.
    outcome: Option<Outcome>,
}

// SAFETY: `session` is owned like a box, and sessions and answers may move to other threads, as
// `sessions_and_answers_move` checks.
unsafe impl Send for Timeline {}

impl Timeline {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            answer: None,
            session: NonNull::from(Box::leak(Box::new(session))),
            piece: String::new(),
            outcome: None,
        }
    }

    /// The session. An answer in the making ends here.
    pub(crate) fn session(&mut self) -> &mut Session {
        self.stop();
        // SAFETY: a live box of ours; the answer, which is the only other borrow, is gone.
        unsafe { self.session.as_mut() }
    }

    /// Computes a prompt and begins an answer to it.
    pub(crate) fn start(&mut self, prompt: &[Token], options: &GenerateOptions) -> Result<()> {
        self.stop();
        self.outcome = None;
        // SAFETY: a live box of ours, which is freed after the answer; no other borrow of it is made while there is an
        // answer.
        let session: &'static mut Session = unsafe { &mut *self.session.as_ptr() };
        self.answer = Some(session.generate(prompt, options)?);
        Ok(())
    }

    /// The next piece of the answer, or `None` at its end.
    pub(crate) fn next(&mut self) -> Result<Option<&str>> {
        let Some(answer) = &mut self.answer else {
            let ended = self.outcome()?;
            return match ended.finish_reason {
                FinishReason::Cancelled => Err(Error::Interrupted),
                FinishReason::Stop | FinishReason::Length => Ok(None),
            };
        };
        match answer.next() {
            Some(Ok(piece)) => {
                self.piece = piece;
                Ok(Some(&self.piece))
            }
            Some(Err(error)) => {
                self.answer = None;
                Err(error)
            }
            None => {
                self.stop();
                self.next()
            }
        }
    }

    /// Ends the answer in the making, if there is one.
    pub(crate) fn stop(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.outcome = Some(answer.finish());
        }
    }

    /// The last answer.
    pub(crate) fn outcome(&self) -> Result<&Outcome> {
        self.outcome.as_ref().ok_or_else(|| {
            let (value, expected) = match self.answer {
                Some(_) => ("in the middle of an answer", "one whose answer has ended"),
                None => ("without an answer", "one that was started"),
            };
            text::invalid("session", value.to_owned(), expected)
        })
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.answer = None;
        // SAFETY: leaked by `new`, freed once, after the answer that borrows it.
        drop(unsafe { Box::from_raw(self.session.as_ptr()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_answers_move() {
        const fn movable<T: Send>() {}
        movable::<Session>();
        movable::<Generation<'static>>();
    }
}
