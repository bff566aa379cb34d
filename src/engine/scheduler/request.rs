//! What a scheduler is asked for, and what it answers: a request, and events as they come.

use std::time::Duration;

use crate::engine::constraint::Constraint;
use crate::engine::generation::GenerateOptions;
use crate::engine::logprobs::TokenLogprob;
use crate::engine::outcome::{FinishReason, Outcome, Timings, Usage};
use crate::engine::stack::AdapterStack;
use crate::error::Error;
use crate::llama::Token;

/// A request: a prompt, what it is computed under, and how to answer.
#[derive(Debug)]
pub struct CompletionRequest {
    /// The whole prompt: at least one token.
    pub prompt: Vec<Token>,
    /// The adapters.
    pub stack: AdapterStack,
    /// How to answer. Its `cancel` ends the request at the next step.
    pub options: GenerateOptions,
    /// What the answer has to look like.
    pub constraint: Option<Constraint>,
    /// Likeliest alternatives to report with each token; `None` reports nothing.
    pub logprobs: Option<usize>,
    /// Whether to report the prompt's tokens too. They are all computed then, none is taken from the cache.
    pub prompt_logprobs: bool,
}

/// What becomes of a request. The last one is always [`Event::Done`] or [`Event::Failed`].
#[derive(Debug)]
pub enum Event {
    /// The prompt is computed.
    Prompt {
        /// Its tokens, where they were asked for; the first has no probability.
        logprobs: Vec<TokenLogprob>,
    },
    /// A token was chosen.
    Piece {
        /// Text that is certain now, perhaps none.
        text: String,
        /// The token, where it was asked for.
        logprob: Option<TokenLogprob>,
    },
    /// The answer is complete.
    Done(Finished),
    /// It could not be completed.
    Failed(Error),
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Why.
    pub finish_reason: FinishReason,
    /// Tokens used.
    pub usage: Usage,
    /// Times, as a session reports them; time to first token counts from submission.
    pub timings: Timings,
    /// From submission to the first step that worked on it.
    pub queued: Duration,
    /// From there to the end of the prompt.
    pub prefill: Duration,
    /// From the first token to the last.
    pub decode: Duration,
}

impl Finished {
    /// The whole answer, with the text that its pieces make.
    #[must_use]
    pub fn outcome(&self, text: String) -> Outcome {
        Outcome {
            text,
            finish_reason: self.finish_reason,
            usage: self.usage,
            timings: self.timings,
        }
    }
}

/// Where events go. It is called on the scheduler's thread and must not block; `false` says that nobody listens any
/// more, which ends the request.
pub type Sink = Box<dyn FnMut(Event) -> bool + Send>;
