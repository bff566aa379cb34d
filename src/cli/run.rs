//! `unforget run`: one answer, or a chat when no prompt is given.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use unforget::engine::{ChatMessage, Model, Outcome, Session, SessionOptions, StackCost, Token};
use unforget::registry::Registry;
use unforget::tune::machine;
use unforget::{Error, Result};

use super::answer::{Report, summary};
use super::memory::{self, LimitArgs};
use super::options::{GenerateArgs, ModelArgs, SessionArgs};
use super::prefix_cache::CacheArgs;
use super::{Context, chat, exit_code_of, interrupt, output, resolve};

/// Longest prompt read from standard input, in bytes. Far more than any context holds; a device that never ends must
/// not fill the memory.
const MAX_STDIN_BYTES: u64 = 64 << 20;

/// Answer a prompt, or chat when no prompt is given
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget run \"What is the capital of Italy?\"\n  \
    unforget run --adapter triage \"My invoice is wrong.\"        with an adapter\n  \
    unforget run --adapter triage=0.5 --adapter terse \"..\"      two of them, one at half strength\n  \
    unforget run --adapter triage=0.8:lines \"My invoice is wrong.\"   weak in the first layer, 0.8 in the last\n  \
    unforget run --docs notes \"When is the release?\"            from documents, as `unforget ask`\n  \
    cat prompt.txt | unforget run                               prompt from standard input\n  \
    unforget run                                                a chat; /help lists its commands")]
pub struct Args {
    /// The prompt; `-` or nothing on a pipe reads it from standard input
    #[arg(value_name = "PROMPT")]
    prompt: Option<String>,

    /// Answer from this collection of documents
    #[arg(long, env = "UNFORGET_DOCS", value_name = "COLLECTION")]
    docs: Option<String>,

    /// Instructions for the whole chat
    #[arg(long, env = "UNFORGET_SYSTEM", value_name = "TEXT")]
    system: Option<String>,

    /// Give the prompt to the model as it is, without its chat template
    #[arg(long, conflicts_with_all = ["system", "docs"])]
    raw: bool,

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

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Some(prompt) = read_prompt(args.prompt.as_deref())? else {
        if context.output.is_json() {
            return Err(Error::InvalidArgument {
                what: "PROMPT",
                value: String::new(),
                expected: "a prompt, since a chat has no JSON form".to_owned(),
            });
        }
        return chat::run(
            chat::Args {
                docs: args.docs,
                system: args.system,
                model: args.model,
                session: args.session,
                limit: args.limit,
                cache: args.cache,
                generate: args.generate,
            },
            context,
        );
    };
    if let Some(collection) = args.docs {
        return super::ask::run(
            super::ask::Args::new(
                prompt,
                collection,
                args.model,
                args.session,
                args.limit,
                args.cache,
                args.generate,
            ),
            context,
        );
    }
    let asked = args.cache.add_to(args.session.resolve(), &context.home);
    let demand = memory::for_session(&asked);
    let (resolved, fitted) = memory::open_within(&args.model, &args.limit, &context.home, demand)?;
    let tokens = if args.raw {
        resolved.model.tokenize(&prompt)?
    } else {
        let system = args.system.map(ChatMessage::system);
        let messages: Vec<_> = system
            .into_iter()
            .chain([ChatMessage::user(prompt)])
            .collect();
        resolved.model.tokenize_chat(&messages)?
    };
    let options = args.generate.resolve()?;
    let sizes = sized_for(&resolved.model, asked, tokens.len(), options.max_tokens);
    let sizes = match fitted {
        Some(fitted) => fitted.within(sizes),
        None => sizes,
    };
    let mut session = Session::new(&resolved.model, &sizes)?;
    session.set_adapters(resolved.stack.clone())?;
    let outcome = stream(&mut session, &tokens, &options, context)?;
    let finished = finish(outcome, &resolved, &sizes, context)?;
    if !context.output.is_json() {
        advise_merging(&resolved, &sizes, context)?;
    }
    Ok(finished)
}

/// Says so where the adapters make answers noticeably slower. What a stack costs here is measured once, after its first
/// answer.
fn advise_merging(
    resolved: &resolve::Resolved,
    sizes: &SessionOptions,
    context: &Context,
) -> Result<()> {
    let (model, stack) = (&resolved.model, &resolved.stack);
    let cancel = interrupt::token();
    if stack.iter().all(|(_, scale)| scale == 0.0) || cancel.is_cancelled() {
        return Ok(());
    }
    let (registry, machine) = (Registry::open(&context.home)?, machine()?);
    let cost = match registry.stack_cost(model, stack, machine)? {
        Some(known) => known,
        None => {
            let cost = match StackCost::measure(model, stack, sizes, &cancel) {
                // The answer is there, and that is what was asked for.
                Err(Error::Interrupted) => return Ok(()),
                measured => measured?,
            };
            registry.set_stack_cost(model, stack, machine, cost)?;
            cost
        }
    };
    if cost.is_worth_merging() {
        let names: Vec<_> = stack
            .iter()
            .map(|(adapter, scale)| format!("{}={scale}", adapter.name()))
            .collect();
        output::note(&format!(
            "with these adapters answers come at {:.0} % of the base's speed; merged into it they cost nothing: \
             unforget adapter merge {} -o merged.gguf",
            100.0 * cost.speed_ratio,
            names.join(" ")
        ));
    }
    Ok(())
}

/// Prints the answer as it comes, unless it is wanted as JSON.
fn stream(
    session: &mut Session,
    tokens: &[Token],
    options: &unforget::engine::GenerateOptions,
    context: &Context,
) -> Result<Outcome> {
    let mut generation = session.generate(tokens, options)?;
    for piece in &mut generation {
        let piece = piece?;
        if !context.output.is_json() {
            context.output.piece(&piece)?;
        }
    }
    Ok(generation.finish())
}

fn finish(
    outcome: Outcome,
    resolved: &resolve::Resolved,
    sizes: &SessionOptions,
    context: &Context,
) -> Result<ExitCode> {
    let code = exit_code_of(outcome.finish_reason);
    let report = Report::new(outcome, resolved, sizes)?;
    // The text has been printed piece by piece; only its line end is missing.
    context.output.result(&report, |out| writeln!(out))?;
    if !context.output.is_json() {
        output::note(&summary(&report.answer));
    }
    Ok(code)
}

/// A context just large enough for one answer: KV memory is allocated and cleared whole, so a larger one costs memory
/// and time to first token.
pub fn sized_for(
    model: &Model,
    mut sizes: SessionOptions,
    n_prompt: usize,
    n_predict: usize,
) -> SessionOptions {
    const GRANULARITY: usize = 256;
    if sizes.n_ctx.is_none() {
        let wanted = (n_prompt.saturating_add(n_predict))
            .saturating_add(1)
            .next_multiple_of(GRANULARITY);
        sizes.n_ctx = u32::try_from(wanted.min(model.n_ctx_train().max(1))).ok();
    }
    sizes
}

/// The prompt from the argument or from standard input; `None` where a person should be asked.
fn read_prompt(argument: Option<&str>) -> Result<Option<String>> {
    match argument {
        Some("-") => read_stdin().map(Some),
        Some(text) => Ok(Some(text.to_owned())),
        None if std::io::stdin().is_terminal() => Ok(None),
        None => read_stdin().map(Some),
    }
}

fn read_stdin() -> Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_STDIN_BYTES + 1)
        .read_to_end(&mut bytes)?;
    let fail = |value: String, expected: &str| Error::InvalidArgument {
        what: "standard input",
        value,
        expected: expected.to_owned(),
    };
    if bytes.len() as u64 > MAX_STDIN_BYTES {
        return Err(fail(
            format!("more than {MAX_STDIN_BYTES} bytes"),
            "a prompt that fits into a context",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        fail(
            format!(
                "invalid byte at offset {}",
                error.utf8_error().valid_up_to()
            ),
            "text in UTF-8",
        )
    })?;
    let text = text.trim_end_matches(['\n', '\r']).to_owned();
    if text.is_empty() {
        return Err(fail(
            String::new(),
            "a prompt; give it as an argument or on standard input",
        ));
    }
    Ok(text)
}
