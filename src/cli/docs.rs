//! `unforget docs`: documents of a collection.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;
use unforget::Result;
use unforget::rag::{Collection, Embed, IngestOptions, IngestReport, SearchOptions};
use unforget::registry::Registry;

use super::options::SessionArgs;
use super::{Context, ask, interrupt, output, progress, resolve};

/// Documents of a collection
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget docs add ~/notes README.md            into the collection 'default'\n  \
    unforget docs add --to work ~/work             into another one\n  \
    unforget docs list\n  \
    unforget docs search \"release date\" --json")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add files and folders; what is unchanged since the last time costs nothing
    Add(AddArgs),
    /// List the documents
    List(ListArgs),
    /// Find passages
    Search(SearchArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Files or folders with text and Markdown; .gitignore is obeyed
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Collection to add to
    #[arg(
        long = "to",
        env = "UNFORGET_DOCS",
        default_value = "default",
        value_name = "COLLECTION"
    )]
    collection: String,

    #[command(flatten)]
    session: SessionArgs,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Collection to list
    #[arg(
        long = "to",
        visible_alias = "docs",
        env = "UNFORGET_DOCS",
        default_value = "default",
        value_name = "COLLECTION"
    )]
    collection: String,
}

#[derive(Debug, clap::Args)]
struct SearchArgs {
    /// What to look for
    query: String,

    /// Collection to search
    #[arg(
        long = "to",
        visible_alias = "docs",
        env = "UNFORGET_DOCS",
        default_value = "default",
        value_name = "COLLECTION"
    )]
    collection: String,

    /// Most passages to show
    #[arg(short = 'k', long, default_value_t = 5, value_name = "N")]
    limit: usize,

    #[command(flatten)]
    session: SessionArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        Command::Add(args) => add(args, context),
        Command::List(args) => list(args, context),
        Command::Search(args) => search(args, context),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn add(args: AddArgs, context: &Context) -> Result<()> {
    let registry = Registry::open(&context.home)?;
    let mut embedder = resolve::open_embedder(&registry, &args.session.resolve())?;
    let dir = resolve::collection_dir(&context.home, &args.collection)?;
    context.home.create(&context.home.collections())?;
    let mut collection = Collection::create_or_open(&dir, embedder.id())?;
    let bar = progress::items(0);
    let cancel = interrupt::token();
    let report = collection.add(
        &args.paths,
        &mut embedder,
        &IngestOptions::default(),
        &mut |progress| {
            bar.set_length(progress.files as u64);
            bar.set_position(progress.files_done as u64);
            bar.set_message(output::file_name(progress.path));
            if cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    bar.finish_and_clear();
    let report = report?;
    context.output.result(&report, |out| {
        writeln!(out, "{}", summary(&report))?;
        for skipped in &report.skipped {
            writeln!(
                out,
                "skipped {}: {}",
                skipped.path.display(),
                skipped.reason
            )?;
        }
        Ok(())
    })
}

fn summary(report: &IngestReport) -> String {
    format!(
        "{} added, {} updated, {} unchanged, {} skipped: {} chunks of {} tokens in {:.1} s",
        report.added,
        report.updated,
        report.unchanged,
        report.skipped.len(),
        report.chunks,
        report.tokens,
        report.seconds
    )
}

fn list(args: ListArgs, context: &Context) -> Result<()> {
    #[derive(Serialize)]
    struct Documents<T: Serialize> {
        collection: String,
        documents: Vec<T>,
    }
    let documents = resolve::open_collection(&context.home, &args.collection)?.documents()?;
    let report = Documents {
        collection: args.collection,
        documents,
    };
    context.output.result(&report, |out| {
        let rows: Vec<_> = report
            .documents
            .iter()
            .map(|document| {
                vec![
                    document.id.to_string(),
                    document.chunks.to_string(),
                    document.tokens.to_string(),
                    document.bytes.to_string(),
                    document.path.clone(),
                ]
            })
            .collect();
        output::table(out, &["id", "chunks", "tokens", "bytes", "path"], &rows)
    })
}

fn search(args: SearchArgs, context: &Context) -> Result<()> {
    let mut collection = resolve::open_collection(&context.home, &args.collection)?;
    let registry = Registry::open(&context.home)?;
    let mut embedder = resolve::open_embedder(&registry, &args.session.resolve())?;
    let options = SearchOptions {
        limit: args.limit,
        ..SearchOptions::default()
    };
    let result = collection.search(&args.query, &mut embedder, &options)?;
    context.output.result(&result, |out| {
        for hit in &result.hits {
            writeln!(
                out,
                "{:.3}  {}, bytes {}-{}",
                hit.score, hit.path, hit.start, hit.end
            )?;
            writeln!(out, "       {}", ask::one_line(&hit.text))?;
        }
        if result.hits.is_empty() {
            writeln!(out, "nothing found")?;
        }
        Ok(())
    })
}
