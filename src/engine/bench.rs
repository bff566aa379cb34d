//! Throughput of a model on this machine, measured as llama-bench measures it: prompts of random tokens, then single
//! tokens, each repeated; the time to load is not part of it.

use std::time::Instant;

use serde::Serialize;

use super::model::Model;
use super::session::{Session, SessionOptions};
use super::stack::AdapterStack;
use crate::error::{Error, Result};
use crate::llama::{CancelToken, Token};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchTest {
    /// Prefill: `n` tokens of prompt.
    Prompt(usize),
    /// Decode: `n` tokens, one after the other, from an empty context.
    Generate(usize),
}

impl BenchTest {
    /// llama-bench's name for it: `pp512`, `tg128`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Prompt(n) => format!("pp{n}"),
            Self::Generate(n) => format!("tg{n}"),
        }
    }

    /// Number of tokens.
    #[must_use]
    pub fn n_tokens(self) -> usize {
        match self {
            Self::Prompt(n) | Self::Generate(n) => n,
        }
    }
}

/// Repeated measurements of one test.
#[derive(Debug, Clone, Serialize)]
pub struct BenchResult {
    /// Nanoseconds of each repetition.
    pub samples_ns: Vec<u64>,
    /// Tokens a second of each repetition.
    pub samples_ts: Vec<f64>,
    /// Mean of `samples_ns`.
    pub avg_ns: u64,
    /// Mean of `samples_ts`.
    pub avg_ts: f64,
    /// Sample standard deviation of `samples_ts`; 0 for one repetition.
    pub stddev_ts: f64,
}

/// Runs a test: once to warm up, then `repetitions` times.
///
/// # Errors
/// [`Error::InvalidArgument`] if there is nothing to measure, [`Error::Interrupted`], [`Error::Engine`].
pub fn bench(
    model: &Model,
    stack: &AdapterStack,
    test: BenchTest,
    repetitions: usize,
    options: &SessionOptions,
    cancel: &CancelToken,
) -> Result<BenchResult> {
    let n = test.n_tokens();
    if n == 0 || repetitions == 0 {
        return Err(Error::InvalidArgument {
            what: "bench",
            value: format!("{} x {repetitions}", test.name()),
            expected: "at least one token and one repetition".to_owned(),
        });
    }
    let n_ctx = u32::try_from(n + 1).ok();
    let mut session = Session::new(
        model,
        &SessionOptions {
            n_ctx,
            ..options.clone()
        },
    )?;
    session.set_adapters(stack.clone())?;
    let tokens = any_tokens(model.n_vocab(), n);
    let mut samples_ns = Vec::with_capacity(repetitions);
    for repetition in 0..=repetitions {
        session.forget();
        let start = Instant::now();
        match test {
            BenchTest::Prompt(_) => {
                session.prefill(&tokens, cancel)?;
            }
            BenchTest::Generate(_) => {
                for &token in &tokens {
                    session.advance(token, cancel)?;
                }
            }
        }
        let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if repetition > 0 {
            samples_ns.push(elapsed);
        }
    }
    Ok(summarize(samples_ns, n))
}

/// The work that two models are compared at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Job {
    /// Tokens of prompt.
    pub n_prompt: usize,
    /// Tokens of answer.
    pub n_answer: usize,
}

/// One run of a [`Job`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JobTime {
    /// Seconds that the prompt took.
    pub prefill_s: f64,
    /// Seconds that the answer took, from an empty context.
    pub decode_s: f64,
}

impl JobTime {
    /// Seconds of prompt and answer.
    #[must_use]
    pub fn total_s(self) -> f64 {
        self.prefill_s + self.decode_s
    }
}

/// A model with a stack and sizes, to be compared.
#[derive(Debug, Clone)]
pub struct Contender<'a> {
    /// The model.
    pub model: &'a Model,
    /// The adapters on it.
    pub stack: &'a AdapterStack,
    /// Sizes; `n_ctx` is chosen by the job.
    pub options: SessionOptions,
}

/// Runs `job` on two contenders in turn, `rounds` times after one to warm up, so that a machine whose speed drifts
/// favours neither: compare within a round.
///
/// # Errors
/// As [`bench`].
pub fn bench_in_turn(
    contenders: [&Contender<'_>; 2],
    job: Job,
    rounds: usize,
    cancel: &CancelToken,
) -> Result<Vec<[JobTime; 2]>> {
    if job.n_prompt == 0 || job.n_answer == 0 || rounds == 0 {
        return Err(Error::InvalidArgument {
            what: "bench",
            value: format!("{} + {} tokens x {rounds}", job.n_prompt, job.n_answer),
            expected: "at least one token of prompt, one of answer and one round".to_owned(),
        });
    }
    let mut sessions = Vec::with_capacity(2);
    for contender in contenders {
        let n_ctx = u32::try_from(job.n_prompt.max(job.n_answer) + 1).ok();
        let options = SessionOptions {
            n_ctx,
            ..contender.options.clone()
        };
        let mut session = Session::new(contender.model, &options)?;
        session.set_adapters(contender.stack.clone())?;
        sessions.push(session);
    }
    let n = job.n_prompt.max(job.n_answer);
    let tokens = any_tokens(contenders[0].model.n_vocab(), n);
    let mut times = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let mut pair = [JobTime {
            prefill_s: 0.0,
            decode_s: 0.0,
        }; 2];
        for (session, time) in sessions.iter_mut().zip(&mut pair) {
            session.forget();
            let start = Instant::now();
            session.prefill(&tokens[..job.n_prompt], cancel)?;
            time.prefill_s = start.elapsed().as_secs_f64();
        }
        for (session, time) in sessions.iter_mut().zip(&mut pair) {
            session.forget();
            let start = Instant::now();
            for &token in &tokens[..job.n_answer] {
                session.advance(token, cancel)?;
            }
            time.decode_s = start.elapsed().as_secs_f64();
        }
        if round > 0 {
            times.push(pair);
        }
    }
    Ok(times)
}

fn summarize(samples_ns: Vec<u64>, n_tokens: usize) -> BenchResult {
    let count = samples_ns.len() as f64;
    let samples_ts: Vec<f64> = samples_ns
        .iter()
        .map(|&ns| n_tokens as f64 * 1e9 / ns.max(1) as f64)
        .collect();
    let avg_ts = samples_ts.iter().sum::<f64>() / count;
    let squares: f64 = samples_ts.iter().map(|ts| (ts - avg_ts).powi(2)).sum();
    BenchResult {
        avg_ns: samples_ns.iter().sum::<u64>() / samples_ns.len().max(1) as u64,
        avg_ts,
        stddev_ts: if samples_ns.len() > 1 {
            (squares / (count - 1.0)).sqrt()
        } else {
            0.0
        },
        samples_ns,
        samples_ts,
    }
}

/// Any tokens will do, the same in every run: a linear congruential sequence (Knuth's MMIX constants).
pub(super) fn any_tokens(n_vocab: usize, n: usize) -> Vec<Token> {
    let mut state: u64 = 1;
    let n_vocab = u64::try_from(n_vocab.max(1)).unwrap_or(1);
    (0..n)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            Token(i32::try_from((state >> 33) % n_vocab).unwrap_or(0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_sample_deviation() {
        let result = summarize(vec![500_000_000, 250_000_000], 100);
        assert_eq!(result.samples_ts, [200.0, 400.0]);
        assert_eq!(result.avg_ns, 375_000_000);
        assert!((result.avg_ts - 300.0).abs() < 1e-9);
        assert!((result.stddev_ts - 141.421_356).abs() < 1e-3);
    }
}
