//! `unforget docs add` and `sync`: files into a collection.

use std::ops::ControlFlow;
use std::path::PathBuf;

use indicatif::ProgressBar;
use unforget::Result;
use unforget::collections;
use unforget::engine::GpuLayers;
use unforget::rag::{Collection, Embed, IngestOptions, IngestReport, Progress, Stage};
use unforget::registry::Registry;

use super::CollectionArgs;
use crate::cli::options::SessionArgs;
use crate::cli::{Context, interrupt, output, progress, resolve};

/// Files that are named as skipped on the terminal; a folder may have thousands that are no text.
const SHOWN_SKIPPED: usize = 20;

#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// Files or folders: text, Markdown, HTML, source code, CSV, JSON lines, PDF, DOCX; .gitignore is obeyed
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Replace e-mail addresses, phone and card numbers, IBANs and keys by tokens before anything is stored; the
    /// collection keeps to it from then on
    #[arg(long, env = "UNFORGET_REDACT")]
    redact: bool,

    /// A tag for all that is at and below these paths, also for what comes later; repeat it for several. A search can
    /// ask for it
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

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

#[derive(Debug, clap::Args)]
pub struct UntagArgs {
    /// Files or folders, as they were given the tag
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The tag to take back; repeat it for several
    #[arg(long = "tag", required = true, value_name = "TAG")]
    tags: Vec<String>,

    #[command(flatten)]
    collection: CollectionArgs,
}

pub fn untag(args: UntagArgs, context: &Context) -> Result<()> {
    #[derive(serde::Serialize)]
    struct Report {
        untagged: usize,
    }
    let mut collection = collections::open(&context.home, &args.collection.collection)?;
    let report = Report {
        untagged: collection.untag(&args.paths, &args.tags)?,
    };
    context.output.result(&report, |out| {
        writeln!(out, "{} tags taken back", report.untagged)
    })
}

pub fn add(args: AddArgs, context: &Context) -> Result<()> {
    let registry = Registry::open(&context.home)?;
    let mut embedder = resolve::open_embedder(&registry, GpuLayers::Auto, &args.session.resolve())?;
    let dir = collections::folder(&context.home, &args.collection.collection)?;
    context.home.create(&context.home.collections())?;
    let mut collection = Collection::create_or_open(&dir, embedder.id())?;
    with_bar(context, |progress| {
        let options = IngestOptions {
            redact: args.redact,
            tags: args.tags,
            ..IngestOptions::default()
        };
        collection.add(&args.paths, &mut embedder, &options, progress)
    })
}

pub fn sync(args: SyncArgs, context: &Context) -> Result<()> {
    let mut collection = collections::open(&context.home, &args.collection.collection)?;
    let registry = Registry::open(&context.home)?;
    let mut embedder = resolve::open_embedder(&registry, GpuLayers::Auto, &args.session.resolve())?;
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
    let bar = progress::work();
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
        for (kind, count) in &report.redacted {
            writeln!(out, "redacted {count} x {kind}")?;
        }
        for skipped in report.skipped.iter().take(SHOWN_SKIPPED) {
            writeln!(
                out,
                "skipped {}: {}",
                skipped.path.display(),
                skipped.reason
            )?;
        }
        match report.skipped.len().saturating_sub(SHOWN_SKIPPED) {
            0 => Ok(()),
            more => writeln!(out, "skipped {more} more; --json names them all"),
        }
    })
}

/// By bytes, which tell the time left better than files do; files, chunks and tokens a second are in words.
fn show(bar: &ProgressBar, progress: &Progress<'_>) {
    if let Stage::Indexing { done, all } = progress.stage {
        bar.set_message(format!("building the index, {done} of {all} vectors"));
        return;
    }
    bar.set_length(progress.bytes);
    let share = |size: u64| match progress.chunks {
        0 => 0,
        chunks => size.saturating_mul(progress.chunks_done as u64) / chunks as u64,
    };
    bar.set_position(progress.bytes_done + share(progress.file_bytes));
    let seconds = bar.elapsed().as_secs_f64().max(0.001);
    bar.set_message(format!(
        "{} of {} files, {} chunks, {:.0} tokens/s, {}",
        progress.files_done,
        progress.files,
        progress.embedded,
        progress.tokens as f64 / seconds,
        output::file_name(progress.path)
    ));
}

fn summary(report: &IngestReport) -> String {
    let some = |n: usize, what: &str| match n {
        0 => String::new(),
        n => format!("{n} {what}, "),
    };
    let removed = some(report.moved, "moved") + &some(report.removed, "removed");
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
