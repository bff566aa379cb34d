//! `unforget tune`: the layout and the settings that are fastest on this machine.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use unforget::registry::{self, Registry, TunedRecord};
use unforget::tune::{self, Budget, Candidate, Job, Request, Settings, Tuned};
use unforget::{Error, Result};

use super::resolve::{self, Located};
use super::tuned::Opening;
use super::{Context, interrupt, output, progress};

/// Find the layout and settings that are fastest here and as good as the model's file
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget tune                          the default model; then `run`, `ask` and `bench` use what was found\n  \
    unforget tune smollm2 --kl-budget 0.01 stay nearer to the file as shipped\n  \
    unforget tune smollm2 -p 2048 -n 64    for long prompts with short answers\n  \
    unforget run --untuned \"..\"            the file as shipped all the same\n  \
    unforget tune smollm2 --forget         remove what was found, and its file\n\n\
    A search that was stopped goes on where it was. Adapters of the model run on the tuned copy; a certificate of\n\
    `unforget check` holds for the file as shipped, and for the copy after `unforget check A --tuned`.")]
pub struct Args {
    /// Model: a name from `unforget list`, or a GGUF file [default: the catalog's default]
    #[arg(env = "UNFORGET_MODEL", value_name = "NAME|FILE")]
    model: Option<String>,

    /// Largest mean KL divergence from the file as shipped, in nats a token
    #[arg(long, env = "UNFORGET_KL_BUDGET", default_value_t = Budget::default().kl, value_name = "KL")]
    kl_budget: f64,

    /// Tokens of prompt that it is to be fast at
    #[arg(
        short = 'p',
        long = "n-prompt",
        default_value_t = 512,
        value_name = "N"
    )]
    n_prompt: usize,

    /// Tokens of answer that it is to be fast at
    #[arg(short = 'n', long = "n-gen", default_value_t = 128, value_name = "N")]
    n_gen: usize,

    /// Measurements of each candidate, each beside one of the file as shipped
    #[arg(short, long, default_value_t = 3, value_name = "N")]
    rounds: usize,

    /// Tokens of text that the divergence is measured on
    #[arg(long, default_value_t = 4096, value_name = "N")]
    tokens: usize,

    /// Measure again what a search that was stopped has measured
    #[arg(long)]
    fresh: bool,

    /// Remove what was found before, and its file
    #[arg(long, conflicts_with = "fresh")]
    forget: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<ExitCode> {
    let registry = Registry::open(&context.home)?;
    let located = resolve::locate(args.model.as_deref(), &registry)?;
    if args.forget {
        return forget(&located, &registry, context);
    }
    let tuned = search(args, &located, context)?;
    registry::store_tuned(&registry, &context.home, &record(&tuned)?)?;
    context.output.result(&tuned, |out| print(out, &tuned))?;
    Ok(ExitCode::SUCCESS)
}

fn search(args: &Args, located: &Located, context: &Context) -> Result<Tuned> {
    let (folder, scratch) = (context.home.tuned(), context.home.cache().join("tune"));
    context.home.create(&folder)?;
    context.home.create(&scratch)?;
    let bar = progress::items(0);
    let tuned = tune::tune(
        &Request {
            shipped: &located.path,
            sha256: located.sha256,
            folder: &folder,
            scratch: &scratch,
            budget: Budget { kl: args.kl_budget },
            job: Job {
                n_prompt: args.n_prompt,
                n_answer: args.n_gen,
            },
            rounds: args.rounds,
            n_tokens: args.tokens,
            fresh: args.fresh,
            cancel: interrupt::token(),
        },
        |at| {
            bar.set_length(at.total as u64);
            bar.set_position(at.done as u64);
            bar.set_message(at.step.to_owned());
        },
    );
    bar.finish_and_clear();
    if matches!(tuned, Err(Error::Interrupted)) {
        output::note("stopped; `unforget tune` with the same options goes on from here");
    }
    tuned
}

fn record(tuned: &Tuned) -> Result<TunedRecord> {
    let json = |value: serde_json::Result<serde_json::Value>| {
        value.map_err(|error| Error::Io(std::io::Error::from(error)))
    };
    let opening = Opening {
        mapped: tuned.mapped,
        settings: tuned.settings,
    };
    Ok(TunedRecord {
        base_sha256: tuned.base_sha256,
        machine: tuned.machine,
        path: tuned.path.clone(),
        sha256: tuned.sha256,
        layout: tuned.layout.clone(),
        settings: json(serde_json::to_value(opening))?,
        report: json(serde_json::to_value(tuned))?,
        created_at: 0,
    })
}

fn forget(located: &Located, registry: &Registry, context: &Context) -> Result<ExitCode> {
    #[derive(Serialize)]
    struct Forgotten {
        deleted: Vec<std::path::PathBuf>,
    }
    let deleted = registry::forget_tuned(registry, &context.home, located.sha256)?;
    let forgotten = Forgotten { deleted };
    context.output.result(&forgotten, |out| {
        for path in &forgotten.deleted {
            writeln!(out, "removed {}", path.display())?;
        }
        writeln!(out, "the file as shipped is run from now on")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut dyn Write, tuned: &Tuned) -> std::io::Result<()> {
    let rows: Vec<_> = tuned.candidates.iter().map(row).collect();
    let header = [
        "layout",
        "prefill/s",
        "decode/s",
        "speed",
        "memory",
        "own",
        "file",
        "KL",
        "perplexity",
        "",
    ];
    output::table(out, &header, &rows)?;
    let Job { n_prompt, n_answer } = tuned.job;
    writeln!(
        out,
        "\nspeed: time of {n_prompt} tokens of prompt and {n_answer} of answer as shipped over the time here, median of \
         rounds\nmemory: resident pages of the file, and the process's own for weights in another order"
    )?;
    let settings = describe(tuned.settings);
    if !settings.is_empty() {
        writeln!(out, "settings: {settings}")?;
    }
    match tuned.sha256 == tuned.base_sha256 {
        true => writeln!(out, "the file as shipped stays in use: {}", tuned.layout),
        false => writeln!(
            out,
            "{} is used from now on ({}, {}); --untuned runs the file as shipped",
            tuned.layout,
            tuned.path.display(),
            tuned.sha256.short()
        ),
    }
}

fn row(candidate: &Candidate) -> Vec<String> {
    let measured = &candidate.measured;
    let distance = |text: fn(&tune::Distance) -> String| {
        measured
            .distance
            .as_ref()
            .map_or_else(|| "-".to_owned(), text)
    };
    vec![
        measured.layout.clone(),
        format!(
            "{:.0} ({:.2}x)",
            measured.prefill_tokens_per_s, measured.prefill_ratio
        ),
        format!(
            "{:.0} ({:.2}x)",
            measured.decode_tokens_per_s, measured.decode_ratio
        ),
        format!("{:.2}x", measured.speedup),
        output::megabytes(measured.mapped_bytes + measured.own_bytes),
        output::megabytes(measured.own_bytes),
        output::megabytes(measured.bytes),
        distance(|d| format!("{:.4}", d.kl_mean)),
        distance(|d| format!("{:+.1} %", 100.0 * (d.perplexity_ratio - 1.0))),
        candidate.verdict.to_string(),
    ]
}

fn describe(settings: Settings) -> String {
    let parts = [
        settings
            .n_threads
            .map(|n| format!("{n} threads for answers")),
        settings
            .n_threads_batch
            .map(|n| format!("{n} threads for prompts")),
        settings
            .n_ubatch
            .map(|n| format!("{n} tokens of a prompt at once")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
