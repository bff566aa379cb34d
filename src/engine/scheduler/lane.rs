//! A lane: one context with one stack of adapters, and the requests that are computed on it together.
//!
//! Requests join and leave between steps. A step is one batch: a token of each answer that is under way, and a piece of
//! the oldest prompt that is not computed yet. What a new request has in common with any other sequence here, running or
//! finished, is shared and not computed again.

use super::answer::{Answer, Next};
use super::cells::Cells;
use super::options::Sizes;
use super::sequence::{Running, Sequence, cells_to_the_end};
use super::shelf::Shelf;
use crate::engine::common_prefix::common_prefix;
use crate::engine::model::Model;
use crate::engine::outcome::FinishReason;
use crate::engine::stack::{AdapterStack, StackFingerprint};
use crate::error::{Error, Result};
use crate::llama::{Batch, CancelToken, Context, Token};

/// Prompt tokens in a step while answers are under way: what they wait for at most. A batch of this size already runs
/// at nearly the full speed of prefill.
const PREFILL_BESIDE_ANSWERS: usize = 64;
/// Prompt tokens in a step while none is.
const PREFILL_ALONE: usize = 256;
/// Prompt tokens in a step where all their rows are wanted: a row of 49,152 logits is 196 kB.
const PREFILL_WITH_ROWS: usize = 64;
/// A request waits for another one to compute their common prefix if at least so many tokens of it are to come.
const WORTH_WAITING: usize = 16;
/// Share of the cells that may hold what finished requests left behind. Every token looks at every cell, its own or not.
const KEPT_SHARE: usize = 4;

/// A request that is not admitted yet.
pub(super) struct Waiting {
    pub(super) prompt: Vec<Token>,
    pub(super) stack: AdapterStack,
    pub(super) fingerprint: StackFingerprint,
    pub(super) answer: Answer,
}

/// Whether a request could join.
pub(super) enum Admission {
    Joined,
    /// Another request computes a prefix of it just now: wait for that.
    Later(Waiting),
    /// There is no room until another one ends.
    Full(Waiting),
}

/// What a step came to.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Progress {
    pub(super) n_tokens: usize,
    pub(super) n_prompt: usize,
    pub(super) n_chosen: usize,
}

pub(super) struct Lane {
    model: Model,
    pub(super) context: Context,
    batch: Batch,
    stack: AdapterStack,
    fingerprint: StackFingerprint,
    pub(super) cells: Cells,
    pub(super) free_slots: Vec<u32>,
    n_parallel: usize,
    /// In the order in which they joined.
    pub(super) running: Vec<Running>,
    /// What finished requests left behind, the longest unused first.
    pub(super) kept: Vec<Sequence>,
    shares: bool,
    /// Where the beginnings of prompts are kept beyond this process.
    pub(super) shelf: Option<Shelf>,
}

impl Lane {
    pub(super) fn new(model: &Model, sizes: &Sizes, stack: AdapterStack) -> Result<Self> {
        let context = Context::new(model.engine(), &sizes.context)?;
        let mut lane = Self {
            model: model.clone(),
            cells: Cells::new(context.n_ctx()),
            context,
            batch: Batch::default(),
            stack: AdapterStack::base(),
            fingerprint: StackFingerprint::default(),
            free_slots: (0..sizes.context.n_seq_max).rev().collect(),
            n_parallel: sizes.n_parallel,
            running: Vec::new(),
            kept: Vec::new(),
            // A recurrent state cannot be cut at the end of a common prefix.
            shares: !model.engine().is_recurrent(),
            shelf: None,
        };
        if let Some(cache) = sizes.prefix_cache.as_ref()
            && model.engine().has_plain_memory()
        {
            let shelf = Shelf::new(cache, model, lane.fingerprint, sizes.context.kv_type)?;
            lane.shelf = Some(shelf);
        }
        lane.set_stack(stack)?;
        Ok(lane)
    }

    pub(super) fn fingerprint(&self) -> StackFingerprint {
        self.fingerprint
    }

    pub(super) fn stack(&self) -> &AdapterStack {
        &self.stack
    }

    /// Whether nothing runs here.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn n_running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn n_kept(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Puts another stack on. Nothing may run; what was kept is dropped, since it was computed under the old one.
    pub(super) fn set_stack(&mut self, stack: AdapterStack) -> Result<()> {
        while !self.kept.is_empty() {
            self.drop_kept(0);
        }
        self.fingerprint = stack.fingerprint();
        if let Some(shelf) = &self.shelf {
            self.shelf = Some(shelf.under(&self.model, self.fingerprint)?);
        }
        let adapters = stack
            .effective()
            .map(|(adapter, scale)| (adapter.engine().clone(), *scale))
            .collect();
        self.stack = stack;
        self.context.set_adapters(adapters)
    }

    /// Lets a request join if it fits to its end.
    pub(super) fn admit(&mut self, waiting: Waiting) -> Admission {
        if self.running.len() >= self.n_parallel {
            return Admission::Full(waiting);
        }
        let (donor, n_shared) = self.donor(&waiting);
        if self.comes_soon(&waiting, n_shared) {
            return Admission::Later(waiting);
        }
        let n_new = cells_to_the_end(waiting.prompt.len(), waiting.answer.max_tokens()) - n_shared;
        if !self.make_room(n_new, donor, n_shared) {
            return Admission::Full(waiting);
        }
        let Some(slot) = self.free_slots.pop() else {
            return Admission::Full(waiting);
        };
        let mut cells = self.share(donor, slot, n_shared);
        if !waiting.answer.wants_prompt_rows() {
            self.take_from_disk(slot, &waiting.prompt, &mut cells, n_new);
        }
        let n_cached = cells.len();
        let mut running = Running {
            n_prompt: waiting.prompt.len(),
            sequence: Sequence {
                slot,
                tokens: waiting.prompt,
                cells,
            },
            answer: waiting.answer,
        };
        running.answer.start(n_cached);
        self.running.push(running);
        Admission::Joined
    }

    /// The sequence that has the longest prefix of a request computed, by its slot, and how long that is. At least the
    /// prompt's last token is always computed: its logits are needed.
    fn donor(&self, waiting: &Waiting) -> (Option<u32>, usize) {
        if !self.shares || waiting.answer.wants_prompt_rows() {
            return (None, 0);
        }
        let shareable = &waiting.prompt[..waiting.prompt.len() - 1];
        self.running
            .iter()
            .map(|running| &running.sequence)
            .chain(&self.kept)
            .map(|sequence| (sequence.slot, common_prefix(sequence.computed(), shareable)))
            // A sliding window may have let the beginning go.
            .filter(|&(slot, n)| n > 0 && self.context.first_position(slot) == Some(0))
            .max_by_key(|&(_, n)| n)
            .map_or((None, 0), |(slot, n)| (Some(slot), n))
    }

    /// Whether a prompt that is being computed will give this request more than it finds now.
    fn comes_soon(&self, waiting: &Waiting, n_shared: usize) -> bool {
        self.shares
            && !waiting.answer.wants_prompt_rows()
            && self.running.iter().any(|running| {
                running.is_prefilling()
                    && common_prefix(&running.sequence.tokens, &waiting.prompt)
                        >= n_shared + WORTH_WAITING
            })
    }

    /// Drops what is kept, longest unused first, until `n_new` cells and a slot are free beyond what is promised.
    fn make_room(&mut self, n_new: usize, donor: Option<u32>, n_shared: usize) -> bool {
        let promised: usize = self.running.iter().map(Running::n_reserved).sum();
        loop {
            let fits = self.cells.used() + promised + n_new <= self.cells.len();
            if fits && !self.free_slots.is_empty() {
                return true;
            }
            let next = self.kept.iter().position(|kept| Some(kept.slot) != donor);
            if let Some(at) = next {
                self.drop_kept(at);
                continue;
            }
            // Only the donor is left: what the request does not share of it can go.
            let Some(kept) = self
                .kept
                .iter_mut()
                .find(|kept| kept.cells.len() > n_shared)
            else {
                return false;
            };
            self.context.truncate(kept.slot, n_shared);
            kept.tokens.truncate(n_shared);
            self.cells.release(&mut kept.cells, n_shared);
        }
    }

    /// Makes `slot` begin with what the donor has.
    fn share(&mut self, donor: Option<u32>, slot: u32, n_shared: usize) -> Vec<u32> {
        let Some(donor) = donor else {
            return Vec::new();
        };
        // Used now: the last one to be dropped.
        if let Some(at) = self.kept.iter().position(|kept| kept.slot == donor) {
            let kept = self.kept.remove(at);
            self.kept.push(kept);
        }
        let sequences = self.running.iter().map(|running| &running.sequence);
        let found = sequences.chain(&self.kept).find(|s| s.slot == donor);
        let Some(found) = found else {
            return Vec::new();
        };
        self.context.fork_prefix(donor, slot, n_shared);
        self.cells.share(&found.cells[..n_shared])
    }

    /// Ends what was cancelled.
    pub(super) fn drop_cancelled(&mut self) {
        for at in (0..self.running.len()).rev() {
            if self.running[at].answer.is_cancelled() {
                self.running[at].answer.end(FinishReason::Cancelled);
                self.retire(at);
            }
        }
    }

    /// Ends everything with an error.
    pub(super) fn fail_all(&mut self, reason: &str) {
        for at in (0..self.running.len()).rev() {
            self.running[at]
                .answer
                .fail(Error::Engine(reason.to_owned()));
            self.retire(at);
        }
    }

    /// Computes one batch.
    pub(super) fn step(&mut self, cancel: &CancelToken) -> Progress {
        let plan = self.plan();
        if plan.is_empty() {
            return Progress::default();
        }
        self.batch.clear();
        for &(at, n) in &plan {
            let running = &self.running[at];
            let sequence = &running.sequence;
            let start = sequence.cells.len();
            for (i, &token) in sequence.pending()[..n].iter().enumerate() {
                let is_last = start + i + 1 == sequence.tokens.len();
                let output = is_last || running.answer.wants_prompt_rows();
                self.batch.push(token, start + i, sequence.slot, output);
            }
        }
        let mut progress = Progress {
            n_tokens: self.batch.len(),
            ..Progress::default()
        };
        if let Err(error) = self.compute(&plan, cancel) {
            self.fail_planned(&plan, &error);
            return progress;
        }
        self.read(&plan, &mut progress);
        progress
    }

    /// How many tokens of which running request go into the next batch.
    fn plan(&self) -> Vec<(usize, usize)> {
        let (answering, prefilling): (Vec<usize>, Vec<usize>) =
            (0..self.running.len()).partition(|&at| !self.running[at].is_prefilling());
        let mut room = if answering.is_empty() {
            PREFILL_ALONE
        } else {
            PREFILL_BESIDE_ANSWERS
        };
        let mut plan: Vec<(usize, usize)> = answering.into_iter().map(|at| (at, 1)).collect();
        // Every answer has its place: a batch has one for each request at least.
        room = room.min(self.context.n_batch().saturating_sub(plan.len()));
        for at in prefilling {
            let running = &self.running[at];
            if running.answer.wants_prompt_rows() {
                room = room.min(PREFILL_WITH_ROWS);
            }
            let n = running.sequence.pending().len().min(room);
            if n == 0 {
                break;
            }
            room -= n;
            plan.push((at, n));
        }
        plan
    }

    fn compute(&mut self, plan: &[(usize, usize)], cancel: &CancelToken) -> Result<()> {
        let n_tokens = self.batch.len();
        let mut taken = Vec::new();
        if !self.cells.take(n_tokens, &mut taken) {
            // Admission promises that this does not happen.
            return Err(Error::ContextFull {
                n_tokens: self.cells.used() + n_tokens,
                n_ctx: self.cells.len(),
            });
        }
        if let Err(error) = self.context.decode(&mut self.batch, cancel) {
            self.cells.release(&mut taken, 0);
            return Err(error);
        }
        for &(at, n) in plan {
            let rest = taken.split_off(n);
            self.running[at].sequence.cells.append(&mut taken);
            taken = rest;
        }
        Ok(())
    }

    /// Hands each row to its request, and lets those that are complete leave.
    fn read(&mut self, plan: &[(usize, usize)], progress: &mut Progress) {
        let mut row = 0;
        let mut complete = Vec::new();
        for &(at, n) in plan {
            let Running {
                sequence,
                n_prompt,
                answer,
            } = &mut self.running[at];
            let end = sequence.cells.len();
            let prefills = end - n < *n_prompt;
            progress.n_prompt += if prefills { n } else { 0 };
            if answer.wants_prompt_rows() {
                for i in 0..n {
                    if let Some(logits) = self.context.logits(row + i) {
                        answer.prompt_row(&self.model, logits, &sequence.tokens, end - n + i);
                    }
                }
            }
            row += n;
            if end < sequence.tokens.len() {
                continue;
            }
            let next = match self.context.logits(row - 1) {
                None => answer.fail(Error::Engine("the engine gave no logits".to_owned())),
                Some(logits) if prefills => answer.prefilled(&self.model, logits),
                Some(logits) => answer.row(&self.model, logits),
            };
            match next {
                Next::Token(token) => {
                    progress.n_chosen += 1;
                    sequence.tokens.push(token);
                }
                Next::End => complete.push(at),
            }
        }
        complete.sort_unstable();
        for at in complete.into_iter().rev() {
            self.retire(at);
        }
    }

    /// Nothing of a failed batch can be used.
    fn fail_planned(&mut self, plan: &[(usize, usize)], error: &Error) {
        let mut failed: Vec<usize> = plan.iter().map(|&(at, _)| at).collect();
        failed.sort_unstable();
        for at in failed.into_iter().rev() {
            let running = &mut self.running[at];
            let sequence = &running.sequence;
            self.context.truncate(sequence.slot, sequence.cells.len());
            running.answer.fail(Error::Engine(error.to_string()));
            self.retire(at);
        }
    }

    /// Takes a request out, and keeps what was computed for those that begin the same.
    fn retire(&mut self, at: usize) {
        let mut sequence = self.running.remove(at).sequence;
        sequence.tokens.truncate(sequence.cells.len());
        if sequence.tokens.is_empty() || !self.shares {
            self.forget(sequence);
            return;
        }
        let tokens = &sequence.tokens;
        // Whoever could use those can use this.
        while let Some(at) = self
            .kept
            .iter()
            .position(|kept| common_prefix(&kept.tokens, tokens) == kept.tokens.len())
        {
            self.drop_kept(at);
        }
        if let Some(shelf) = &mut self.shelf {
            shelf.note(&sequence);
        }
        self.kept.push(sequence);
        self.trim();
    }

    /// Keeps no more than its share. What running requests hold does not count: it is there anyway.
    fn trim(&mut self) {
        let running: usize = self
            .running
            .iter()
            .map(|running| running.sequence.cells.len())
            .sum();
        while self.kept.len() > 1
            && self.cells.used().saturating_sub(running) > self.cells.len() / KEPT_SHARE
        {
            self.drop_kept(0);
        }
    }

    fn drop_kept(&mut self, at: usize) {
        let kept = self.kept.remove(at);
        self.forget(kept);
    }

    fn forget(&mut self, mut sequence: Sequence) {
        if let Some(shelf) = &mut self.shelf {
            shelf.forget(sequence.slot);
        }
        self.context.truncate(sequence.slot, 0);
        self.cells.release(&mut sequence.cells, 0);
        self.free_slots.push(sequence.slot);
    }
}
