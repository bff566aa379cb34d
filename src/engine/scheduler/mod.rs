//! Many requests at once over one model: continuous batching.
//!
//! One thread owns the contexts and is told what to do by a closed set of commands. Requests join and leave between
//! batches; a long prompt is computed in pieces beside the answers that are under way; what requests have in common is
//! computed once. Adapters belong to a context and not to a sequence, so requests are grouped by what their stack
//! computes: one context for each stack in use, served in turn.
//!
//! What this leaves to others: HTTP (`serve`), who may ask how much, and the meaning of a prompt.

mod answer;
mod cells;
mod lane;
mod lanes;
mod options;
mod request;
mod sequence;
mod shelf;
mod stats;
mod worker;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::hash::ContentHash;
use super::model::Model;
use crate::error::{Error, Result};
use crate::llama::CancelToken;

use answer::Answer;
use lane::Waiting;
use lanes::Lanes;
use stats::Counters;
use worker::{Command, Worker};

pub use options::SchedulerOptions;
pub use request::{CompletionRequest, Event, Finished, Sink};
pub use stats::SchedulerStats;

/// How often it is looked whether the thread has ended.
const ABORT_INTERVAL: Duration = Duration::from_millis(2);

/// A handle to the thread that computes. When the last clone is gone the thread finishes what it has, and ends.
///
/// # Examples
/// ```no_run
/// use unforget::engine::{
///     AdapterStack, CompletionRequest, Event, GenerateOptions, Model, ModelOptions, Scheduler, SchedulerOptions,
/// };
/// let model = Model::open("model.gguf".as_ref(), ModelOptions::default())?;
/// let scheduler = Scheduler::start(&model, &SchedulerOptions::default())?;
/// let (sender, events) = std::sync::mpsc::channel();
/// let request = CompletionRequest {
///     prompt: model.tokenize("The capital of Italy is")?,
///     stack: AdapterStack::base(),
///     options: GenerateOptions::default(),
///     constraint: None,
///     logprobs: None,
///     prompt_logprobs: false,
/// };
/// scheduler.submit(request, Box::new(move |event| sender.send(event).is_ok()))?;
/// for event in events {
///     match event {
///         Event::Piece { text, .. } => print!("{text}"),
///         Event::Done(finished) => println!(" ({} tokens)", finished.usage.completion_tokens),
///         Event::Failed(error) => return Err(error),
///         Event::Prompt { .. } => {}
///     }
/// }
/// # Ok::<(), unforget::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scheduler {
    model: Model,
    commands: Sender<Command>,
    counters: Arc<Counters>,
    abort: CancelToken,
    n_ctx: usize,
    thread: Arc<JoinHandle<()>>,
}

impl Scheduler {
    /// Starts the thread. Contexts are made when the first request for their stack comes.
    ///
    /// # Errors
    /// [`Error::WrongModelKind`] for an embedder, [`Error::Io`] if no thread can be started.
    pub fn start(model: &Model, options: &SchedulerOptions) -> Result<Self> {
        model.require_generator()?;
        let sizes = options.sizes(model);
        let n_ctx = sizes.n_ctx;
        let (sender, commands) = channel();
        let counters = Arc::new(Counters::default());
        let abort = CancelToken::default();
        let worker = Worker::new(
            commands,
            Lanes::new(model.clone(), sizes),
            Arc::clone(&counters),
            abort.clone(),
        );
        let thread = std::thread::Builder::new()
            .name("scheduler".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            model: model.clone(),
            commands: sender,
            counters,
            abort,
            n_ctx,
            thread: Arc::new(thread),
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Tokens that a request may have, prompt and answer together.
    #[must_use]
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Hands over a request. Its options are checked here; what happens then comes as events.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty prompt or options out of range, [`Error::Grammar`],
    /// [`Error::ContextFull`] for a prompt that leaves no room for an answer, [`Error::Engine`] if the thread is gone.
    pub fn submit(&self, request: CompletionRequest, sink: Sink) -> Result<()> {
        let n_prompt = request.prompt.len();
        if n_prompt == 0 {
            return Err(Error::InvalidArgument {
                what: "prompt",
                value: String::new(),
                expected: "at least one token".to_owned(),
            });
        }
        if n_prompt >= self.n_ctx {
            return Err(Error::ContextFull {
                n_tokens: n_prompt,
                n_ctx: self.n_ctx,
            });
        }
        let waiting = Waiting {
            prompt: request.prompt.clone(),
            stack: request.stack.clone(),
            fingerprint: request.stack.fingerprint(),
            answer: Answer::new(&self.model, request, self.n_ctx - n_prompt, sink)?,
        };
        self.commands
            .send(Command::Submit(Box::new(waiting)))
            .map_err(|_| gone())
    }

    /// Drops the contexts that use an adapter, once they are idle. Its memory is free when the caller has dropped it too.
    ///
    /// # Errors
    /// [`Error::Engine`] if the thread is gone.
    pub fn unload(&self, sha256: ContentHash) -> Result<()> {
        self.commands
            .send(Command::Unload(sha256))
            .map_err(|_| gone())
    }

    /// Ends now: what is under way fails. Returns when the thread has ended and its memory is free.
    pub fn abort(&self) {
        self.abort.cancel();
        // A thread that is gone has ended already.
        let _ = self.commands.send(Command::Abort);
        while self.is_alive() {
            std::thread::sleep(ABORT_INTERVAL);
        }
    }

    /// Whether the thread works.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Counts and sizes.
    #[must_use]
    pub fn stats(&self) -> SchedulerStats {
        self.counters.read()
    }
}

fn gone() -> Error {
    Error::Engine("the scheduler has stopped".to_owned())
}
