//! How far a pull is, and whether it shall go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How soon a request to stop is noticed while waiting.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// What a pull is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Bytes come from outside.
    Fetching,
    /// Files on disk are hashed, and unpacked where they came packed.
    Verifying,
    /// The caller's conversion runs; it does not say how far it is.
    Converting,
}

/// How far a pull is in its present phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullProgress {
    /// The phase.
    pub phase: Phase,
    /// Bytes done, those of an earlier, interrupted pull included.
    pub done: u64,
    /// Bytes in all, where that is known.
    pub total: Option<u64>,
}

/// The caller's ears and stop button.
pub(super) struct Watch<'a> {
    progress: &'a mut dyn FnMut(PullProgress),
    cancel: &'a AtomicBool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(progress: &'a mut dyn FnMut(PullProgress), cancel: &'a AtomicBool) -> Self {
        Self { progress, cancel }
    }

    /// Reports, then fails if the pull was cancelled.
    pub(super) fn step(&mut self, phase: Phase, done: u64, total: Option<u64>) -> Result<()> {
        (self.progress)(PullProgress { phase, done, total });
        self.check()
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Sleeps, in steps short enough to notice a cancel.
    pub(super) fn sleep(&self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TICK));
        }
    }
}
