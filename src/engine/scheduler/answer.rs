//! The answer of one request in the making: what comes of each row of logits, and what is told of it.

use std::time::Instant;

use super::request::{CompletionRequest, Event, Finished, Sink};
use crate::engine::constraint::Constraint;
use crate::engine::logprobs::TokenLogprob;
use crate::engine::model::Model;
use crate::engine::outcome::{FinishReason, Timings, Usage, ms, rate};
use crate::engine::text::{Pushed, TextStream};
use crate::error::{Error, Result};
use crate::llama::{CancelToken, Sampler, Token};

/// Everything of a request but its tokens.
pub(super) struct Answer {
    sampler: Sampler,
    constraint: Option<Constraint>,
    stream: TextStream,
    sink: Sink,
    cancel: CancelToken,
    max_tokens: usize,
    logprobs: Option<usize>,
    /// Of the prompt's tokens, where they were asked for.
    prompt_logprobs: Option<Vec<TokenLogprob>>,
    n_prompt: usize,
    n_cached: usize,
    n_generated: usize,
    /// Set once; nothing is told afterwards.
    ended: bool,
    clock: Clock,
    /// A row of logits that may be written to.
    row: Vec<f32>,
}

struct Clock {
    submitted: Instant,
    started: Option<Instant>,
    prefilled: Option<Instant>,
    first_token: Option<Instant>,
    last_token: Option<Instant>,
}

/// What follows from a row of logits.
pub(super) enum Next {
    /// This token is computed next.
    Token(Token),
    /// The answer is complete.
    End,
}

impl Answer {
    /// Checks the options; `n_room` tokens fit behind the prompt.
    pub(super) fn new(
        model: &Model,
        request: CompletionRequest,
        n_room: usize,
        sink: Sink,
    ) -> Result<Self> {
        let options = request.options;
        Ok(Self {
            sampler: options.sampling.sampler(model)?,
            constraint: request.constraint,
            stream: TextStream::new(&options.stop),
            sink,
            cancel: options.cancel,
            max_tokens: options.max_tokens.min(n_room),
            logprobs: request.logprobs,
            prompt_logprobs: request.prompt_logprobs.then(Vec::new),
            n_prompt: request.prompt.len(),
            n_cached: 0,
            n_generated: 0,
            ended: false,
            clock: Clock {
                submitted: Instant::now(),
                started: None,
                prefilled: None,
                first_token: None,
                last_token: None,
            },
            row: Vec::new(),
        })
    }

    /// Most tokens that may follow the prompt.
    pub(super) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Whether every row of the prompt is wanted.
    pub(super) fn wants_prompt_rows(&self) -> bool {
        self.prompt_logprobs.is_some()
    }

    /// Whether nobody waits for this any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Notes that work begins, with `n_cached` tokens of the prompt taken from others.
    pub(super) fn start(&mut self, n_cached: usize) {
        self.n_cached = n_cached;
        self.clock.started = Some(Instant::now());
    }

    /// Takes the row of the prompt's token at `index`, where `next` is the one that follows it there.
    pub(super) fn prompt_row(
        &mut self,
        model: &Model,
        logits: &[f32],
        prompt: &[Token],
        index: usize,
    ) {
        let n_top = self.logprobs.unwrap_or(0);
        let Some(told) = &mut self.prompt_logprobs else {
            return;
        };
        if let (0, Some(&first)) = (index, prompt.first()) {
            told.push(TokenLogprob::first(model, first));
        }
        if let Some(&next) = prompt.get(index + 1) {
            told.extend(TokenLogprob::of(model, logits, next, n_top));
        }
    }

    /// The prompt is computed; `logits` are those of its last token.
    pub(super) fn prefilled(&mut self, model: &Model, logits: &[f32]) -> Next {
        self.clock.prefilled = Some(Instant::now());
        let logprobs = self.prompt_logprobs.take();
        if let Some(logprobs) = logprobs
            && !self.tell(Event::Prompt { logprobs })
        {
            return self.end(FinishReason::Cancelled);
        }
        if self.max_tokens == 0 {
            return self.end(FinishReason::Length);
        }
        self.row(model, logits)
    }

    /// Chooses the next token from the last one's logits.
    pub(super) fn row(&mut self, model: &Model, logits: &[f32]) -> Next {
        self.choose(model, logits)
            .unwrap_or_else(|error| self.fail(error))
    }

    fn choose(&mut self, model: &Model, logits: &[f32]) -> Result<Next> {
        let token = match &mut self.constraint {
            None => self.sampler.sample(logits)?,
            Some(constraint) => {
                self.row.clear();
                self.row.extend_from_slice(logits);
                constraint.mask(&mut self.row)?;
                self.sampler.sample(&self.row)?
            }
        };
        let now = Instant::now();
        self.clock.first_token.get_or_insert(now);
        self.clock.last_token = Some(now);
        let logprob = match self.logprobs {
            Some(n_top) => Some(TokenLogprob::of(model, logits, token, n_top).ok_or_else(
                || Error::NonFinite {
                    place: format!("token {} of the answer", self.n_generated),
                },
            )?),
            None => None,
        };
        if model.is_end_of_generation(token) {
            if logprob.is_some() {
                self.tell(Event::Piece {
                    text: String::new(),
                    logprob,
                });
            }
            return Ok(self.end(FinishReason::Stop));
        }
        self.n_generated += 1;
        let complete = match &mut self.constraint {
            Some(constraint) => constraint.accept(token)?,
            None => false,
        };
        Ok(self.take(model, token, logprob, complete))
    }

    /// Turns the token into text and decides whether it was the last.
    fn take(
        &mut self,
        model: &Model,
        token: Token,
        logprob: Option<TokenLogprob>,
        complete: bool,
    ) -> Next {
        let (mut text, stopped) = match self.stream.push(&model.plain_bytes(token)) {
            Pushed::Stopped(text) => (text, true),
            Pushed::Text(text) => (text, false),
        };
        let reason = if stopped || complete {
            Some(FinishReason::Stop)
        } else if self.n_generated >= self.max_tokens {
            Some(FinishReason::Length)
        } else {
            None
        };
        if reason.is_some() && !stopped {
            text.push_str(&self.stream.finish());
        }
        let silent = text.is_empty() && logprob.is_none();
        let heard = silent || self.tell(Event::Piece { text, logprob });
        match reason {
            Some(reason) => self.end(reason),
            None if !heard => self.end(FinishReason::Cancelled),
            None => Next::Token(token),
        }
    }

    /// Tells how it ended, with what was held back of the text.
    pub(super) fn end(&mut self, reason: FinishReason) -> Next {
        if !self.ended {
            let rest = self.stream.finish();
            if !rest.is_empty() && reason != FinishReason::Cancelled {
                self.tell(Event::Piece {
                    text: rest,
                    logprob: None,
                });
            }
            let finished = self.finished(reason);
            self.tell(Event::Done(finished));
            self.ended = true;
        }
        Next::End
    }

    /// Tells that it cannot be completed.
    pub(super) fn fail(&mut self, error: Error) -> Next {
        if !self.ended {
            self.tell(Event::Failed(error));
            self.ended = true;
        }
        Next::End
    }

    fn tell(&mut self, event: Event) -> bool {
        !self.ended && (self.sink)(event)
    }

    fn finished(&self, finish_reason: FinishReason) -> Finished {
        let clock = &self.clock;
        let now = Instant::now();
        let started = clock.started.unwrap_or(now);
        let prefilled = clock.prefilled.unwrap_or(now);
        let first = clock.first_token.unwrap_or(prefilled);
        let last = clock.last_token.unwrap_or(first);
        let (prefill, decode) = (prefilled - started, last - first);
        Finished {
            finish_reason,
            usage: Usage {
                prompt_tokens: self.n_prompt,
                cached_tokens: self.n_cached,
                completion_tokens: self.n_generated,
                ..Usage::default()
            },
            timings: Timings {
                load_ms: 0.0,
                ttft_ms: ms(first - clock.submitted),
                prefill_tokens_per_s: rate(self.n_prompt - self.n_cached, prefill),
                decode_tokens_per_s: rate(self.n_generated.saturating_sub(1), decode),
                total_ms: ms(last - clock.submitted),
            },
            queued: started - clock.submitted,
            prefill,
            decode,
        }
    }
}
