//! Documents by request: passages into the prompt, citations out of the answer. `rag` does both; here they meet the messages
//! of a chat and the shapes of its answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::app::App;
use super::chat_message::TemplateMessage;
use super::error::{ApiError, ApiResult};
use super::filter_request::FilterField;
use super::limits::{MAX_PASSAGES, MAX_POLICY};
use crate::engine::{GenerateOptions, Outcome};
use crate::error::Error;
use crate::rag::{
    AnswerStyle, AskOptions, Assignment, Brief, Citation, Claim, GroundedAnswer, Passage, Policy,
    PolicyReport, Room, SearchTimings, Status, brief,
};

/// Tokens that the chat template may put around each of the other messages.
const MESSAGE_TOKENS: usize = 16;

/// What a policy is called that came with a request.
const POLICY_NAME: &str = "documents.policy";

/// The field `documents`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentsField {
    pub(super) collection: String,
    /// Most passages.
    top_k: Option<i64>,
    style: Option<AnswerStyle>,
    filter: Option<FilterField>,
    /// A policy to follow besides the collection's own, in the words of its file.
    policy: Option<Value>,
}

/// What the documents have for a request.
#[derive(Debug)]
pub(super) struct Grounding {
    collection: String,
    brief: Brief,
}

/// What the documents gave to an answer; stands under `unforget.documents`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DocumentsReport {
    collection: String,
    /// The answer with the numbers of its passages.
    pub(super) text: String,
    status: Status,
    citations: Vec<Citation>,
    claims: Vec<Claim>,
    /// Whether every sentence is supported by a passage.
    grounded: bool,
    /// All passages of the prompt.
    passages: Vec<PassageReport>,
    policies: Vec<PolicyReport>,
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
    /// Finds passages for the last message of the person and puts them into it. Where the model is not to be asked the
    /// messages stay as they are. `is_constrained`: the answer has another form already.
    pub(super) fn ground(
        &self,
        app: &App,
        messages: &mut Vec<TemplateMessage>,
        generate: GenerateOptions,
        is_constrained: bool,
    ) -> ApiResult<Grounding> {
        let at = messages
            .iter()
            .rposition(|message| message.role == "user")
            .ok_or_else(|| {
                ApiError::invalid("documents", "there is no message of the user to search for")
            })?;
        let options = self.options(generate, is_constrained)?;
        let count = |text: &str| app.model().count_tokens(text).unwrap_or(usize::MAX);
        let others = messages.iter().enumerate().filter(|(nth, _)| *nth != at);
        let room = Room {
            n_ctx: app.scheduler().n_ctx(),
            taken: others
                .map(|(_, message)| count(&message.content).saturating_add(MESSAGE_TOKENS))
                .fold(0, usize::saturating_add),
            count: &count,
        };
        let question = &messages[at].content;
        let brief = app
            .library()
            .read(&self.collection, |collection, embedder| {
                Ok(brief(question, collection, embedder, &room, &options)?)
            })?;
        if let Brief::Ask(assignment) = &brief {
            messages[at] = TemplateMessage::user(assignment.user().to_owned());
            instruct(messages, assignment.system());
        }
        Ok(Grounding {
            collection: self.collection.clone(),
            brief,
        })
    }

    fn options(&self, generate: GenerateOptions, is_constrained: bool) -> ApiResult<AskOptions> {
        Ok(AskOptions {
            passages: self.passages()?,
            style: self.style(is_constrained)?,
            filter: match &self.filter {
                Some(filter) => filter.read()?,
                None => Default::default(),
            },
            besides: self.policy.as_ref().map(policy).transpose()?,
            generate,
            ..AskOptions::default()
        })
    }

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

    fn style(&self, is_constrained: bool) -> ApiResult<AnswerStyle> {
        match (self.style, is_constrained) {
            (Some(AnswerStyle::Quote), true) => Err(ApiError::invalid(
                "documents",
                "a quotation cannot have a 'response_format' or call 'tools'; set 'style' to \"free\"",
            )),
            (_, true) => Ok(AnswerStyle::Free),
            (style, false) => Ok(style.unwrap_or_default()),
        }
    }
}

/// Reads a policy. What is wrong with it is the client's to mend, unlike the collection's own.
fn policy(json: &Value) -> ApiResult<Policy> {
    let size = json.to_string().len();
    if size > MAX_POLICY {
        return Err(ApiError::invalid(
            POLICY_NAME,
            format!("the policy is {size} bytes long; at most {MAX_POLICY}"),
        ));
    }
    Policy::from_json(POLICY_NAME, json.clone()).map_err(|error| match error {
        Error::Policy { reason, .. } => ApiError::invalid(POLICY_NAME, reason),
        other => other.into(),
    })
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
    /// What to say, where the model is not to be asked.
    pub(super) fn settled(&self) -> Option<&GroundedAnswer> {
        match &self.brief {
            Brief::Settled(answer) => Some(answer),
            Brief::Ask(_) => None,
        }
    }

    /// What the model is asked.
    pub(super) fn assignment(&self) -> Option<&Assignment> {
        match &self.brief {
            Brief::Ask(assignment) => Some(assignment),
            Brief::Settled(_) => None,
        }
    }

    /// Ties what the model said to its passages. Where it was not asked `outcome` is not looked at.
    pub(super) async fn report(
        self,
        app: &Arc<App>,
        outcome: Outcome,
    ) -> ApiResult<DocumentsReport> {
        let answer = match self.brief {
            Brief::Settled(answer) => *answer,
            Brief::Ask(assignment) => {
                app.blocking(move |app| {
                    app.library()
                        .with_embedder(|embedder| Ok(assignment.check(outcome, embedder)?))
                })
                .await?
            }
        };
        Ok(DocumentsReport {
            collection: self.collection,
            text: answer.outcome.text,
            status: answer.status,
            citations: answer.citations,
            claims: answer.claims,
            grounded: answer.grounded,
            passages: answer.passages.iter().map(PassageReport::of).collect(),
            policies: answer.policies,
            search: answer.search,
        })
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
