//! The command line: arguments are parsed, resolved to models, adapters and collections, and handed to the library.
//!
//! The only code of the project that prints or exits. Each command has a file; what several share is in `resolve`
//! (names to things), `output` (stdout and JSON), `progress` (stderr) and `interrupt` (Ctrl-C).

mod adapter;
mod adapter_merge;
mod answer;
mod ask;
mod bench;
mod chat;
mod check;
mod docs;
mod doctor;
mod inspect;
mod interrupt;
mod layers;
mod list;
mod memory;
mod options;
mod output;
mod prefix_cache;
mod progress;
mod pull;
mod quantize;
mod remove;
mod report;
mod resolve;
mod run;
#[cfg(feature = "serve")]
mod serve;
mod sweep;
#[cfg(feature = "train")]
mod train;
mod tune;
mod tuned;
mod versions;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use unforget::{Error, ErrorKind};

use output::Output;

/// Run a local model with adapters and documents, and know what they cost.
#[derive(Debug, Parser)]
#[command(
    name = "unforget",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Examples:\n  \
    unforget pull smollm2 && unforget pull minilm\n  \
    unforget run \"What is the capital of Italy?\"\n  \
    unforget docs add ~/notes && unforget ask \"When is the next release?\"\n  \
    unforget adapter import ./my-lora --base smollm2 --name mine && unforget run --adapter mine \"Hello\"\n\n\
    Data live in UNFORGET_HOME, by default the platform's data folder.\n\
    Exit codes: 0 done, 1 failed, 2 usage, 3 rejected by the guard, 4 undecided, 5 not found or incompatible, 130 interrupted.")]
struct Cli {
    /// Folder of models, adapters and collections
    #[arg(long, global = true, env = "UNFORGET_HOME", value_name = "DIR")]
    home: Option<PathBuf>,

    /// Print one JSON object to stdout
    #[arg(long, global = true, env = "UNFORGET_JSON")]
    json: bool,

    /// Log more to stderr: -v warnings, -vv details, -vvv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch a model by catalog name, from a hub or URL, or register a local file
    Pull(pull::Args),
    /// Show what is installed: models, adapters, collections
    List(list::Args),
    /// Show what is in a GGUF or safetensors file, and what it takes in memory
    Inspect(inspect::Args),
    /// Answer a prompt, or chat when no prompt is given
    Run(run::Args),
    /// Answer a question from the documents, with citations
    Ask(ask::Args),
    /// Add documents to a collection, list and search them
    Docs(docs::Args),
    /// Import, list, inspect, merge and remove adapters
    Adapter(adapter::Args),
    /// Remove an installed model
    Remove(remove::Args),
    /// Store a model in another type: fewer bits, less memory
    Quantize(quantize::Args),
    /// Find the layout and settings that are fastest here and as good as the model's file
    Tune(tune::Args),
    /// Train an adapter on questions and answers, held to what the base knows
    #[cfg(feature = "train")]
    Train(train::Args),
    /// Measure what adapters make the base forget, and judge it by a budget
    Check(check::Args),
    /// Find the scale at which an adapter gains most inside the budget
    Sweep(sweep::Args),
    /// Score the versions of an adapter on their tasks: what learning the next one made them forget
    Versions(versions::Args),
    /// Show a report of the guard again, or verify a certificate
    Report(report::Args),
    /// Serve OpenAI's API on this machine, with adapters and documents in every request
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    /// Measure prefill and decode
    Bench(bench::Args),
    /// Check this machine, this build and the data folder
    Doctor(doctor::Args),
}

/// What every command gets.
struct Context {
    home: unforget::registry::Home,
    output: Output,
}

/// Parses, runs, reports.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose, cli.command.default_log());
    match run(cli) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn run(cli: Cli) -> unforget::Result<ExitCode> {
    interrupt::install()?;
    let context = Context {
        home: unforget::registry::Home::resolve(cli.home)?,
        output: Output::new(cli.json),
    };
    match cli.command {
        Command::Pull(args) => pull::run(args, &context),
        Command::List(args) => list::run(args, &context),
        Command::Inspect(args) => inspect::run(args, &context),
        Command::Run(args) => run::run(args, &context),
        Command::Ask(args) => ask::run(args, &context),
        Command::Docs(args) => docs::run(args, &context),
        Command::Adapter(args) => adapter::run(args, &context),
        Command::Remove(args) => remove::run(&args, &context),
        Command::Quantize(args) => quantize::run(args, &context),
        Command::Tune(args) => tune::run(&args, &context),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(args, &context),
        Command::Check(args) => check::run(args, &context),
        Command::Sweep(args) => sweep::run(args, &context),
        Command::Versions(args) => versions::run(&args, &context),
        Command::Report(args) => report::run(args, &context),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args, &context),
        Command::Bench(args) => bench::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
    }
}

/// Whoever read our output has seen enough (`unforget list | head -1`): not an error.
fn is_closed_pipe(error: &Error) -> bool {
    matches!(error, Error::Io(io) if io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Exit code of an answer that may have been stopped half way.
fn exit_code_of(finish_reason: unforget::engine::FinishReason) -> ExitCode {
    match finish_reason {
        unforget::engine::FinishReason::Cancelled => {
            ExitCode::from(ErrorKind::Interrupted.exit_code())
        }
        _ => ExitCode::SUCCESS,
    }
}

impl Command {
    /// What is logged where nothing is said.
    fn default_log(&self) -> &'static str {
        match self {
            // A server says who came.
            #[cfg(feature = "serve")]
            Self::Serve(_) => "unforget::access=info",
            _ => "off",
        }
    }
}

fn log_to_stderr(verbose: u8, default: &str) {
    let level = match verbose {
        0 => default,
        1 => "warn",
        2 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("UNFORGET_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
