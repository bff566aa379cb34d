//! `unforget docs list`, `show` and `remove`: what is in a collection.

use serde::Serialize;
use unforget::Result;
use unforget::collections;
use unforget::rag::{ChunkRow, DocumentSummary, Version};

use super::{CollectionArgs, place};
use crate::cli::{Context, output};

#[derive(Debug, clap::Args)]
pub struct DocumentArgs {
    /// Number of the document, as `unforget docs list` shows it
    #[arg(value_name = "ID")]
    id: i64,

    #[command(flatten)]
    collection: CollectionArgs,
}

#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    document: DocumentArgs,

    /// As it was: the sha256 of a past version, as a citation names it, or the beginning of it
    #[arg(long, value_name = "SHA256")]
    version: Option<String>,
}

pub fn list(args: CollectionArgs, context: &Context) -> Result<()> {
    #[derive(Serialize)]
    struct Report {
        collection: String,
        documents: Vec<DocumentSummary>,
    }
    let documents = collections::open(&context.home, &args.collection)?.documents()?;
    let report = Report {
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

pub fn show(args: ShowArgs, context: &Context) -> Result<()> {
    #[derive(Serialize)]
    struct Report {
        document: i64,
        chunks: Vec<ChunkRow>,
        versions: Vec<Version>,
    }
    let ShowArgs { document, version } = args;
    let collection = collections::open(&context.home, &document.collection.collection)?;
    let report = Report {
        document: document.id,
        chunks: match version {
            Some(sha256) => collection.chunks_of_version(document.id, &sha256)?,
            None => collection.chunks(document.id)?,
        },
        versions: collection.history(document.id)?,
    };
    context.output.result(&report, |out| {
        if let Some(first) = report.chunks.first() {
            writeln!(out, "{}", first.path)?;
        }
        for version in &report.versions {
            let state = if version.replaced_at.is_some() {
                "was"
            } else {
                "is"
            };
            let text = if version.has_text {
                ""
            } else {
                ", its text is not kept"
            };
            writeln!(
                out,
                "{state} sha256 {}, {} bytes{text}",
                version.sha256, version.bytes
            )?;
        }
        for chunk in &report.chunks {
            let heading = if chunk.heading.is_empty() {
                String::new()
            } else {
                format!(", {}", chunk.heading)
            };
            writeln!(
                out,
                "\n{}, {} tokens{heading}",
                place(chunk.start, chunk.end, &chunk.position),
                chunk.tokens
            )?;
            writeln!(out, "{}", chunk.text)?;
        }
        Ok(())
    })
}

pub fn remove(args: DocumentArgs, context: &Context) -> Result<()> {
    #[derive(Serialize)]
    struct Report {
        removed: i64,
    }
    collections::open(&context.home, &args.collection.collection)?.remove(args.id)?;
    let report = Report { removed: args.id };
    context.output.result(&report, |out| {
        writeln!(
            out,
            "document {} is removed; `unforget docs sync` adds it again while its file is under a path that was added",
            args.id
        )
    })
}
