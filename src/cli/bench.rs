//! `unforget bench`: prefill and decode on this machine, in llama-bench's terms.

use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use serde::Serialize;
use unforget::Result;
use unforget::engine::{self, BenchResult, BenchTest, memory_use};

use super::answer::{AdapterReport, adapter_reports};
use super::options::{ModelArgs, SessionArgs};
use super::{Context, interrupt, output, resolve};

/// Measure prefill and decode
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget bench                          pp512 and tg128, five times each, after one to warm up\n  \
    unforget bench -p 128,512 -n 0          prefill alone\n  \
    unforget bench --adapter triage -o json llama-bench's fields")]
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

    /// Repetitions
    #[arg(short, long, default_value_t = 5, value_name = "N")]
    repetitions: usize,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Md)]
    output: Format,

    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    session: SessionArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Md,
    Csv,
    Json,
    Jsonl,
}

/// llama-bench's fields by its names, then ours.
#[derive(Serialize)]
struct Row {
    model_filename: String,
    model_type: String,
    model_size: u64,
    model_n_params: u64,
    n_batch: u32,
    n_ubatch: u32,
    n_threads: u32,
    n_prompt: usize,
    n_gen: usize,
    test_time: u64,
    #[serde(flatten)]
    result: BenchResult,
    adapters: Vec<AdapterReport>,
    adapter_mode: &'static str,
    ttft_ms: Option<f64>,
    peak_rss_bytes: u64,
    #[serde(skip)]
    test: BenchTest,
}

#[derive(Serialize)]
struct Report {
    system_info: String,
    results: Vec<Row>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let resolved = resolve::open(&args.model, &context.home)?;
    let prompts = args
        .n_prompt
        .iter()
        .filter(|&&n| n > 0)
        .map(|&n| BenchTest::Prompt(n));
    let generations = args
        .n_gen
        .iter()
        .filter(|&&n| n > 0)
        .map(|&n| BenchTest::Generate(n));
    let mut report = Report {
        system_info: engine::system_info()?.trim().to_owned(),
        results: Vec::new(),
    };
    for test in prompts.chain(generations) {
        report.results.push(measure(test, &args, &resolved)?);
    }
    if context.output.is_json() {
        context.output.result(&report, |_| Ok(()))?;
    } else {
        let mut text = Vec::new();
        print(&mut text, &report, args.output)?;
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
    let n = test.n_tokens();
    let (n_prompt, n_gen) = match test {
        BenchTest::Prompt(_) => (n, 0),
        BenchTest::Generate(_) => (0, n),
    };
    let sizes = options.sizes(model);
    Ok(Row {
        model_filename: model.path().display().to_string(),
        model_type: model.name().to_owned(),
        model_size: model.size(),
        model_n_params: model.n_params(),
        n_batch: sizes.n_batch,
        n_ubatch: sizes.n_ubatch,
        n_threads: sizes.n_threads,
        n_prompt,
        n_gen,
        test_time,
        ttft_ms: (n_prompt > 0).then(|| result.avg_ns as f64 / 1e6),
        result,
        adapters: adapter_reports(resolved),
        adapter_mode: if resolved.stack.is_empty() {
            "none"
        } else {
            "runtime"
        },
        peak_rss_bytes: memory_use().peak_rss_bytes,
        test,
    })
}

fn print(out: &mut dyn Write, report: &Report, format: Format) -> Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &report.results)
                .map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
        Format::Jsonl => {
            for row in &report.results {
                serde_json::to_writer(&mut *out, row).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
        }
        Format::Csv => csv(out, &report.results)?,
        Format::Md => markdown(out, &report.results)?,
    }
    Ok(())
}

fn csv(out: &mut dyn Write, rows: &[Row]) -> std::io::Result<()> {
    writeln!(
        out,
        "model_filename,model_type,model_size,model_n_params,n_batch,n_ubatch,n_threads,n_prompt,n_gen,test_time,\
         avg_ns,avg_ts,stddev_ts,peak_rss_bytes"
    )?;
    for row in rows {
        writeln!(
            out,
            "\"{}\",\"{}\",{},{},{},{},{},{},{},{},{},{:.6},{:.6},{}",
            row.model_filename.replace('"', "\"\""),
            row.model_type.replace('"', "\"\""),
            row.model_size,
            row.model_n_params,
            row.n_batch,
            row.n_ubatch,
            row.n_threads,
            row.n_prompt,
            row.n_gen,
            row.test_time,
            row.result.avg_ns,
            row.result.avg_ts,
            row.result.stddev_ts,
            row.peak_rss_bytes
        )?;
    }
    Ok(())
}

fn markdown(out: &mut dyn Write, rows: &[Row]) -> std::io::Result<()> {
    writeln!(
        out,
        "| model | size | params | threads | adapters | test | tokens/s |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---|---:|---:|")?;
    for row in rows {
        let adapters = match row.adapters.len() {
            0 => "none".to_owned(),
            n => n.to_string(),
        };
        writeln!(
            out,
            "| {} | {} | {:.1} M | {} | {adapters} | {} | {:.2} ± {:.2} |",
            row.model_type,
            output::megabytes(row.model_size),
            row.model_n_params as f64 / 1e6,
            row.n_threads,
            row.test.name(),
            row.result.avg_ts,
            row.result.stddev_ts
        )?;
    }
    Ok(())
}
