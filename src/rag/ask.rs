//! A whole answer from documents: [`brief`] before the model, the model, [`Assignment::check`] after it. Who runs the model
//! in another way, such as a server with many answers at once, calls the two itself.

use serde::Serialize;

use super::brief::{Brief, Room, brief};
use super::citation::{Citation, Claim};
use super::collection::Collection;
use super::embed::Embed;
use super::filter::Filter;
use super::policy::{Policy, PolicyReport};
use super::prompt::Passage;
use super::relevance::RELEVANCE_THRESHOLD;
use super::search::SearchTimings;
use super::style::AnswerStyle;
use crate::Result;
use crate::engine::{ChatMessage, GenerateOptions, Outcome, Session};

/// How to answer from documents.
#[derive(Debug, Clone)]
pub struct AskOptions {
    /// Most passages to put into the prompt.
    pub passages: usize,
    /// In which way to answer. With a grammar in `generate` it is free within that.
    pub style: AnswerStyle,
    /// Cosine of the best passage to the question below which the documents do not answer it.
    pub threshold: f32,
    /// Which documents may be answered from.
    pub filter: Filter,
    /// The policy to follow in place of the collection's own.
    pub policy: Option<Policy>,
    /// A policy to follow besides: whoever asks can be stricter than the collection, never laxer.
    pub besides: Option<Policy>,
    /// Take passages from the prefix cache wherever they stand, if the session can move pieces: the answer begins sooner, and
    /// is not always the one of the whole prompt (`benches/notes.md` has what that costs).
    pub reuse_passages: bool,
    /// How to generate.
    pub generate: GenerateOptions,
}

impl AskOptions {
    /// The style that is followed.
    pub(super) fn style(&self) -> AnswerStyle {
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
            filter: Filter::default(),
            policy: None,
            besides: None,
            reuse_passages: false,
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
    /// What each policy decided, the collection's own first; none where there is no policy.
    pub policies: Vec<PolicyReport>,
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
/// As [`brief`], and what generating can return.
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
    let model = session.model().clone();
    let room = Room {
        n_ctx: session.n_ctx(),
        taken: 0,
        count: &|text| model.count_tokens(text).unwrap_or(usize::MAX),
    };
    let assignment = match brief(question, collection, embedder, &room, options)? {
        Brief::Ask(assignment) => assignment,
        Brief::Settled(mut answer) => {
            tell(&answer.outcome.text);
            answer.outcome.timings.load_ms = model.load_time().as_secs_f64() * 1e3;
            return Ok(*answer);
        }
    };
    let messages = [
        ChatMessage::system(assignment.system()),
        ChatMessage::user(assignment.user()),
    ];
    let mut generate = options.generate.clone();
    if let Some(grammar) = assignment.grammar() {
        generate.sampling.grammar = Some(grammar);
    }
    let generation = if options.reuse_passages && session.can_move_pieces() {
        let segments = model.tokenize_chat_in_segments(&messages, &assignment.passages())?;
        session.generate_segments(&segments, &generate)?
    } else {
        session.generate(&model.tokenize_chat(&messages)?, &generate)?
    };
    let outcome = generation.run(tell)?;
    assignment.check(outcome, embedder)
}
