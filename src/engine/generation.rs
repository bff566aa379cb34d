//! One answer as it is made: an iterator over text, with its measurements at the end.

use std::time::Instant;

use super::draft::Drafter;
use super::outcome::{FinishReason, Outcome, Timings, Usage, ms, rate};
use super::sampling::SamplingParams;
use super::session::{Prefill, Session};
use super::text::{Pushed, TextStream};
use crate::error::{Error, Result};
use crate::llama::{CancelToken, Sampler, Token};

/// How to answer.
#[derive(Debug, Clone)]
pub struct GenerateOptions {
    /// Most tokens of the answer.
    pub max_tokens: usize,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Stops the answer from another thread.
    pub cancel: CancelToken,
    /// Drafts tokens from the prompt and the answer, and computes them together where the model would choose the same. The
    /// answer is the same with and without; where that cannot be promised, nothing is drafted.
    pub draft: bool,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_tokens: 512,
            stop: Vec::new(),
            sampling: SamplingParams::default(),
            cancel: CancelToken::default(),
            draft: true,
        }
    }
}

/// An answer in the making. Iterate for its text, piece by piece, then call [`Self::finish`].
#[derive(Debug)]
pub struct Generation<'session> {
    session: &'session mut Session,
    sampler: Sampler,
    stream: TextStream,
    max_tokens: usize,
    cancel: CancelToken,
    prompt_tokens: usize,
    prefill: Prefill,
    n_generated: usize,
    text: String,
    /// The last token chosen, not computed yet: nobody needs what comes after the last one.
    pending: Option<Token>,
    finish_reason: Option<FinishReason>,
    drafter: Option<Drafter>,
    clock: Clock,
}

#[derive(Debug)]
struct Clock {
    started: Instant,
    prefilled: Instant,
    first_token: Option<Instant>,
    last_token: Instant,
}

impl<'session> Generation<'session> {
    /// `prefill` brings the session to `prompt`.
    pub(super) fn start(
        session: &'session mut Session,
        prompt: &[Token],
        options: &GenerateOptions,
        prefill: impl FnOnce(&mut Session) -> Result<Prefill>,
    ) -> Result<Self> {
        let started = Instant::now();
        let sampler = options.sampling.sampler(session.model())?;
        let prefill = prefill(session)?;
        let prefilled = Instant::now();
        let drafts = options.draft && session.can_draft();
        Ok(Self {
            drafter: drafts.then(|| Drafter::new(prompt)),
            session,
            sampler,
            stream: TextStream::new(&options.stop),
            max_tokens: options.max_tokens,
            cancel: options.cancel.clone(),
            prompt_tokens: prompt.len(),
            prefill,
            n_generated: 0,
            text: String::new(),
            pending: None,
            finish_reason: (options.max_tokens == 0).then_some(FinishReason::Length),
            clock: Clock {
                started,
                prefilled,
                first_token: None,
                last_token: prefilled,
            },
        })
    }

    /// Runs to the end, handing each piece of text to `on_text`; its `false` stops the answer.
    ///
    /// # Errors
    /// [`Error::Engine`] if the engine fails.
    pub fn run(mut self, mut on_text: impl FnMut(&str) -> bool) -> Result<Outcome> {
        while let Some(text) = self.next() {
            if !on_text(&text?) {
                self.finish_reason = Some(FinishReason::Cancelled);
            }
        }
        Ok(self.finish())
    }

    /// The answer so far, with its measurements.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.session.keep();
        let drafted = self
            .drafter
            .as_mut()
            .map(Drafter::drafted)
            .unwrap_or_default();
        Outcome {
            timings: self.timings(),
            usage: Usage {
                prompt_tokens: self.prompt_tokens,
                cached_tokens: self.prefill.cached,
                completion_tokens: self.n_generated,
                drafted_tokens: drafted.proposed,
                accepted_tokens: drafted.accepted,
            },
            // Whoever stops iterating before the end has cancelled the rest.
            finish_reason: self.finish_reason.unwrap_or(FinishReason::Cancelled),
            text: self.text,
        }
    }

    fn timings(&self) -> Timings {
        let clock = &self.clock;
        let first = clock.first_token.unwrap_or(clock.prefilled);
        Timings {
            load_ms: ms(self.session.model().load_time()),
            ttft_ms: ms(first - clock.started),
            prefill_tokens_per_s: rate(self.prefill.evaluated, clock.prefilled - clock.started),
            decode_tokens_per_s: rate(self.n_generated.saturating_sub(1), clock.last_token - first),
            total_ms: ms(clock.last_token - clock.started),
        }
    }

    /// Makes one token and returns the text that it makes certain, perhaps none.
    fn step(&mut self) -> Result<String> {
        if let Some(token) = self.pending.take() {
            match self.compute(token) {
                Err(Error::Interrupted) => return Ok(self.end(FinishReason::Cancelled)),
                other => other?,
            }
        }
        if self.cancel.is_cancelled() {
            return Ok(self.end(FinishReason::Cancelled));
        }
        let logits = self
            .session
            .logits()
            .ok_or_else(|| Error::Engine("the engine gave no logits".to_owned()))?;
        let token = self.sampler.sample(logits)?;
        self.clock.last_token = Instant::now();
        self.clock.first_token.get_or_insert(self.clock.last_token);
        if self.session.model().engine().is_end_of_generation(token) {
            return Ok(self.end(FinishReason::Stop));
        }
        self.n_generated += 1;
        self.take(token)
    }

    /// Computes a chosen token, unless a draft had it, with what may come after it.
    fn compute(&mut self, token: Token) -> Result<()> {
        let Some(drafter) = &mut self.drafter else {
            return self.session.advance(token, &self.cancel);
        };
        if self.session.confirm(token) {
            drafter.confirm(token);
            return Ok(());
        }
        // The answer's last token is chosen and not computed.
        let wanted = self.max_tokens.saturating_sub(self.n_generated + 1);
        let draft = drafter.propose(token, wanted.min(self.session.room_for_draft()));
        let start = Instant::now();
        self.session.advance_with(token, &draft, &self.cancel)?;
        drafter.computed(start.elapsed(), draft.len());
        Ok(())
    }

    fn take(&mut self, token: Token) -> Result<String> {
        let mut bytes = Vec::new();
        self.session
            .model()
            .engine()
            .append_piece(token, &mut bytes);
        match self.stream.push(&bytes) {
            Pushed::Stopped(text) => {
                self.finish_reason = Some(FinishReason::Stop);
                Ok(text)
            }
            Pushed::Text(mut text) => {
                if self.n_generated >= self.max_tokens || !self.session.has_room() {
                    text.push_str(&self.end(FinishReason::Length));
                } else {
                    self.pending = Some(token);
                }
                Ok(text)
            }
        }
    }

    /// Ends the answer and returns the text that was held back.
    fn end(&mut self, reason: FinishReason) -> String {
        self.finish_reason = Some(reason);
        self.stream.finish()
    }
}

impl Iterator for Generation<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.finish_reason.is_none() {
            match self.step() {
                Ok(text) if text.is_empty() => {}
                Ok(text) => {
                    self.text.push_str(&text);
                    return Some(Ok(text));
                }
                Err(error) => {
                    self.finish_reason = Some(FinishReason::Cancelled);
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
