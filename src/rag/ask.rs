//! A whole answer: search, prompt, generate, cite.

use serde::Serialize;

use super::citation::{Citation, cite};
use super::collection::Collection;
use super::embed::Embed;
use super::prompt::build_prompt;
use super::relevance::{NOTHING_FOUND, RELEVANCE_THRESHOLD, relevant};
use super::search::{SearchOptions, SearchTimings};
use crate::engine::{ChatMessage, FinishReason, GenerateOptions, Outcome, Session, Timings, Usage};
use crate::{Error, Result};

/// Tokens that the chat template and the control tokens around a prompt may take.
const TEMPLATE_TOKENS: usize = 64;

/// Share of the context that is kept for the answer, where fewer tokens than this are asked for anyway.
const ANSWER_SHARE: usize = 4;

/// How to answer from documents.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Most passages to put into the prompt.
    pub passages: usize,
    /// How to generate.
    pub generate: GenerateOptions,
}

impl AskOptions {
    /// Few good passages: a small model is led astray by more, and each costs prefill time.
    pub const DEFAULT_PASSAGES: usize = 3;
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            passages: Self::DEFAULT_PASSAGES,
            generate: GenerateOptions::default(),
        }
    }
}

/// An answer with its sources.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroundedAnswer {
    /// Text, reason, usage and timings.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What each `[n]` in the text points at.
    pub citations: Vec<Citation>,
    /// Whether every sentence is supported by a passage.
    pub grounded: bool,
    /// Where the time of the search went.
    pub search: SearchTimings,
}

/// Answers `question` from `collection`. Where nothing relevant is found the answer says so, and the model is not asked.
///
/// # Errors
/// What searching and generating can return; [`Error::ContextFull`] if not even one passage fits.
pub fn ask(
    question: &str,
    collection: &mut Collection,
    embedder: &mut dyn Embed,
    session: &mut Session,
    options: &AskOptions,
) -> Result<GroundedAnswer> {
    let search = SearchOptions {
        limit: options.passages.max(1),
        ..SearchOptions::default()
    };
    let found = collection.search(question, embedder, &search)?;
    if !relevant(&found.hits, RELEVANCE_THRESHOLD) {
        return Ok(nothing(found.timings, session));
    }
    let model = session.model().clone();
    let count = |text: &str| model.count_tokens(text).unwrap_or(usize::MAX);
    let prompt = build_prompt(question, &found.hits, budget(session, options), &count);
    if prompt.passages.is_empty() {
        return Err(Error::ContextFull {
            n_tokens: count(&prompt.user),
            n_ctx: session.n_ctx(),
        });
    }
    let messages = [
        ChatMessage::system(&prompt.system),
        ChatMessage::user(&prompt.user),
    ];
    let tokens = model.tokenize_prompt(&model.chat_template()?.render(&messages)?)?;
    let mut outcome = session
        .generate(&tokens, &options.generate)?
        .run(|_| true)?;
    let cited = cite(&outcome.text, &prompt.passages);
    outcome.text = cited.text;
    outcome.timings.total_ms += found.timings.total_ms;
    outcome.timings.ttft_ms += found.timings.total_ms;
    Ok(GroundedAnswer {
        outcome,
        citations: cited.citations,
        grounded: cited.grounded,
        search: found.timings,
    })
}

/// Tokens that the prompt may have, so that an answer still fits.
fn budget(session: &Session, options: &AskOptions) -> usize {
    let n_ctx = session.n_ctx();
    let answer = options.generate.max_tokens.min(n_ctx / ANSWER_SHARE);
    n_ctx.saturating_sub(answer).saturating_sub(TEMPLATE_TOKENS)
}

fn nothing(search: SearchTimings, session: &Session) -> GroundedAnswer {
    GroundedAnswer {
        outcome: Outcome {
            text: NOTHING_FOUND.to_owned(),
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            timings: Timings {
                load_ms: session.model().load_time().as_secs_f64() * 1e3,
                total_ms: search.total_ms,
                ..Timings::default()
            },
        },
        citations: Vec::new(),
        grounded: false,
        search,
    }
}
