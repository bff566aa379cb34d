//! `unforget docs search`: passages for a query.

use unforget::Result;
use unforget::collections;
use unforget::engine::GpuLayers;
use unforget::rag::{Date, Filter, SearchMode, SearchOptions};
use unforget::registry::Registry;

use super::{CollectionArgs, place};
use crate::cli::options::SessionArgs;
use crate::cli::{Context, ask, resolve};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to look for
    query: String,

    #[command(flatten)]
    collection: CollectionArgs,

    /// Most passages to show
    #[arg(short = 'k', long, default_value_t = 5, value_name = "N")]
    limit: usize,

    /// Which rankings to use: hybrid, dense (vectors alone) or keyword (words alone)
    #[arg(long, default_value_t, value_name = "MODE")]
    mode: SearchMode,

    /// Cross-encoder to read the best passages again with: an installed name or a GGUF file
    #[arg(long, env = "UNFORGET_RERANK", value_name = "NAME|FILE")]
    rerank: Option<String>,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    session: SessionArgs,
}

/// Which documents to search in.
#[derive(Debug, Default, clap::Args)]
pub struct FilterArgs {
    /// Only files whose path matches, such as '*.md' or 'notes/**'; of several, one has to
    #[arg(long = "path", value_name = "GLOB")]
    paths: Vec<String>,

    /// Only this document, by its number; of several, one of them
    #[arg(long = "document", value_name = "ID")]
    documents: Vec<i64>,

    /// Only what was added with this tag; of several, one of them
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Only files written since then, such as 2026-01-31
    #[arg(long, value_name = "DATE")]
    since: Option<Date>,
}

impl FilterArgs {
    /// As the library takes it.
    pub fn resolve(self) -> Filter {
        Filter {
            paths: self.paths,
            documents: self.documents,
            tags: self.tags,
            since: self.since,
        }
    }
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let mut collection = collections::open(&context.home, &args.collection.collection)?;
    let registry = Registry::open(&context.home)?;
    let sizes = args.session.resolve();
    let mut embedder = resolve::open_embedder(&registry, GpuLayers::Auto, &sizes)?;
    resolve::add_reranker(
        &mut collection,
        args.rerank.as_deref(),
        &registry,
        GpuLayers::Auto,
        &sizes,
    )?;
    let options = SearchOptions {
        limit: args.limit,
        mode: args.mode,
        filter: args.filter.resolve(),
        ..SearchOptions::default()
    };
    let result = collection.search(&args.query, &mut embedder, &options)?;
    context.output.result(&result, |out| {
        for hit in &result.hits {
            writeln!(
                out,
                "{:.3}  {}, {}",
                hit.score,
                hit.path,
                place(hit.start, hit.end, &hit.position)
            )?;
            writeln!(out, "       {}", ask::one_line(&hit.text))?;
        }
        if result.hits.is_empty() {
            writeln!(out, "nothing found")?;
        }
        Ok(())
    })
}
