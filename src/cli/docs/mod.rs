//! `unforget docs`: documents of a collection.

mod eval;
mod ingest;
mod list;
mod maintain;
mod policy;
mod search;

use std::process::ExitCode;

use clap::Subcommand;
use unforget::Result;
use unforget::rag::{Position, Span};

use super::Context;

/// Documents of a collection
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget docs add ~/notes README.md            into the collection 'default'\n  \
    unforget docs add --to work ~/work             into another one\n  \
    unforget docs sync                             take over what changed in all that was ever added\n  \
    unforget docs list\n  \
    unforget docs search \"release date\" --json\n  \
    unforget docs policy --set policy.toml         what may be quoted, and which topics are refused\n  \
    unforget docs eval ~/beir/scifact              measure retrieval on a benchmark\n  \
    unforget docs eval ~/beir/squad --answers      and what the model answers from it")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add files and folders; what is unchanged since the last time costs nothing
    Add(ingest::AddArgs),
    /// Walk all that was ever added again: take what is new, update what changed, forget what is gone
    Sync(ingest::SyncArgs),
    /// List the documents
    List(CollectionArgs),
    /// Show the passages of a document
    Show(list::ShowArgs),
    /// Find passages
    Search(search::Args),
    /// Take a document out; its file stays
    Remove(list::DocumentArgs),
    /// Take tags back from paths that `add --tag` gave them to
    Untag(ingest::UntagArgs),
    /// Check database, vectors, index and byte ranges, repair what can be, and name what has changed on disk
    Verify(CollectionArgs),
    /// Build the index anew from the stored documents; with another embedder installed, embed their text anew
    Rebuild(maintain::RebuildArgs),
    /// Show, set or check the policy of a collection: what may be quoted, how fresh, which topics are refused
    Policy(policy::Args),
    /// Measure retrieval, and answers with --answers, on a folder in BEIR's layout
    Eval(Box<eval::Args>),
}

/// Which collection.
#[derive(Debug, clap::Args)]
struct CollectionArgs {
    /// Collection of documents
    #[arg(
        long = "to",
        visible_alias = "docs",
        env = "UNFORGET_DOCS",
        default_value = "default",
        value_name = "COLLECTION"
    )]
    collection: String,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    match args.command {
        Command::Add(args) => ingest::add(args, context),
        Command::Sync(args) => ingest::sync(args, context),
        Command::List(args) => list::list(args, context),
        Command::Show(args) => list::show(args, context),
        Command::Search(args) => search::run(args, context),
        Command::Remove(args) => list::remove(args, context),
        Command::Untag(args) => ingest::untag(args, context),
        Command::Verify(args) => return maintain::verify(args, context),
        Command::Rebuild(args) => maintain::rebuild(args, context),
        Command::Policy(args) => policy::run(args, context),
        Command::Eval(args) => eval::run(&args, context),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Where a passage stands, in words: `page 3, line 7, bytes 10-20`.
fn place(start: usize, end: usize, position: &Position) -> String {
    let page = position.page.map(|page| format!("page {page}, "));
    let line = position.line.map(|line| format!("line {line}, "));
    let of = match position.span {
        Span::Exact | Span::Covering => "",
        Span::Extracted => " of its text",
    };
    format!(
        "{}{}bytes {start}-{end}{of}",
        page.unwrap_or_default(),
        line.unwrap_or_default()
    )
}
