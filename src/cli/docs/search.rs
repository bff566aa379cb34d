//! `unforget docs search`: passages for a query.

use unforget::Result;
use unforget::rag::{SearchMode, SearchOptions};
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
    session: SessionArgs,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let mut collection = resolve::open_collection(&context.home, &args.collection.collection)?;
    let registry = Registry::open(&context.home)?;
    let sizes = args.session.resolve();
    let mut embedder = resolve::open_embedder(&registry, &sizes)?;
    resolve::add_reranker(&mut collection, args.rerank.as_deref(), &registry, &sizes)?;
    let options = SearchOptions {
        limit: args.limit,
        mode: args.mode,
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
