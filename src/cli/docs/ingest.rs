//! `unforget docs add` and `sync`: files into a collection.

use std::ops::ControlFlow;
use std::path::PathBuf;

use indicatif::ProgressBar;
use unforget::Result;
use unforget::rag::{Collection, Embed, IngestOptions, IngestReport, Progress};
use unforget::registry::Registry;

use super::CollectionArgs;
use crate::cli::options::SessionArgs;
use crate::cli::{Context, interrupt, output, progress, resolve};

#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// Files or folders with text and Markdown; .gitignore is obeyed
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    collection: CollectionArgs,
    #[command(flatten)]
    session: SessionArgs,
}

#[derive(Debug, clap::Args)]
pub struct SyncArgs {
    #[command(flatten)]
    collection: CollectionArgs,
    #[command(flatten)]
    session: SessionArgs,
}

pub fn add(args: AddArgs, context: &Context) -> Result<()> {
    let registry = Registry::open(&context.home)?;
    let mut embedder = resolve::open_embedder(&registry, &args.session.resolve())?;
    let dir = resolve::collection_dir(&context.home, &args.collection.collection)?;
    context.home.create(&context.home.collections())?;
    let mut collection = Collection::create_or_open(&dir, embedder.id())?;
    with_bar(context, |progress| {
        collection.add(
            &args.paths,
            &mut embedder,
            &IngestOptions::default(),
            progress,
        )
    })
}

pub fn sync(args: SyncArgs, context: &Context) -> Result<()> {
    let mut collection = resolve::open_collection(&context.home, &args.collection.collection)?;
    let registry = Registry::open(&context.home)?;
    let mut embedder = resolve::open_embedder(&registry, &args.session.resolve())?;
    with_bar(context, |progress| {
        collection.sync(&mut embedder, &IngestOptions::default(), progress)
    })
}

type OnProgress<'a> = dyn FnMut(&Progress<'_>) -> ControlFlow<()> + 'a;

/// Runs `work` under a bar, stopped by Ctrl-C, and prints what came of it.
fn with_bar(
    context: &Context,
    work: impl FnOnce(&mut OnProgress<'_>) -> Result<IngestReport>,
) -> Result<()> {
    let bar = progress::items(0);
    let cancel = interrupt::token();
    let report = work(&mut |progress| {
        show(&bar, progress);
        if cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
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

fn show(bar: &ProgressBar, progress: &Progress<'_>) {
    bar.set_length(progress.files as u64);
    bar.set_position(progress.files_done as u64);
    bar.set_message(output::file_name(progress.path));
}

fn summary(report: &IngestReport) -> String {
    let removed = match report.removed {
        0 => String::new(),
        n => format!("{n} removed, "),
    };
    format!(
        "{} added, {} updated, {} unchanged, {removed}{} skipped: {} chunks of {} tokens in {:.1} s",
        report.added,
        report.updated,
        report.unchanged,
        report.skipped.len(),
        report.chunks,
        report.tokens,
        report.seconds
    )
}
