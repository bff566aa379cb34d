//! `unforget list`: everything that is installed.

use std::process::ExitCode;

use serde::Serialize;
use unforget::Result;
use unforget::registry::{Listing, ModelListing, Registry};

use super::{Context, adapter, output, resolve};

/// Show what is installed
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    installed: Listing,
    collections: Vec<CollectionListing>,
}

#[derive(Serialize)]
struct CollectionListing {
    name: String,
    embedder: String,
    documents: usize,
    chunks: u64,
}

pub fn run(_: Args, context: &Context) -> Result<ExitCode> {
    let report = Report {
        installed: Listing::read(&Registry::open(&context.home)?)?,
        collections: collections(context)?,
    };
    context.output.result(&report, |out| print(out, &report))?;
    Ok(ExitCode::SUCCESS)
}

fn collections(context: &Context) -> Result<Vec<CollectionListing>> {
    resolve::collection_names(&context.home)?
        .into_iter()
        .map(|name| {
            let collection = resolve::open_collection(&context.home, &name)?;
            let documents = collection.documents()?;
            Ok(CollectionListing {
                embedder: collection.embedder().name.clone(),
                documents: documents.len(),
                chunks: documents.iter().map(|document| document.chunks).sum(),
                name,
            })
        })
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
                    c.chunks.to_string(),
                    c.embedder.clone(),
                ]
            })
            .collect();
        output::table(
            out,
            &["collection", "documents", "chunks", "embedder"],
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
