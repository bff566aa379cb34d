//! `unforget ask`: an answer from the documents, with citations.

use std::io::Write;
use std::process::ExitCode;

use unforget::Result;
use unforget::engine::{Session, SessionOptions};
use unforget::rag::{self, AskOptions, GroundedAnswer};
use unforget::registry::Registry;

use super::answer::{Report, summary};
use super::options::{GenerateArgs, ModelArgs, SessionArgs};
use super::{Context, exit_code_of, output, resolve};

/// Answer a question from the documents, with citations
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget ask \"Who was named Super Bowl MVP?\"\n  \
    unforget ask --docs notes \"When is the release?\" --json\n\n\
    Each [n] in the answer points at a file, a byte range and its text. `grounded` is true when every sentence is\n\
    supported by a passage. Where no passage is relevant, the answer says so and the model is not asked.")]
pub struct Args {
    /// The question
    question: String,

    /// Collection to answer from
    #[arg(
        long,
        env = "UNFORGET_DOCS",
        default_value = "default",
        value_name = "COLLECTION"
    )]
    docs: String,

    /// Most passages to answer from
    #[arg(long, env = "UNFORGET_TOP_PASSAGES", default_value_t = AskOptions::DEFAULT_PASSAGES, value_name = "N")]
    passages: usize,

    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    generate: GenerateArgs,
}

impl Args {
    /// What `unforget run --docs` asks.
    pub fn new(
        question: String,
        docs: String,
        model: ModelArgs,
        session: SessionArgs,
        generate: GenerateArgs,
    ) -> Self {
        Self {
            question,
            docs,
            passages: AskOptions::DEFAULT_PASSAGES,
            model,
            session,
            generate,
        }
    }
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut collection = resolve::open_collection(&context.home, &args.docs)?;
    let registry = Registry::open(&context.home)?;
    let sizes = args.session.resolve();
    let mut embedder = resolve::open_embedder(&registry, &sizes)?;
    let resolved = resolve::open(&args.model, &context.home)?;
    let mut session = Session::new(&resolved.model, &sizes_for_documents(sizes, &resolved))?;
    session.set_adapters(resolved.stack.clone())?;
    let options = AskOptions {
        passages: args.passages,
        generate: args.generate.resolve()?,
    };
    let answer = rag::ask(
        &args.question,
        &mut collection,
        &mut embedder,
        &mut session,
        &options,
    )?;
    let code = exit_code_of(answer.outcome.finish_reason);
    let report = Report::new(answer, &resolved)?;
    context
        .output
        .result(&report, |out| print(out, &report.answer))?;
    if !context.output.is_json() {
        output::note(&summary(&report.answer.outcome));
    }
    Ok(code)
}

/// Passages and an answer fit into half of what a small model has; more would only be slower.
fn sizes_for_documents(mut sizes: SessionOptions, resolved: &resolve::Resolved) -> SessionOptions {
    const N_CTX: usize = 2048;
    sizes.n_ctx = sizes
        .n_ctx
        .or_else(|| u32::try_from(N_CTX.min(resolved.model.n_ctx_train())).ok());
    sizes
}

/// The answer and the passages that its numbers point at.
pub fn print(out: &mut dyn Write, answer: &GroundedAnswer) -> std::io::Result<()> {
    writeln!(out, "{}", answer.outcome.text)?;
    if !answer.citations.is_empty() {
        writeln!(out)?;
    }
    for citation in &answer.citations {
        writeln!(
            out,
            "[{}] {}, bytes {}-{}: {}",
            citation.n,
            citation.path,
            citation.start,
            citation.end,
            one_line(&citation.text)
        )?;
    }
    if !answer.grounded && !answer.citations.is_empty() {
        writeln!(
            out,
            "\nNot every sentence of this answer is supported by the documents."
        )?;
    }
    Ok(())
}

/// The beginning of a text on one line, for people; the whole of it is in the JSON.
pub fn one_line(text: &str) -> String {
    const WIDTH: usize = 160;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}
