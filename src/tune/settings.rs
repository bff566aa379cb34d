//! Threads and batch sizes: what suits the machine, found by measuring one change at a time beside the default.

use serde::{Deserialize, Serialize};

use super::measure::median;
use crate::Result;
use crate::engine::{
    AdapterStack, CancelToken, Contender, Job, JobTime, Model, SessionOptions, bench_in_turn,
};

/// A gain below this is within what two runs of the same settings differ by.
const MIN_GAIN: f64 = 1.03;
/// Sizes of what is computed at once, beside the default of 512.
const UBATCHES: [u32; 3] = [64, 128, 256];

/// Sizes for sessions; `None` is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Threads while decoding a token at a time.
    pub n_threads: Option<u32>,
    /// Threads while computing a prompt.
    pub n_threads_batch: Option<u32>,
    /// Most tokens computed at once.
    pub n_ubatch: Option<u32>,
}

impl Settings {
    /// As the sizes of a session.
    #[must_use]
    pub fn sizes(&self) -> SessionOptions {
        SessionOptions {
            n_threads: self.n_threads,
            n_threads_batch: self.n_threads_batch,
            n_ubatch: self.n_ubatch,
            ..SessionOptions::default()
        }
    }
}

/// Measures each setting beside the default, and keeps what is faster by more than noise.
pub(super) fn search(
    model: &Model,
    job: Job,
    rounds: usize,
    cancel: &CancelToken,
    mut progress: impl FnMut(&str),
) -> Result<Settings> {
    let stack = AdapterStack::base();
    let with = |settings: Settings| Contender {
        model,
        stack: &stack,
        options: settings.sizes(),
    };
    let default = with(Settings::default());
    let mut beside = |settings: Settings, what: &str| -> Result<Vec<[JobTime; 2]>> {
        progress(what);
        bench_in_turn([&default, &with(settings)], job, rounds, cancel)
    };
    let gain = |times: &[[JobTime; 2]], value: fn(JobTime) -> f64| {
        median(times.iter().map(|pair| value(pair[0]) / value(pair[1])))
    };
    let mut best = Settings::default();
    let (mut prefill, mut decode, mut ubatch) = (MIN_GAIN, MIN_GAIN, MIN_GAIN);
    for n in thread_counts() {
        let settings = Settings {
            n_threads: Some(n),
            n_threads_batch: Some(n),
            n_ubatch: None,
        };
        let times = beside(settings, &format!("{n} threads"))?;
        if gain(&times, |time| time.prefill_s) > prefill {
            prefill = gain(&times, |time| time.prefill_s);
            best.n_threads_batch = Some(n);
        }
        if gain(&times, |time| time.decode_s) > decode {
            decode = gain(&times, |time| time.decode_s);
            best.n_threads = Some(n);
        }
    }
    // A thread count that suits decode alone must not slow the prompt down.
    if best.n_threads.is_some() && best.n_threads_batch.is_none() {
        best.n_threads_batch = u32::try_from(cores()).ok();
    }
    for n in UBATCHES
        .into_iter()
        .filter(|&n| (n as usize) < job.n_prompt)
    {
        let settings = Settings {
            n_ubatch: Some(n),
            ..Settings::default()
        };
        let times = beside(settings, &format!("{n} tokens at once"))?;
        if gain(&times, |time| time.prefill_s) > ubatch {
            ubatch = gain(&times, |time| time.prefill_s);
            best.n_ubatch = Some(n);
        }
    }
    Ok(best)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Quarters of the cores, fewer than all: where memory is the limit, or two threads share a core, fewer are faster.
fn thread_counts() -> Vec<u32> {
    let all = cores();
    let mut counts: Vec<u32> = [all / 4, all / 2, all * 3 / 4]
        .into_iter()
        .filter(|&n| n > 0 && n < all)
        .filter_map(|n| u32::try_from(n).ok())
        .collect();
    counts.dedup();
    counts
}
