//! The scheduler's thread: takes commands, admits, steps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::lane::{Admission, Lane, Waiting};
use super::lanes::Lanes;
use super::stats::{Counters, add, set};
use crate::engine::hash::ContentHash;
use crate::engine::outcome::FinishReason;
use crate::llama::CancelToken;

/// How long later requests may overtake one for whose stack no context is free. Then nothing is admitted before it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time between two blocks for the prefix cache: for the thread that writes, and for requests to come.
const BETWEEN_BLOCKS: Duration = Duration::from_millis(1);

/// What the thread is told. There is nothing else that it does.
pub(super) enum Command {
    /// Answer a request.
    Submit(Box<Waiting>),
    /// Drop contexts that use an adapter, as soon as they are idle.
    Unload(ContentHash),
    /// Fail what is there and end.
    Abort,
}

pub(super) struct Worker {
    commands: Receiver<Command>,
    lanes: Lanes,
    waiting: VecDeque<Waiting>,
    unloading: Vec<ContentHash>,
    /// Since when the oldest request without a context waits for one.
    homeless_since: Option<Instant>,
    counters: Arc<Counters>,
    /// Stops a batch half way.
    abort: CancelToken,
}

impl Worker {
    pub(super) fn new(
        commands: Receiver<Command>,
        lanes: Lanes,
        counters: Arc<Counters>,
        abort: CancelToken,
    ) -> Self {
        Self {
            commands,
            lanes,
            waiting: VecDeque::new(),
            unloading: Vec::new(),
            homeless_since: None,
            counters,
            abort,
        }
    }

    /// Works until every handle is gone and everything is answered, or until told to abort.
    pub(super) fn run(mut self) {
        while self.receive() {
            self.lanes.drop_cancelled();
            self.drop_cancelled();
            let lanes = &mut self.lanes;
            self.unloading.retain(|&sha256| !lanes.unload(sha256));
            self.admit();
            let progress = self.lanes.step(&self.abort);
            let counters = &self.counters;
            if progress.n_tokens > 0 {
                add(&counters.steps, 1);
            }
            add(&counters.tokens, progress.n_tokens);
            add(&counters.prompt_tokens, progress.n_prompt);
            add(&counters.chosen_tokens, progress.n_chosen);
            self.gauge();
        }
        let reason = "the scheduler has stopped";
        self.lanes.fail_all(reason);
        for mut waiting in self.waiting.drain(..) {
            waiting
                .answer
                .fail(crate::error::Error::Engine(reason.to_owned()));
        }
    }

    /// Takes all commands that are there; waits for one where there is nothing else to do. False at the end.
    fn receive(&mut self) -> bool {
        loop {
            let is_idle = self.waiting.is_empty() && self.lanes.is_idle();
            let command = if is_idle && self.unloading.is_empty() {
                self.wait()
            } else {
                self.commands.try_recv()
            };
            match command {
                Ok(Command::Submit(waiting)) => self.waiting.push_back(*waiting),
                Ok(Command::Unload(sha256)) => self.unloading.push(sha256),
                Ok(Command::Abort) => return false,
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return !is_idle,
            }
            self.gauge();
        }
    }

    /// Waits for a command. What finished requests left behind is kept meanwhile.
    fn wait(&mut self) -> Result<Command, TryRecvError> {
        while self.lanes.keep_on_disk() {
            match self.commands.recv_timeout(BETWEEN_BLOCKS) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(TryRecvError::Disconnected),
                Ok(command) => return Ok(command),
            }
        }
        self.commands.recv().map_err(|_| TryRecvError::Disconnected)
    }

    fn drop_cancelled(&mut self) {
        for waiting in &mut self.waiting {
            if waiting.answer.is_cancelled() {
                waiting.answer.end(FinishReason::Cancelled);
            }
        }
        self.waiting
            .retain(|waiting| !waiting.answer.is_cancelled());
    }

    /// Lets requests join in the order in which they came, past those that cannot yet.
    fn admit(&mut self) {
        let mut full: Vec<usize> = Vec::new();
        let mut homeless = false;
        let patient = |since: Option<Instant>| since.is_none_or(|at| at.elapsed() < PATIENCE);
        for mut waiting in std::mem::take(&mut self.waiting) {
            if homeless && !patient(self.homeless_since) {
                self.waiting.push_back(waiting);
                continue;
            }
            match self.lanes.of(waiting.fingerprint, &waiting.stack) {
                Err(error) => {
                    waiting.answer.fail(error);
                }
                Ok(None) => {
                    homeless = true;
                    self.homeless_since.get_or_insert_with(Instant::now);
                    self.waiting.push_back(waiting);
                }
                // Those of one stack keep their order, so that a large one is not overtaken for ever.
                Ok(Some(at)) if full.contains(&at) => self.waiting.push_back(waiting),
                Ok(Some(at)) => match self.lanes.lane(at).admit(waiting) {
                    Admission::Joined => {}
                    Admission::Later(waiting) => self.waiting.push_back(waiting),
                    Admission::Full(waiting) => {
                        full.push(at);
                        self.waiting.push_back(waiting);
                    }
                },
            }
        }
        if !homeless {
            self.homeless_since = None;
        }
    }

    fn gauge(&self) {
        let counters = &self.counters;
        let sum = |of: fn(&Lane) -> usize| self.lanes.iter().map(of).sum();
        set(&counters.waiting, self.waiting.len());
        set(&counters.running, sum(Lane::n_running));
        set(&counters.stacks, self.lanes.iter().count());
        set(&counters.kept, sum(Lane::n_kept));
        set(&counters.cells_used, sum(|lane| lane.cells().used()));
        set(&counters.cells, sum(|lane| lane.cells().len()));
        set(&counters.restacked, self.lanes.restacked);
    }
}
