//! `unforget docs verify` and `rebuild`: is a collection whole, and its index anew.

use std::process::ExitCode;

use serde::Serialize;
use unforget::{ErrorKind, Result};

use super::CollectionArgs;
use crate::cli::{Context, resolve};

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

pub fn rebuild(args: CollectionArgs, context: &Context) -> Result<()> {
    #[derive(Serialize)]
    struct Report {
        vectors: usize,
    }
    let vectors = resolve::open_collection(&context.home, &args.collection)?.rebuild()?;
    let report = Report { vectors };
    context.output.result(&report, |out| {
        writeln!(out, "rebuilt over {vectors} vectors")
    })
}
