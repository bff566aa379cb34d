//! `unforget docs eval`: retrieval, and answers with it, measured on a benchmark.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde::Serialize;
use unforget::Result;
use unforget::engine::Session;
use unforget::rag::{
    AnswerReport, AnswerStyle, AskOptions, Benchmark, EngineEmbedder, EvalReport, GraphReport,
    QuotingRows, RankingScores, Room, SearchMode,
};
use unforget::registry::Registry;

use crate::cli::options::{GenerateArgs, ModelArgs, SessionArgs};
use crate::cli::{Context, ask, interrupt, output, progress, resolve};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget docs eval ~/beir/scifact --mode hybrid --mode dense --mode keyword\n  \
    unforget docs eval ~/beir/squad --answers --sample 50 -n 96\n  \
    unforget docs eval ~/beir/squad --split train --rows quotes.jsonl\n\n\
For --answers the queries carry a short `answer`. A question is asked as `unforget ask` asks it. Reported are SQuAD's\n\
exact match and token F1, how often the short answer is contained, in whole words, and how often every sentence is\n\
supported by a passage.")]
pub struct Args {
    /// Folder with corpus.jsonl, queries.jsonl and qrels/test.tsv
    #[arg(value_name = "BEIR_DIR")]
    benchmark: PathBuf,

    /// Which rankings to measure; repeat it to compare: hybrid, dense, keyword
    #[arg(long = "mode", default_value = "hybrid", value_name = "MODE")]
    modes: Vec<SearchMode>,

    /// Which judgements: qrels/NAME.tsv [default: test, or the first there is]
    #[arg(long, value_name = "NAME")]
    split: Option<String>,

    /// Cross-encoder to read the best passages again with: an installed name or a GGUF file
    #[arg(long, env = "UNFORGET_RERANK", value_name = "NAME|FILE")]
    rerank: Option<String>,

    /// Compare scanning all vectors with walking through a graph of them, too, however few they are
    #[arg(long)]
    graph: bool,

    /// Ask the model each question too, and judge what it answers
    #[arg(long)]
    answers: bool,

    /// Write each question with the sentence that holds its answer as a row, for `unforget train`
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,

    /// Ask so many questions only, taken evenly from the whole file
    #[arg(long, requires = "answers", value_name = "N")]
    sample: Option<usize>,

    /// How to answer: quote (with a sentence of the passages) or free (in the model's own words)
    #[arg(long, default_value_t, value_name = "STYLE")]
    style: AnswerStyle,

    /// Most passages to answer from
    #[arg(long, default_value_t = AskOptions::DEFAULT_PASSAGES, value_name = "N")]
    passages: usize,

    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    generate: GenerateArgs,
}

/// The first mode's figures, and all of them where there are several.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    first: Option<EvalReport>,
    modes: Vec<EvalReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    graph: Option<GraphReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<AnswerReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Rows>,
}

/// Rows that were written for training.
#[derive(Serialize)]
struct Rows {
    path: PathBuf,
    written: usize,
    /// Questions whose answer stands in no sentence that was found.
    without: usize,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let registry = Registry::open(&context.home)?;
    let sizes = args.session.resolve();
    let mut embedder = resolve::open_embedder(&registry, args.model.gpu_layers.beside(), &sizes)?;
    context.home.create(&context.home.collections())?;
    let scratch = tempfile::tempdir_in(context.home.collections())?;
    let bar = progress::items(0);
    let report = measure(
        args,
        context,
        &registry,
        &mut embedder,
        scratch.path(),
        &bar,
    );
    bar.finish_and_clear();
    let report = report?;
    context.output.result(&report, |out| print(out, &report))
}

fn measure(
    args: &Args,
    context: &Context,
    registry: &Registry,
    embedder: &mut EngineEmbedder,
    scratch: &Path,
    bar: &ProgressBar,
) -> Result<Report> {
    let cancel = interrupt::token();
    let mut show = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        if cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    bar.set_message("adding");
    let split = args.split.as_deref();
    let mut benchmark = Benchmark::build(&args.benchmark, split, scratch, embedder, &mut show)?;
    let sizes = args.session.resolve();
    resolve::add_reranker(
        benchmark.collection(),
        args.rerank.as_deref(),
        registry,
        args.model.gpu_layers.beside(),
        &sizes,
    )?;
    let mut modes = Vec::new();
    for &mode in &args.modes {
        bar.set_message(mode.to_string());
        modes.push(benchmark.retrieval(mode, embedder, &mut show)?);
    }
    let mut graph = None;
    if args.graph {
        bar.set_message("graph");
        graph = Some(benchmark.graph(scratch, embedder, &mut show)?);
    }
    let (mut answers, mut rows) = (None, None);
    if args.answers || args.rows.is_some() {
        let resolved = resolve::open(&args.model, &context.home)?;
        let sizes = ask::sizes_for_documents(sizes, &resolved);
        let options = AskOptions {
            passages: args.passages,
            style: args.style,
            generate: args.generate.resolve()?,
            ..AskOptions::default()
        };
        let mut session = Session::new(&resolved.model, &sizes)?;
        if let Some(path) = &args.rows {
            bar.set_message("writing rows");
            let room = Room {
                n_ctx: session.n_ctx(),
                taken: 0,
                count: &|text| resolved.model.count_tokens(text).unwrap_or(usize::MAX),
            };
            let found = benchmark.quoting_rows(embedder, &room, &options, &mut show)?;
            rows = Some(Rows::write(path, &found)?);
        }
        if args.answers {
            bar.set_message("asking");
            session.set_adapters(resolved.stack.clone())?;
            let sample = args.sample;
            answers =
                Some(benchmark.answers(sample, embedder, &mut session, &options, &mut show)?);
        }
    }
    Ok(Report {
        first: modes.first().cloned(),
        modes,
        graph,
        answers,
        rows,
    })
}

impl Rows {
    fn write(path: &Path, found: &QuotingRows) -> Result<Self> {
        let lines: Vec<String> = found
            .rows
            .iter()
            .map(|row| serde_json::json!(row).to_string() + "\n")
            .collect();
        fs_err::write(path, lines.concat())?;
        Ok(Self {
            path: path.to_owned(),
            written: found.rows.len(),
            without: found.without,
        })
    }
}

fn print(out: &mut dyn std::io::Write, report: &Report) -> std::io::Result<()> {
    let header = [
        "mode",
        "queries",
        "recall@10",
        "MRR@10",
        "nDCG@10",
        "p50 ms",
        "p99 ms",
    ];
    output::table(
        out,
        &header,
        &report.modes.iter().map(row).collect::<Vec<_>>(),
    )?;
    if let Some(graph) = &report.graph {
        let row = |name: &str, scores: &RankingScores| {
            let figures = [scores.recall_at_10, scores.mrr_at_10, scores.ndcg_at_10];
            let figures = figures.map(|figure| format!("{figure:.4}"));
            [vec![name.to_owned()], figures.to_vec()].concat()
        };
        writeln!(out)?;
        let rows = [
            row("all scanned", &graph.exact),
            row("graph walked", &graph.walk),
        ];
        output::table(
            out,
            &["vectors alone", "recall@10", "MRR@10", "nDCG@10"],
            &rows,
        )?;
    }
    if let Some(rows) = &report.rows {
        let (n, path) = (rows.written, rows.path.display());
        writeln!(
            out,
            "\n{n} rows in {path}; the answers to {} more questions stand in no sentence that was found",
            rows.without
        )?;
    }
    let Some(answers) = &report.answers else {
        return Ok(());
    };
    writeln!(out)?;
    let header = [
        "questions",
        "exact",
        "contains",
        "F1",
        "grounded",
        "contains if grounded",
        "p50 ms",
        "p99 ms",
    ];
    output::table(out, &header, &[answers_row(answers)])
}

fn answers_row(report: &AnswerReport) -> Vec<String> {
    vec![
        report.questions.to_string(),
        format!("{:.3}", report.scores.exact_match),
        format!("{:.3}", report.scores.contains),
        format!("{:.3}", report.scores.token_f1),
        format!("{:.3}", report.grounded),
        format!("{:.3}", report.grounded_contains),
        format!("{:.0}", report.p50_ms),
        format!("{:.0}", report.p99_ms),
    ]
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
