//! `unforget bench`: prefill and decode on this machine, in llama-bench's terms, and beside earlier results.

mod compare;
mod contenders;
mod html;
mod llama_bench;
mod more;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;
use unforget::engine::{self, BenchResult, BenchTest, SessionOptions, memory_use};
use unforget::registry::Registry;
use unforget::rewrite::SyntheticModel;
use unforget::{Error, Result, collections};

use super::answer::{AdapterReport, adapter_reports};
use super::memory::{LimitArgs, MemoryReport};
use super::options::{ModelArgs, SessionArgs};
use super::resolve::{self, Resolved};
use super::{Context, interrupt, output};
use contenders::Contender;
use llama_bench::Setup;
use more::{Documents, More, Quantity};

/// Measure prefill and decode
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget bench                          pp512 and tg128, five times each, after one to warm up\n  \
    unforget bench -p 128,512 -n 0          prefill alone\n  \
    unforget bench -p 0 -d 0,2048           decode in an empty context and behind 2,048 tokens\n  \
    unforget bench --pg 512,64              a prompt with its answer\n  \
    unforget bench --adapter triage -o json llama-bench's fields\n  \
    unforget bench --adapter triage --mode none,runtime,merged --with swap\n  \
    unforget bench --with load,prefix,ask --docs notes -o html > bench.html\n  \
    unforget bench --synthetic llama-7b:Q4_K_M   random weights of that shape\n  \
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

    /// Measure the base alone, with the adapters at run time, or with them merged into it [default: with what is asked for]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "MODE")]
    mode: Vec<Mode>,

    /// Measure these too
    #[arg(long = "with", value_enum, value_delimiter = ',', value_name = "WHAT")]
    more: Vec<More>,

    /// Collection for --with retrieval and ask
    #[arg(long, env = "UNFORGET_DOCS", value_name = "COLLECTION")]
    docs: Option<String>,

    /// Question for --with retrieval and ask
    #[arg(long, default_value = "What is this about?", value_name = "TEXT")]
    question: String,

    /// Random weights of this shape and type in place of a model, such as llama-7b:Q4_K_M: written to the data folder for the
    /// time of the bench
    #[arg(long, value_name = "SHAPE:TYPE", conflicts_with_all = ["model", "adapters", "memory_limit", "mode"])]
    synthetic: Option<SyntheticModel>,

    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    limit: LimitArgs,
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
    Html,
}

/// How the adapters are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    None,
    Runtime,
    Merged,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Runtime => "runtime",
            Self::Merged => "merged",
        }
    }
}

/// llama-bench's fields by its names, then ours.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    setup: Setup,
    n_prompt: usize,
    n_gen: usize,
    n_depth: usize,
    test_time: String,
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
    /// Of the largest test.
    memory: MemoryReport,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    more: Vec<Quantity>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    comparison: Vec<compare::Comparison>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let earlier = args.compare.as_deref().map(compare::read).transpose()?;
    let tests = args.tests();
    if tests.is_empty() && args.more.is_empty() {
        return Err(Error::InvalidArgument {
            what: "bench",
            value: "-p 0 -n 0".to_owned(),
            expected: "at least one test".to_owned(),
        });
    }
    let has_place_for_more =
        context.output.is_json() || matches!(args.output, Format::Md | Format::Html);
    if !args.more.is_empty() && !has_place_for_more {
        return Err(Error::InvalidArgument {
            what: "--with",
            value: args
                .more
                .iter()
                .map(More::name)
                .collect::<Vec<_>>()
                .join(","),
            expected: "-o md, -o html or --json: llama-bench's formats have no place for it"
                .to_owned(),
        });
    }
    let most = tests
        .iter()
        .map(|test| test.n_depth + test.n_tokens() + 1)
        .max();
    let asked = SessionOptions {
        n_ctx: most.and_then(|n| u32::try_from(n).ok()),
        ..args.session.resolve()
    };
    let (as_asked, fitted) = contenders::open(&args, &asked, context)?;
    let options = match fitted {
        Some(fitted) => fitted.within(asked),
        None => asked,
    };
    let mut results = Vec::new();
    let alone = [as_asked.mode];
    let modes: &[Mode] = match args.mode.as_slice() {
        [] => &alone,
        modes => modes,
    };
    for &mode in modes {
        let contender = contenders::in_mode(mode, &args, &as_asked, context)?;
        for &test in &tests {
            results.push(measure(test, &args, &options, &contender)?);
        }
    }
    let resolved = &as_asked.resolved;
    let more = measure_more(&args, &options, resolved, context)?;
    let comparison = match earlier {
        Some(earlier) => compare::compare(&earlier, &results),
        None => Vec::new(),
    };
    let report = Report {
        system_info: engine::system_info()?.trim().to_owned(),
        memory: MemoryReport::now(&resolved.model, &options),
        results,
        more,
        comparison,
    };
    if context.output.is_json() {
        context.output.result(&report, |_| Ok(()))?;
    } else {
        let mut text = Vec::new();
        table::print(&mut text, &report, args.output)?;
        context.output.piece(&String::from_utf8_lossy(&text))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(
    test: BenchTest,
    args: &Args,
    options: &SessionOptions,
    contender: &Contender,
) -> Result<Row> {
    let resolved = &contender.resolved;
    let model = &resolved.model;
    let test_time = llama_bench::now();
    let result = engine::bench(
        model,
        &resolved.stack,
        test,
        args.repetitions,
        options,
        &interrupt::token(),
    )?;
    let sizes = options.sizes(model);
    Ok(Row {
        setup: Setup::of(model, &sizes, args.model.gpu_layers.to_string()),
        n_prompt: test.n_prompt,
        n_gen: test.n_gen,
        n_depth: test.n_depth,
        test_time,
        result,
        adapters: adapter_reports(resolved),
        adapter_mode: contender.mode.name(),
        peak_rss_bytes: memory_use().peak_rss_bytes,
        test,
    })
}

fn measure_more(
    args: &Args,
    options: &SessionOptions,
    resolved: &Resolved,
    context: &Context,
) -> Result<Vec<Quantity>> {
    let registry = Registry::open(&context.home)?;
    let open = |name: &String| -> Result<Documents> {
        Ok(Documents {
            collection: collections::open(&context.home, name)?,
            embedder: resolve::open_embedder(
                &registry,
                args.model.gpu_layers.beside(),
                &args.session.resolve(),
            )?,
        })
    };
    let mut bench = more::Bench {
        model: &resolved.model,
        stack: &resolved.stack,
        options,
        repetitions: args.repetitions,
        cancel: &interrupt::token(),
        documents: match args.more.is_empty() {
            true => None,
            false => args.docs.as_ref().map(open).transpose()?,
        },
        question: &args.question,
    };
    let mut all = Vec::new();
    for &what in &args.more {
        all.extend(bench.measure(what)?);
    }
    Ok(all)
}
