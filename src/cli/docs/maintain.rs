//! `unforget docs verify` and `rebuild`: is a collection whole, and its index anew.

use std::ops::ControlFlow;
use std::process::ExitCode;

use serde::Serialize;
use unforget::rag::{Collection, Embed};
use unforget::registry::Registry;
use unforget::{Error, ErrorKind, Result};

use super::CollectionArgs;
use crate::cli::options::SessionArgs;
use crate::cli::{Context, interrupt, progress, resolve};

pub fn verify(args: CollectionArgs, context: &Context) -> Result<ExitCode> {
    let report = resolve::open_collection(&context.home, &args.collection)?.verify()?;
    context.output.result(&report, |out| {
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
    let mut collection = resolve::open_collection(&context.home, &args.collection.collection)?;
    let registry = Registry::open(&context.home)?;
    let report = match resolve::open_embedder(&registry, &args.session.resolve()) {
        Ok(mut embedder) if !embedder.id().is_same_model(collection.embedder()) => {
            reembed(&mut collection, &mut embedder)?
        }
        // Without one, or with the same, the vectors stay.
        Ok(_) | Err(Error::NothingInstalled { .. }) => Rebuilt {
            vectors: collection.rebuild()?,
            embedded: 0,
            cut: 0,
            embedder: collection.embedder().name.clone(),
        },
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

fn reembed(collection: &mut Collection, embedder: &mut dyn Embed) -> Result<Rebuilt> {
    let bar = progress::items(0);
    let cancel = interrupt::token();
    let report = collection.reembed(embedder, &mut |at| {
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
    let report = report?;
    Ok(Rebuilt {
        vectors: report.vectors,
        embedded: report.embedded,
        cut: report.cut,
        embedder: collection.embedder().name.clone(),
    })
}
