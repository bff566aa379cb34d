//! `unforget docs eval`: retrieval measured on a benchmark.

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::Serialize;
use unforget::Result;
use unforget::rag::{self, EvalReport, SearchMode};
use unforget::registry::Registry;

use crate::cli::options::SessionArgs;
use crate::cli::{Context, interrupt, output, progress, resolve};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/test.tsv
    #[arg(value_name = "BEIR_DIR")]
    benchmark: PathBuf,

    /// Which rankings to measure; repeat it to compare: hybrid, dense, keyword
    #[arg(long = "mode", default_value = "hybrid", value_name = "MODE")]
    modes: Vec<SearchMode>,

    #[command(flatten)]
    session: SessionArgs,
}

/// The first mode's figures, and all of them where there are several.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    first: Option<&'a EvalReport>,
    modes: &'a [EvalReport],
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let registry = Registry::open(&context.home)?;
    let mut embedder = resolve::open_embedder(&registry, &args.session.resolve())?;
    context.home.create(&context.home.collections())?;
    let scratch = tempfile::tempdir_in(context.home.collections())?;
    let bar = progress::items(0);
    bar.set_message("measuring");
    let cancel = interrupt::token();
    let reports = rag::evaluate(
        &args.benchmark,
        scratch.path(),
        &args.modes,
        &mut embedder,
        &mut |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
            if cancel.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    bar.finish_and_clear();
    let reports = reports?;
    let report = Report {
        first: reports.first(),
        modes: &reports,
    };
    context.output.result(&report, |out| {
        let header = [
            "mode",
            "queries",
            "recall@10",
            "MRR@10",
            "nDCG@10",
            "p50 ms",
            "p99 ms",
        ];
        output::table(out, &header, &reports.iter().map(row).collect::<Vec<_>>())
    })
}

fn row(report: &EvalReport) -> Vec<String> {
    vec![
        report.mode.to_string(),
        report.queries.to_string(),
        format!("{:.3}", report.scores.recall_at_10),
        format!("{:.3}", report.scores.mrr_at_10),
        format!("{:.3}", report.scores.ndcg_at_10),
        format!("{:.1}", report.p50_ms),
        format!("{:.1}", report.p99_ms),
    ]
}
