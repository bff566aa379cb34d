//! Throughput of a model on this machine, measured as llama-bench measures it: prompts of random tokens, then single
//! tokens, each repeated; the time to load is not part of it.

use std::time::Instant;

use serde::Serialize;

use super::model::Model;
use super::session::{Session, SessionOptions};
use super::stack::AdapterStack;
use crate::error::{Error, Result};
use crate::llama::{CancelToken, Token};

/// What is measured: a prompt, an answer or both, in an empty context or behind tokens that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BenchTest {
    /// Tokens of prompt.
    pub n_prompt: usize,
    /// Tokens of answer, computed one after the other.
    pub n_gen: usize,
    /// Tokens in the context before; they are not measured.
    pub n_depth: usize,
}

impl BenchTest {
    /// Prefill of `n` tokens.
    #[must_use]
    pub const fn prompt(n: usize) -> Self {
        Self {
            n_prompt: n,
            n_gen: 0,
            n_depth: 0,
        }
    }

    /// Decode of `n` tokens.
    #[must_use]
    pub const fn generate(n: usize) -> Self {
        Self {
            n_prompt: 0,
            n_gen: n,
            n_depth: 0,
        }
    }

    /// The same behind `n` tokens.
    #[must_use]
    pub const fn at_depth(self, n: usize) -> Self {
        Self { n_depth: n, ..self }
    }

    /// llama-bench's name for it: `pp512`, `tg128`, `pp512+tg128`, `tg128 @ d1024`.
    #[must_use]
    pub fn name(self) -> String {
        let parts = [("pp", self.n_prompt), ("tg", self.n_gen)];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|&(_, n)| n > 0)
            .map(|(kind, n)| format!("{kind}{n}"))
            .collect();
        let depth = match self.n_depth {
            0 => String::new(),
            n => format!(" @ d{n}"),
        };
        parts.join("+") + &depth
    }

    /// Number of tokens that are measured.
    #[must_use]
    pub const fn n_tokens(self) -> usize {
        self.n_prompt + self.n_gen
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
    /// Sample standard deviation of `samples_ns`; 0 for one repetition.
    pub stddev_ns: u64,
    /// Mean of `samples_ts`.
    pub avg_ts: f64,
    /// Sample standard deviation of `samples_ts`; 0 for one repetition.
    pub stddev_ts: f64,
    /// Milliseconds until the prompt is computed, so that the first token can be chosen.
    pub ttft_ms: Option<Percentiles>,
    /// Milliseconds of each token of the answer.
    pub tpot_ms: Option<Percentiles>,
}

/// Percentiles of a quantity, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// What nine of ten stay within.
    pub p90: f64,
    /// What 99 of 100 stay within.
    pub p99: f64,
}

impl Percentiles {
    /// `None` of nothing.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let rank = |share: f64| {
            let rank = (share * values.len() as f64).ceil() as usize;
            values.get(rank.max(1) - 1).copied()
        };
        Some(Self {
            p50: rank(0.5)?,
            p90: rank(0.9)?,
            p99: rank(0.99)?,
        })
    }
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
    let n_ctx = u32::try_from(test.n_depth + n + 1).ok();
    let mut session = Session::new(
        model,
        &SessionOptions {
            n_ctx,
            ..options.clone()
        },
    )?;
    session.set_adapters(stack.clone())?;
    let tokens = any_tokens(model.n_vocab(), test.n_depth + n);
    let mut samples = Vec::with_capacity(repetitions);
    for repetition in 0..=repetitions {
        let sample = run_once(&mut session, test, &tokens, cancel)?;
        if repetition > 0 {
            samples.push(sample);
        }
    }
    Ok(summarize(&samples, n))
}

/// Times of one repetition, in nanoseconds.
#[derive(Debug, Default)]
struct Sample {
    prompt: Option<u64>,
    tokens: Vec<u64>,
}

impl Sample {
    fn total(&self) -> u64 {
        self.prompt.unwrap_or(0) + self.tokens.iter().sum::<u64>()
    }
}

fn run_once(
    session: &mut Session,
    test: BenchTest,
    tokens: &[Token],
    cancel: &CancelToken,
) -> Result<Sample> {
    let (before, measured) = tokens.split_at(test.n_depth);
    match before {
        [] => session.forget(),
        // The same each time: all but the last token are there still.
        before => {
            session.prefill(before, cancel)?;
        }
    }
    let since = |start: Instant| u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut sample = Sample::default();
    let (prompt, answer) = measured.split_at(test.n_prompt);
    if !prompt.is_empty() {
        let start = Instant::now();
        session.prefill(&tokens[..test.n_depth + test.n_prompt], cancel)?;
        sample.prompt = Some(since(start));
    }
    for &token in answer {
        let start = Instant::now();
        session.advance(token, cancel)?;
        sample.tokens.push(since(start));
    }
    Ok(sample)
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
/// As [`bench()`].
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

fn summarize(samples: &[Sample], n_tokens: usize) -> BenchResult {
    let samples_ns: Vec<u64> = samples.iter().map(Sample::total).collect();
    let samples_ts: Vec<f64> = samples_ns
        .iter()
        .map(|&ns| n_tokens as f64 * 1e9 / ns.max(1) as f64)
        .collect();
    let as_numbers: Vec<f64> = samples_ns.iter().map(|&ns| ns as f64).collect();
    let ms = |ns: u64| ns as f64 / 1e6;
    let prompts = samples.iter().filter_map(|sample| sample.prompt).map(ms);
    let tokens = samples.iter().flat_map(|sample| &sample.tokens);
    let (avg_ns, stddev_ns) = mean_and_deviation(&as_numbers);
    let (avg_ts, stddev_ts) = mean_and_deviation(&samples_ts);
    BenchResult {
        avg_ns: avg_ns as u64,
        stddev_ns: stddev_ns as u64,
        avg_ts,
        stddev_ts,
        ttft_ms: Percentiles::of(prompts.collect()),
        tpot_ms: Percentiles::of(tokens.map(|&ns| ms(ns)).collect()),
        samples_ns,
        samples_ts,
    }
}

/// Mean and sample standard deviation; the latter is 0 for one value.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    match values.len() {
        0 | 1 => (mean, 0.0),
        _ => (mean, (squares / (count - 1.0)).sqrt()),
    }
}

/// Any tokens will do, the same in every run: a linear congruential sequence (Knuth's MMIX constants).
#[must_use]
pub fn any_tokens(n_vocab: usize, n: usize) -> Vec<Token> {
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
    fn names_are_llama_bench_s() {
        assert_eq!(BenchTest::prompt(512).name(), "pp512");
        assert_eq!(
            BenchTest::generate(128).at_depth(1024).name(),
            "tg128 @ d1024"
        );
        let both = BenchTest {
            n_prompt: 64,
            n_gen: 16,
            n_depth: 0,
        };
        assert_eq!((both.name(), both.n_tokens()), ("pp64+tg16".to_owned(), 80));
    }

    #[test]
    fn mean_and_sample_deviation_and_percentiles() {
        let samples = [
            Sample {
                prompt: Some(400_000_000),
                tokens: vec![60_000_000, 40_000_000],
            },
            Sample {
                prompt: Some(200_000_000),
                tokens: vec![30_000_000, 20_000_000],
            },
        ];
        let result = summarize(&samples, 100);
        assert_eq!(result.samples_ts, [200.0, 400.0]);
        assert_eq!(
            (result.avg_ns, result.stddev_ns),
            (375_000_000, 176_776_695)
        );
        assert!((result.avg_ts - 300.0).abs() < 1e-9);
        assert!((result.stddev_ts - 141.421_356).abs() < 1e-3);
        let percentiles = |p50, p90, p99| Some(Percentiles { p50, p90, p99 });
        assert_eq!(result.ttft_ms, percentiles(200.0, 400.0, 400.0));
        assert_eq!(result.tpot_ms, percentiles(30.0, 60.0, 60.0));
        assert_eq!(summarize(&[], 1).ttft_ms, None);
    }
}
