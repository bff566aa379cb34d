//! `unforget ask`: an answer from the documents, with citations.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use unforget::Result;
use unforget::collections;
use unforget::engine::{Demand, MemoryNeeds, Session, SessionOptions};
use unforget::rag::{self, Action, AnswerStyle, AskOptions, GroundedAnswer, Policy};
use unforget::registry::Registry;

use super::answer::{Report, summary};
use super::memory::{self, LimitArgs};
use super::options::{GenerateArgs, ModelArgs, SessionArgs};
use super::prefix_cache::CacheArgs;
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

    /// How to answer: quote (with a sentence of the passages) or free (in the model's own words)
    #[arg(long, env = "UNFORGET_STYLE", default_value_t, value_name = "STYLE")]
    style: AnswerStyle,

    /// Cosine of the best passage to the question below which the documents do not answer it (-1 to 1)
    #[arg(
        long,
        env = "UNFORGET_THRESHOLD",
        default_value_t = rag::RELEVANCE_THRESHOLD,
        value_parser = cosine,
        value_name = "X",
        allow_negative_numbers = true
    )]
    threshold: f32,

    /// Policy to follow in place of the collection's own (see `unforget docs policy --help`)
    #[arg(long, env = "UNFORGET_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Cross-encoder to read the best passages again with: an installed name or a GGUF file
    #[arg(long, env = "UNFORGET_RERANK", value_name = "NAME|FILE")]
    rerank: Option<String>,

    /// Keep what each passage computes to, and move it to where a later question has the passage: its answer begins sooner,
    /// in a third of the time or so, and now and then is another one
    #[arg(long, env = "UNFORGET_REUSE_PASSAGES")]
    reuse_passages: bool,

    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    generate: GenerateArgs,
}

/// Parses a number from -1 to 1.
pub fn cosine(text: &str) -> std::result::Result<f32, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (-1.0..=1.0).contains(number));
    number.ok_or_else(|| "a number from -1 to 1 is expected".to_owned())
}

impl Args {
    /// What `unforget run --docs` asks.
    pub fn new(
        question: String,
        docs: String,
        model: ModelArgs,
        session: SessionArgs,
        limit: LimitArgs,
        cache: CacheArgs,
        generate: GenerateArgs,
    ) -> Self {
        Self {
            question,
            docs,
            passages: AskOptions::DEFAULT_PASSAGES,
            style: AnswerStyle::default(),
            threshold: rag::RELEVANCE_THRESHOLD,
            policy: None,
            rerank: None,
            reuse_passages: false,
            model,
            session,
            limit,
            cache,
            generate,
        }
    }
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut collection = collections::open(&context.home, &args.docs)?;
    let registry = Registry::open(&context.home)?;
    let sizes = args.session.resolve();
    let beside = args.model.gpu_layers.beside();
    let mut embedder = resolve::open_embedder(&registry, beside, &sizes)?;
    let rerank = args.rerank.as_deref();
    let asked = with_pieces(&args, args.cache.add_to(sizes.clone(), &context.home));
    let demand = |needs: &MemoryNeeds, registry: &Registry| {
        Ok(Demand {
            beside_bytes: resolve::memory_of_search(registry, rerank)?,
            ..Demand::of_session(&asked, N_CTX.min(needs.default_n_ctx()))
        })
    };
    let (resolved, fitted) = memory::open_within(&args.model, &args.limit, &context.home, demand)?;
    let in_session = sizes_for_documents(asked, &resolved);
    let in_session = match fitted {
        Some(fitted) => fitted.within(in_session),
        None => in_session,
    };
    let mut session = Session::new(&resolved.model, &in_session)?;
    session.set_adapters(resolved.stack.clone())?;
    resolve::add_reranker(&mut collection, rerank, &registry, beside, &sizes)?;
    let options = AskOptions {
        passages: args.passages,
        style: args.style,
        threshold: args.threshold,
        policy: args.policy.as_deref().map(Policy::read).transpose()?,
        reuse_passages: args.reuse_passages,
        generate: args.generate.resolve()?,
        ..AskOptions::default()
    };
    let answer = rag::ask(
        &args.question,
        &mut collection,
        &mut embedder,
        &mut session,
        &options,
    )?;
    let code = exit_code_of(answer.outcome.finish_reason);
    let report = Report::new(answer, &resolved, &in_session)?;
    context
        .output
        .result(&report, |out| print(out, &report.answer))?;
    if !context.output.is_json() {
        output::note(&summary(&report.answer.outcome));
    }
    Ok(code)
}

/// Tokens for passages and an answer, half of what a small model has: more would only be slower.
const N_CTX: u32 = 2048;

/// The context where nothing is said of it.
pub fn sizes_for_documents(
    mut sizes: SessionOptions,
    resolved: &resolve::Resolved,
) -> SessionOptions {
    let trained = u32::try_from(resolved.model.n_ctx_train()).unwrap_or(u32::MAX);
    sizes.n_ctx = sizes.n_ctx.or(Some(N_CTX.min(trained)));
    sizes
}

/// `sizes` with room to move the passages of a prompt, where that is asked for.
fn with_pieces(args: &Args, sizes: SessionOptions) -> SessionOptions {
    if args.reuse_passages && sizes.prefix_cache.is_none() {
        output::warn(
            "passages are computed each time, since there is no prefix cache to keep them in",
        );
    }
    let moved = match args.reuse_passages && sizes.prefix_cache.is_some() {
        true => args.passages,
        false => 0,
    };
    SessionOptions {
        pieces: u32::try_from(moved).unwrap_or(u32::MAX),
        ..sizes
    }
}

/// The answer and the passages that its numbers point at. What no passage supports is marked.
pub fn print(out: &mut dyn Write, answer: &GroundedAnswer) -> std::io::Result<()> {
    writeln!(out, "{}", marked(answer))?;
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
    let claims = answer.claims.len();
    let unsupported = answer
        .claims
        .iter()
        .filter(|claim| !claim.supported)
        .count();
    if unsupported > 0 {
        writeln!(
            out,
            "\n[unsupported] marks what no passage says: {unsupported} of {claims} {}.",
            if claims == 1 { "sentence" } else { "sentences" }
        )?;
    }
    let decisions = answer.policies.iter().flat_map(|policy| &policy.decisions);
    for decision in decisions.filter(|decision| decision.action != Action::Disclaimer) {
        let about = decision.path.as_deref().unwrap_or("the question");
        writeln!(
            out,
            "policy, {}: {about}: {}",
            decision.rule, decision.reason
        )?;
    }
    Ok(())
}

/// The text with a mark behind each sentence that no passage supports.
fn marked(answer: &GroundedAnswer) -> String {
    let text = &answer.outcome.text;
    let mut marked = String::with_capacity(text.len());
    let mut copied = 0;
    for claim in answer.claims.iter().filter(|claim| !claim.supported) {
        marked.push_str(text.get(copied..claim.end).unwrap_or(""));
        marked.push_str(" [unsupported]");
        copied = claim.end;
    }
    marked.push_str(text.get(copied..).unwrap_or(""));
    marked
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
