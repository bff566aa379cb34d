//! `unforget docs verify` and `rebuild`: is a collection whole, and its index anew.

use std::ops::ControlFlow;
use std::process::ExitCode;

use serde::Serialize;
use unforget::collections;
use unforget::engine::GpuLayers;
use unforget::rag::{Collection, Embed, ReembedProgress};
use unforget::registry::Registry;
use unforget::{Error, ErrorKind, Result};

use super::CollectionArgs;
use crate::cli::options::SessionArgs;
use crate::cli::{Context, interrupt, progress, resolve};

pub fn verify(args: CollectionArgs, context: &Context) -> Result<ExitCode> {
    let mut collection = collections::open(&context.home, &args.collection)?;
    let report = indexing(|go_on| collection.repair(go_on))?;
    context.output.result(&report, |out| {
        for problem in &report.repaired {
            writeln!(out, "repaired: {problem}")?;
        }
        for problem in &report.problems {
            writeln!(out, "problem: {problem}")?;
        }
        for stale in &report.stale {
            writeln!(
                out,
                "document {}, {}: {}",
                stale.document,
                stale.path.display(),
                stale.reason
            )?;
        }
        let verdict = if report.ok { "sound" } else { "damaged" };
        write!(
            out,
            "{verdict}: {} documents, {} chunks",
            report.documents, report.chunks
        )?;
        if report.stale.is_empty() {
            return writeln!(out);
        }
        writeln!(
            out,
            "; {} not as they were added: run `unforget docs sync`",
            report.stale.len()
        )
    })?;
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(ErrorKind::Failed.exit_code())
    })
}

#[derive(Debug, clap::Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    collection: CollectionArgs,
    #[command(flatten)]
    session: SessionArgs,
}

#[derive(Serialize)]
struct Rebuilt {
    vectors: usize,
    /// Chunks that were embedded anew, because another embedder is installed than the collection was made with.
    embedded: usize,
    cut: usize,
    embedder: String,
}

/// Builds the index anew; with another embedder than the collection's, also the vectors, from the stored text.
pub fn rebuild(args: RebuildArgs, context: &Context) -> Result<()> {
    let mut collection = collections::open(&context.home, &args.collection.collection)?;
    let registry = Registry::open(&context.home)?;
    let report = match resolve::open_embedder(&registry, GpuLayers::Auto, &args.session.resolve()) {
        Ok(mut embedder) if !embedder.id().is_same_model(collection.embedder()) => {
            reembed(&mut collection, &mut embedder)?
        }
        // Without one, or with the same, the vectors stay.
        Ok(mut embedder) => {
            let embedded = embed_missing(&mut collection, &mut embedder)?;
            rebuilt(&mut collection, embedded)?
        }
        Err(Error::NothingInstalled { .. }) => rebuilt(&mut collection, 0)?,
        Err(error) => return Err(error),
    };
    context.output.result(&report, |out| {
        if report.embedded > 0 {
            writeln!(
                out,
                "embedded {} chunks with {}",
                report.embedded, report.embedder
            )?;
        }
        if report.cut > 0 {
            writeln!(
                out,
                "{} chunks are longer than it reads; their ends were left out",
                report.cut
            )?;
        }
        writeln!(out, "rebuilt over {} vectors", report.vectors)
    })
}

/// Builds what is derived from the rows.
fn rebuilt(collection: &mut Collection, embedded: usize) -> Result<Rebuilt> {
    Ok(Rebuilt {
        vectors: indexing(|go_on| collection.rebuild(go_on))?,
        embedded,
        cut: 0,
        embedder: collection.embedder().name.clone(),
    })
}

fn reembed(collection: &mut Collection, embedder: &mut dyn Embed) -> Result<Rebuilt> {
    let report = embedding(|on| collection.reembed(embedder, on))?;
    Ok(Rebuilt {
        vectors: report.vectors,
        embedded: report.embedded,
        cut: report.cut,
        embedder: collection.embedder().name.clone(),
    })
}

fn embed_missing(collection: &mut Collection, embedder: &mut dyn Embed) -> Result<usize> {
    embedding(|on| collection.embed_missing(embedder, on))
}

type OnChunks<'a> = dyn FnMut(&ReembedProgress) -> ControlFlow<()> + 'a;

/// Runs `work` under a bar of chunks, stopped by Ctrl-C.
fn embedding<T>(work: impl FnOnce(&mut OnChunks<'_>) -> Result<T>) -> Result<T> {
    let bar = progress::items(0);
    let cancel = interrupt::token();
    let done = work(&mut |at| {
        bar.set_length(at.chunks as u64);
        bar.set_position(at.chunks_done as u64);
        bar.set_message("chunks");
        if cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    done
}

type GoOn<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// Runs `work` under a bar of vectors in the index, stopped by Ctrl-C.
fn indexing<T>(work: impl FnOnce(&mut GoOn<'_>) -> Result<T>) -> Result<T> {
    let bar = progress::items(0);
    let cancel = interrupt::token();
    let done = work(&mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message("vectors");
        !cancel.is_cancelled()
    });
    bar.finish_and_clear();
    done
}
