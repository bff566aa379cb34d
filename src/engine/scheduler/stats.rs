//! What a scheduler has done and has at hand, readable from any thread.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Counts since the start, and sizes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SchedulerStats {
    /// Requests that wait.
    pub waiting: u64,
    /// Requests under way.
    pub running: u64,
    /// Contexts, one for each stack in use.
    pub stacks: u64,
    /// Finished requests whose computed tokens are kept.
    pub kept: u64,
    /// Cells of KV that are taken, over all contexts.
    pub cells_used: u64,
    /// Cells of KV that there are.
    pub cells: u64,
    /// Batches computed.
    pub steps: u64,
    /// Tokens computed.
    pub tokens: u64,
    /// Tokens of prompts among them.
    pub prompt_tokens: u64,
    /// Tokens chosen.
    pub chosen_tokens: u64,
    /// Times that a context got another stack.
    pub restacked: u64,
}

/// The counters behind [`SchedulerStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) waiting: AtomicU64,
    pub(super) running: AtomicU64,
    pub(super) stacks: AtomicU64,
    pub(super) kept: AtomicU64,
    pub(super) cells_used: AtomicU64,
    pub(super) cells: AtomicU64,
    pub(super) steps: AtomicU64,
    pub(super) tokens: AtomicU64,
    pub(super) prompt_tokens: AtomicU64,
    pub(super) chosen_tokens: AtomicU64,
    pub(super) restacked: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> SchedulerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SchedulerStats {
            waiting: read(&self.waiting),
            running: read(&self.running),
            stacks: read(&self.stacks),
            kept: read(&self.kept),
            cells_used: read(&self.cells_used),
            cells: read(&self.cells),
            steps: read(&self.steps),
            tokens: read(&self.tokens),
            prompt_tokens: read(&self.prompt_tokens),
            chosen_tokens: read(&self.chosen_tokens),
            restacked: read(&self.restacked),
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

/// Sets a gauge.
pub(super) fn set(gauge: &AtomicU64, n: usize) {
    gauge.store(n as u64, Ordering::Relaxed);
}
