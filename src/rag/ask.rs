//! A whole answer: the collection's policy, search, prompt, generate, check against the passages.

use serde::Serialize;

use super::citation::{Citation, Claim, cite, cite_by_meaning};
use super::collection::Collection;
use super::duplicates::without_duplicates;
use super::embed::Embed;
use super::neighbours::join_neighbours;
use super::policy::{Policy, PolicyReport, Ruling};
use super::prompt::{Passage, RagPrompt, build_prompt};
use super::relevance::{NOTHING_FOUND, RELEVANCE_THRESHOLD, relevant};
use super::search::{Hit, SearchOptions, SearchResult, SearchTimings};
use super::style::AnswerStyle;
use crate::engine::{ChatMessage, FinishReason, GenerateOptions, Outcome, Session, Timings, Usage};
use crate::{Error, Result};

/// Tokens that the chat template and the control tokens around a prompt may take.
const TEMPLATE_TOKENS: usize = 64;

/// Share of the context that is kept for the answer, where fewer tokens than this are asked for anyway.
const ANSWER_SHARE: usize = 4;

/// Hits that are read for each passage of the prompt: the others are near-duplicates and neighbours of better ones.
const HITS_A_PASSAGE: usize = 4;

/// How to answer from documents.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Most passages to put into the prompt.
    pub passages: usize,
    /// In which way to answer. With a grammar in `generate` it is free within that.
    pub style: AnswerStyle,
    /// Cosine of the best passage to the question below which the documents do not answer it.
    pub threshold: f32,
    /// The policy to follow in place of the collection's own.
    pub policy: Option<Policy>,
    /// How to generate.
    pub generate: GenerateOptions,
}

impl AskOptions {
    /// The style that is followed.
    fn style(&self) -> AnswerStyle {
        match self.generate.sampling.grammar {
            None => self.style,
            Some(_) => AnswerStyle::Free,
        }
    }

    /// Few good passages: a small model is led astray by more, and each costs prefill time.
    pub const DEFAULT_PASSAGES: usize = 3;
}

impl Default for AskOptions {
    fn default() -> Self {
        Self {
            passages: Self::DEFAULT_PASSAGES,
            style: AnswerStyle::default(),
            threshold: RELEVANCE_THRESHOLD,
            policy: None,
            generate: GenerateOptions::default(),
        }
    }
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The model was asked, with passages.
    Answered,
    /// No passage is near enough to the question, or may be quoted. The model was not asked.
    NotInDocuments,
    /// The policy does not allow an answer. The model was not asked.
    Refused,
}

/// An answer with its sources.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroundedAnswer {
    /// Text, reason, usage and timings. Disclaimers of a policy are at the end of the text.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What came of the question.
    pub status: Status,
    /// What each `[n]` in the text points at.
    pub citations: Vec<Citation>,
    /// The sentences of the answer that say something, each with how well it is supported.
    pub claims: Vec<Claim>,
    /// Whether there are claims, and a passage supports each of them.
    pub grounded: bool,
    /// The passages that the model was given.
    pub passages: Vec<Passage>,
    /// What the policy decided; none where there is no policy.
    pub policy: Option<PolicyReport>,
    /// Where the time of the search went.
    pub search: SearchTimings,
    /// What the model said, without the numbers of sources and without disclaimers.
    #[serde(skip)]
    pub(super) bare: String,
}

impl GroundedAnswer {
    /// All of it, as JSON on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// Answers `question` from `collection`, under its policy. Where nothing relevant is found the answer says so, and the
/// model is not asked.
///
/// # Errors
/// What searching and generating can return; [`Error::Policy`] for a policy that cannot be used; [`Error::ContextFull`]
/// if not even one passage fits.
pub fn ask(
    question: &str,
    collection: &mut Collection,
    embedder: &mut dyn Embed,
    session: &mut Session,
    options: &AskOptions,
) -> Result<GroundedAnswer> {
    ask_streaming(
        question,
        collection,
        embedder,
        session,
        options,
        &mut |_| true,
    )
}

/// As [`ask`]; `tell` hears what the model says as it says it, without the numbers of sources, which are known at the end,
/// and ends the answer with `false`. Where the model is not asked, it hears what is said instead.
///
/// # Errors
/// As [`ask`].
pub fn ask_streaming(
    question: &str,
    collection: &mut Collection,
    embedder: &mut dyn Embed,
    session: &mut Session,
    options: &AskOptions,
    tell: &mut dyn FnMut(&str) -> bool,
) -> Result<GroundedAnswer> {
    let policy = match &options.policy {
        Some(policy) => Some(policy.clone()),
        None => collection.policy()?,
    };
    let mut ruling = policy.as_ref().map(Ruling::new);
    let refusal = match &mut ruling {
        Some(ruling) => ruling.refusal(question, embedder)?,
        None => None,
    };
    if let Some(reply) = refusal {
        let answer = unasked(&reply, Status::Refused, SearchTimings::default(), session);
        tell(&reply);
        return Ok(ruled(answer, ruling.map(Ruling::into_report)));
    }
    let found = find(question, collection, embedder, ruling.as_mut(), options)?;
    let Some(hits) = found.hits else {
        tell(NOTHING_FOUND);
        let answer = unasked(
            NOTHING_FOUND,
            Status::NotInDocuments,
            found.timings,
            session,
        );
        return Ok(ruled(answer, ruling.map(Ruling::into_report)));
    };
    let disclaimers = match &mut ruling {
        Some(ruling) => ruling.disclaimers(question, embedder)?,
        None => Vec::new(),
    };
    let prompt = prompt(question, &hits, session, options)?;
    let mut answer = generate(prompt, embedder, session, options, tell)?;
    answer.outcome.timings.total_ms += found.timings.total_ms;
    answer.outcome.timings.ttft_ms += found.timings.total_ms;
    answer.search = found.timings;
    for text in disclaimers {
        answer.outcome.text.push_str("\n\n");
        answer.outcome.text.push_str(&text);
    }
    Ok(ruled(answer, ruling.map(Ruling::into_report)))
}

/// What bears on a question and may be quoted, best first; none where nothing does.
struct Found {
    hits: Option<Vec<Hit>>,
    timings: SearchTimings,
}

fn find(
    question: &str,
    collection: &mut Collection,
    embedder: &mut dyn Embed,
    ruling: Option<&mut Ruling<'_>>,
    options: &AskOptions,
) -> Result<Found> {
    let wanted = options.passages.max(1);
    let mut search = SearchOptions {
        limit: wanted.saturating_mul(HITS_A_PASSAGE),
        ..SearchOptions::default()
    };
    let SearchResult {
        mut hits,
        mut timings,
    } = collection.search(question, embedder, &search)?;
    if let Some(ruling) = ruling.filter(|ruling| ruling.withholds()) {
        let judged = ruling.judge(collection, now())?;
        let n_found = hits.len();
        hits = ruling.screen(hits, &judged, options.threshold);
        // What is allowed may stand far down: it is looked for among itself. An empty filter would allow everything.
        if hits.len() < n_found && !judged.allowed.is_empty() {
            search.filter.documents = judged.allowed;
            let again = collection.search(question, embedder, &search)?;
            timings.add(&again.timings);
            hits = again.hits;
        }
    }
    let best: Vec<Hit> = without_duplicates(hits).into_iter().take(wanted).collect();
    // Joined after the cut, so that a long section does not draw in all of its chunks.
    let hits = relevant(&best, options.threshold).then(|| join_neighbours(best));
    Ok(Found { hits, timings })
}

fn prompt(
    question: &str,
    hits: &[Hit],
    session: &Session,
    options: &AskOptions,
) -> Result<RagPrompt> {
    let model = session.model();
    let count = |text: &str| model.count_tokens(text).unwrap_or(usize::MAX);
    let prompt = build_prompt(
        question,
        hits,
        options.style(),
        budget(session, options),
        &count,
    );
    if prompt.passages.is_empty() {
        return Err(Error::ContextFull {
            n_tokens: count(&prompt.user),
            n_ctx: session.n_ctx(),
        });
    }
    Ok(prompt)
}

/// Has the model answer, and checks what it says.
fn generate(
    prompt: RagPrompt,
    embedder: &mut dyn Embed,
    session: &mut Session,
    options: &AskOptions,
    tell: &mut dyn FnMut(&str) -> bool,
) -> Result<GroundedAnswer> {
    let messages = [
        ChatMessage::system(&prompt.system),
        ChatMessage::user(&prompt.user),
    ];
    let tokens = session.model().tokenize_chat(&messages)?;
    let mut generate = options.generate.clone();
    if let Some(grammar) = options.style().grammar(&prompt.nearest) {
        generate.sampling.grammar = Some(grammar);
    }
    let mut outcome = session.generate(&tokens, &generate)?.run(tell)?;
    let cited = if outcome.finish_reason == FinishReason::Cancelled {
        // Whoever stopped the answer has stopped the embedder too.
        cite(&outcome.text, &prompt.passages)
    } else {
        cite_by_meaning(&outcome.text, &prompt.passages, embedder)?
    };
    outcome.text = cited.text;
    Ok(GroundedAnswer {
        outcome,
        status: Status::Answered,
        citations: cited.citations,
        claims: cited.claims,
        grounded: cited.grounded,
        passages: prompt.passages,
        policy: None,
        search: SearchTimings::default(),
        bare: cited.bare,
    })
}

/// Tokens that the prompt may have, so that an answer still fits.
fn budget(session: &Session, options: &AskOptions) -> usize {
    let n_ctx = session.n_ctx();
    let answer = options.generate.max_tokens.min(n_ctx / ANSWER_SHARE);
    n_ctx.saturating_sub(answer).saturating_sub(TEMPLATE_TOKENS)
}

/// An answer that the model was not asked for.
fn unasked(text: &str, status: Status, search: SearchTimings, session: &Session) -> GroundedAnswer {
    GroundedAnswer {
        outcome: Outcome {
            text: text.to_owned(),
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            timings: Timings {
                load_ms: session.model().load_time().as_secs_f64() * 1e3,
                total_ms: search.total_ms,
                ..Timings::default()
            },
        },
        status,
        citations: Vec::new(),
        claims: Vec::new(),
        grounded: false,
        passages: Vec::new(),
        policy: None,
        search,
        bare: text.to_owned(),
    }
}

fn ruled(mut answer: GroundedAnswer, policy: Option<PolicyReport>) -> GroundedAnswer {
    answer.policy = policy;
    answer
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
