//! Documents by request: passages into the prompt, citations out of the answer.

use serde::{Deserialize, Serialize};

use super::app::App;
use super::chat_message::TemplateMessage;
use super::error::{ApiError, ApiResult};
use super::limits::MAX_PASSAGES;
use crate::error::Error;
use crate::rag::{
    self, AnswerStyle, AskOptions, Citation, Passage, RELEVANCE_THRESHOLD, SearchOptions,
    SearchTimings,
};

/// Tokens that the chat template may put around the messages.
const TEMPLATE_TOKENS: usize = 64;
/// Share of the context that is kept for the answer, where fewer tokens than this are asked for anyway.
const ANSWER_SHARE: usize = 4;

/// The field `documents`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentsField {
    pub(super) collection: String,
    /// Most passages.
    top_k: Option<i64>,
}

/// What the documents gave to a prompt.
#[derive(Debug, Clone)]
pub(super) struct Grounding {
    collection: String,
    passages: Vec<Passage>,
    timings: SearchTimings,
}

/// What the documents gave to an answer; stands under `unforget.documents`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DocumentsReport {
    collection: String,
    /// The answer with the numbers of its passages.
    pub(super) text: String,
    citations: Vec<Citation>,
    /// Whether every sentence is supported by a passage.
    grounded: bool,
    /// All passages of the prompt.
    passages: Vec<PassageReport>,
    search: SearchTimings,
}

/// A passage of the prompt, without its text: that is at `/v1/collections/{collection}/passages/{chunk}`.
#[derive(Debug, Clone, Serialize)]
struct PassageReport {
    n: usize,
    chunk: i64,
    document: i64,
    path: String,
    start: usize,
    end: usize,
    score: f32,
}

impl DocumentsField {
    fn passages(&self) -> ApiResult<usize> {
        match self.top_k {
            None => Ok(AskOptions::DEFAULT_PASSAGES),
            Some(n) => usize::try_from(n)
                .ok()
                .filter(|n| (1..=MAX_PASSAGES).contains(n))
                .ok_or_else(|| {
                    ApiError::invalid(
                        "documents",
                        format!("top_k {n} is not a number from 1 to {MAX_PASSAGES}"),
                    )
                }),
        }
    }

    /// Finds passages for the last message of the person and puts them into it. Where nothing is relevant the messages
    /// stay as they are, and the second value has no passages.
    pub(super) fn ground(
        &self,
        app: &App,
        messages: &mut Vec<TemplateMessage>,
        max_tokens: usize,
    ) -> ApiResult<Grounding> {
        let at = messages
            .iter()
            .rposition(|message| message.role == "user")
            .ok_or_else(|| {
                ApiError::invalid("documents", "there is no message of the user to search for")
            })?;
        let question = messages[at].content.clone();
        let search = SearchOptions {
            limit: self.passages()?,
            ..SearchOptions::default()
        };
        let found = app.library().search(&self.collection, &question, &search)?;
        let mut grounding = Grounding {
            collection: self.collection.clone(),
            passages: Vec::new(),
            timings: found.timings,
        };
        if !rag::relevant(&found.hits, RELEVANCE_THRESHOLD) {
            return Ok(grounding);
        }
        let count = |text: &str| app.model().count_tokens(text).unwrap_or(usize::MAX);
        let others: usize = messages
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != at)
            .map(|(_, message)| count(&message.content).saturating_add(TEMPLATE_TOKENS / 4))
            .fold(0, usize::saturating_add);
        let n_ctx = app.scheduler().n_ctx();
        let budget = budget(n_ctx, max_tokens).saturating_sub(others);
        let prompt = rag::build_prompt(&question, &found.hits, AnswerStyle::Free, budget, &count);
        if prompt.passages.is_empty() {
            return Err(Error::ContextFull {
                n_tokens: others.saturating_add(count(&prompt.user)),
                n_ctx,
            }
            .into());
        }
        messages[at] = TemplateMessage::user(prompt.user);
        instruct(messages, &prompt.system);
        grounding.passages = prompt.passages;
        Ok(grounding)
    }
}

/// Tokens that a prompt may have, so that an answer still fits.
fn budget(n_ctx: usize, max_tokens: usize) -> usize {
    let answer = max_tokens.min(n_ctx / ANSWER_SHARE);
    n_ctx.saturating_sub(answer).saturating_sub(TEMPLATE_TOKENS)
}

/// What to do with passages comes after the client's own instructions.
fn instruct(messages: &mut Vec<TemplateMessage>, instruction: &str) {
    match messages.first_mut().filter(|first| first.role == "system") {
        Some(system) => {
            system.content.push_str("\n\n");
            system.content.push_str(instruction);
        }
        None => messages.insert(0, TemplateMessage::system(instruction.to_owned())),
    }
}

impl Grounding {
    /// Whether nothing relevant was found: the model is not asked then, it would make something up.
    pub(super) fn is_empty(&self) -> bool {
        self.passages.is_empty()
    }

    /// Ties an answer to its passages.
    pub(super) fn report(&self, text: &str) -> DocumentsReport {
        let cited = rag::cite(text, &self.passages);
        DocumentsReport {
            collection: self.collection.clone(),
            text: cited.text,
            citations: cited.citations,
            grounded: cited.grounded && !self.is_empty(),
            passages: self.passages.iter().map(PassageReport::of).collect(),
            search: self.timings,
        }
    }
}

impl PassageReport {
    fn of(passage: &Passage) -> Self {
        let hit = &passage.hit;
        Self {
            n: passage.n,
            chunk: hit.chunk,
            document: hit.document,
            path: hit.path.clone(),
            start: hit.start,
            end: hit.end,
            score: hit.score,
        }
    }
}
