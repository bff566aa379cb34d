//! `unforget bench`: prefill and decode on this machine, in llama-bench's terms, and beside earlier results.

mod compare;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use serde::Serialize;
use unforget::engine::{self, BenchResult, BenchTest, memory_use};
use unforget::{Error, Result};

use super::answer::{AdapterReport, adapter_reports};
use super::options::{ModelArgs, SessionArgs};
use super::{Context, interrupt, output, resolve};

/// Measure prefill and decode
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget bench                          pp512 and tg128, five times each, after one to warm up\n  \
    unforget bench -p 128,512 -n 0          prefill alone\n  \
    unforget bench -p 0 -d 0,2048           decode in an empty context and behind 2,048 tokens\n  \
    unforget bench --pg 512,64              a prompt with its answer\n  \
    unforget bench --adapter triage -o json llama-bench's fields\n  \
    unforget bench -o jsonl > before; unforget bench --compare before")]
pub struct Args {
    /// Prompt lengths to measure prefill at; 0 leaves it out
    #[arg(
        short = 'p',
        long = "n-prompt",
        default_value = "512",
        value_delimiter = ',',
        value_name = "N"
    )]
    n_prompt: Vec<usize>,

    /// Numbers of tokens to measure decode at; 0 leaves it out
    #[arg(
        short = 'n',
        long = "n-gen",
        default_value = "128",
        value_delimiter = ',',
        value_name = "N"
    )]
    n_gen: Vec<usize>,

    /// Prompt and answer to measure together; repeat it for several
    #[arg(long, value_name = "PROMPT,GEN", value_parser = prompt_and_answer)]
    pg: Vec<(usize, usize)>,

    /// Tokens in the context before each test
    #[arg(
        short = 'd',
        long = "n-depth",
        default_value = "0",
        value_delimiter = ',',
        value_name = "N"
    )]
    n_depth: Vec<usize>,

    /// Repetitions
    #[arg(short, long, default_value_t = 5, value_name = "N")]
    repetitions: usize,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Md)]
    output: Format,

    /// Show the results beside those of an earlier `-o json` or `-o jsonl`, by llama-bench too, and which differ by more
    /// than chance
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    session: SessionArgs,
}

fn prompt_and_answer(text: &str) -> std::result::Result<(usize, usize), String> {
    let numbers = text.split_once(',').and_then(|(prompt, answer)| {
        let (prompt, answer) = (prompt.parse().ok()?, answer.parse().ok()?);
        (prompt > 0 && answer > 0).then_some((prompt, answer))
    });
    numbers.ok_or_else(|| "two numbers such as 512,128 are expected".to_owned())
}

impl Args {
    /// Every test at every depth.
    fn tests(&self) -> Vec<BenchTest> {
        let some = |numbers: &[usize]| {
            numbers
                .iter()
                .copied()
                .filter(|&n| n > 0)
                .collect::<Vec<_>>()
        };
        let prompts = some(&self.n_prompt).into_iter().map(BenchTest::prompt);
        let answers = some(&self.n_gen).into_iter().map(BenchTest::generate);
        let both = self.pg.iter().map(|&(n_prompt, n_gen)| BenchTest {
            n_prompt,
            n_gen,
            n_depth: 0,
        });
        let tests: Vec<_> = prompts.chain(answers).chain(both).collect();
        let at_depth = |&depth: &usize| tests.iter().map(move |test| test.at_depth(depth));
        self.n_depth.iter().flat_map(at_depth).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Md,
    Csv,
    Json,
    Jsonl,
    Sql,
}

/// llama-bench's fields by its names, then ours.
#[derive(Serialize)]
struct Row {
    backends: String,
    model_filename: String,
    model_type: String,
    model_size: u64,
    model_n_params: u64,
    n_batch: u32,
    n_ubatch: u32,
    n_threads: u32,
    type_k: &'static str,
    type_v: &'static str,
    n_gpu_layers: String,
    n_prompt: usize,
    n_gen: usize,
    n_depth: usize,
    test_time: u64,
    #[serde(flatten)]
    result: BenchResult,
    adapters: Vec<AdapterReport>,
    adapter_mode: &'static str,
    peak_rss_bytes: u64,
    #[serde(skip)]
    test: BenchTest,
}

#[derive(Serialize)]
struct Report {
    system_info: String,
    results: Vec<Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    comparison: Vec<compare::Comparison>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let earlier = args.compare.as_deref().map(compare::read).transpose()?;
    let tests = args.tests();
    if tests.is_empty() {
        return Err(Error::InvalidArgument {
            what: "bench",
            value: "-p 0 -n 0".to_owned(),
            expected: "at least one test".to_owned(),
        });
    }
    let resolved = resolve::open(&args.model, &context.home)?;
    let mut report = Report {
        system_info: engine::system_info()?.trim().to_owned(),
        results: Vec::new(),
        comparison: Vec::new(),
    };
    for test in tests {
        report.results.push(measure(test, &args, &resolved)?);
    }
    if let Some(earlier) = earlier {
        report.comparison = compare::compare(&earlier, &report.results);
    }
    if context.output.is_json() {
        context.output.result(&report, |_| Ok(()))?;
    } else {
        let mut text = Vec::new();
        table::print(&mut text, &report, args.output)?;
        context.output.piece(&String::from_utf8_lossy(&text))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(test: BenchTest, args: &Args, resolved: &resolve::Resolved) -> Result<Row> {
    let options = args.session.resolve();
    let model = &resolved.model;
    let test_time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let result = engine::bench(
        model,
        &resolved.stack,
        test,
        args.repetitions,
        &options,
        &interrupt::token(),
    )?;
    let sizes = options.sizes(model);
    Ok(Row {
        backends: match engine::compiled_backends().as_slice() {
            [] => "CPU".to_owned(),
            backends => backends.join(","),
        },
        model_filename: model.path().display().to_string(),
        model_type: model.name().to_owned(),
        model_size: model.size(),
        model_n_params: model.n_params(),
        n_batch: sizes.n_batch,
        n_ubatch: sizes.n_ubatch,
        n_threads: sizes.n_threads,
        type_k: "f16",
        type_v: "f16",
        n_gpu_layers: args.model.gpu_layers.to_string(),
        n_prompt: test.n_prompt,
        n_gen: test.n_gen,
        n_depth: test.n_depth,
        test_time,
        result,
        adapters: adapter_reports(resolved),
        adapter_mode: match resolved.stack.is_empty() {
            true => "none",
            false => "runtime",
        },
        peak_rss_bytes: memory_use().peak_rss_bytes,
        test,
    })
}
