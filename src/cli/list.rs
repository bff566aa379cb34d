//! `unforget list`: everything that is installed.

use std::process::ExitCode;

use serde::Serialize;
use unforget::Result;
use unforget::collections::{self, Summary};
use unforget::registry::{Home, Listing, ModelListing, Registry};

use super::{Context, adapter, output};

/// Show what is installed
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    installed: Listing,
    collections: Vec<Summary>,
}

pub fn run(_: Args, context: &Context) -> Result<ExitCode> {
    let report = Report {
        installed: Listing::read(&Registry::open(&context.home)?)?,
        collections: summaries(&context.home)?,
    };
    context.output.result(&report, |out| print(out, &report))?;
    Ok(ExitCode::SUCCESS)
}

fn summaries(home: &Home) -> Result<Vec<Summary>> {
    let names = collections::names(home)?.into_iter();
    names
        .map(|name| Summary::of(&collections::open(home, &name)?))
        .collect()
}

fn print(out: &mut dyn std::io::Write, report: &Report) -> std::io::Result<()> {
    let Report {
        installed,
        collections,
    } = report;
    if installed.models.is_empty() && installed.adapters.is_empty() && collections.is_empty() {
        return writeln!(
            out,
            "nothing is installed yet; begin with `unforget pull smollm2`"
        );
    }
    if !installed.models.is_empty() {
        print_models(out, &installed.models)?;
    }
    if !installed.adapters.is_empty() {
        writeln!(out)?;
        adapter::print_adapters(out, &installed.adapters)?;
    }
    if !collections.is_empty() {
        writeln!(out)?;
        let rows: Vec<_> = collections
            .iter()
            .map(|c| {
                vec![
                    c.name.clone(),
                    c.documents.to_string(),
                    c.passages.to_string(),
                    c.embedder.clone(),
                ]
            })
            .collect();
        output::table(
            out,
            &["collection", "documents", "passages", "embedder"],
            &rows,
        )?;
    }
    Ok(())
}

fn print_models(out: &mut dyn std::io::Write, models: &[ModelListing]) -> std::io::Result<()> {
    let rows: Vec<_> = models
        .iter()
        .map(|listing| {
            let ModelListing {
                model,
                missing,
                tuned,
            } = listing;
            vec![
                model.name.clone(),
                model.kind.to_string(),
                output::megabytes(model.bytes),
                model.sha256.short(),
                model.licence.clone().unwrap_or_default(),
                match (missing, tuned.is_empty()) {
                    (true, _) => "file is gone".to_owned(),
                    (false, true) => String::new(),
                    (false, false) => format!("tuned: {}", tuned.join("; ")),
                },
            ]
        })
        .collect();
    output::table(
        out,
        &["model", "kind", "size", "sha256", "licence", ""],
        &rows,
    )
}
