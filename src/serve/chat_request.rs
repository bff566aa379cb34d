//! The body of `/v1/chat/completions`.

use serde::Deserialize;
use serde_json::Value;

use super::adapter_request::AdapterFields;
use super::chat_message::{ChatMessageField, TemplateMessage};
use super::error::{ApiError, ApiResult};
use super::format::ResponseFormat;
use super::grounding::DocumentsField;
use super::limits::{MAX_CHOICES, MAX_MESSAGES, MAX_TOP_LOGPROBS};
use super::sampling::SamplingFields;
use super::tools::ToolFields;

/// A request to chat. Fields that are not here are ignored, as OpenAI's clients expect.
#[derive(Debug, Deserialize)]
pub(super) struct ChatRequest {
    pub(super) messages: Vec<ChatMessageField>,
    #[serde(flatten)]
    pub(super) adapters: AdapterFields,
    #[serde(flatten)]
    pub(super) sampling: SamplingFields,
    #[serde(flatten)]
    pub(super) tools: ToolFields,
    #[serde(default)]
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) n: Option<i64>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<i64>,
    pub(super) response_format: Option<ResponseFormat>,
    pub(super) documents: Option<DocumentsField>,
}

/// OpenAI's `stream_options`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub(super) include_usage: Option<bool>,
}

impl ChatRequest {
    /// The messages, checked.
    pub(super) fn read_messages(&self) -> ApiResult<Vec<TemplateMessage>> {
        match self.messages.len() {
            0 => Err(ApiError::invalid("messages", "there are no messages")),
            n if n > MAX_MESSAGES => Err(ApiError::invalid(
                "messages",
                format!("{n} messages; at most {MAX_MESSAGES}"),
            )),
            _ => self.messages.iter().map(ChatMessageField::read).collect(),
        }
    }

    /// How many answers.
    pub(super) fn choices(&self) -> ApiResult<usize> {
        choices(self.n)
    }

    /// Alternatives to report with each token, where any of it is asked for.
    pub(super) fn logprobs(&self) -> ApiResult<Option<usize>> {
        match (self.logprobs.unwrap_or(false), self.top_logprobs) {
            (false, None) => Ok(None),
            (false, Some(_)) => Err(ApiError::invalid(
                "top_logprobs",
                "set 'logprobs' to true to get them",
            )),
            (true, n) => top_logprobs("top_logprobs", n.unwrap_or(0)).map(Some),
        }
    }

    pub(super) fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    pub(super) fn includes_usage(&self) -> bool {
        self.stream_options
            .and_then(|options| options.include_usage)
            .unwrap_or(false)
    }
}

/// Checks `n`.
pub(super) fn choices(n: Option<i64>) -> ApiResult<usize> {
    match n {
        None => Ok(1),
        Some(n) => usize::try_from(n)
            .ok()
            .filter(|n| (1..=MAX_CHOICES).contains(n))
            .ok_or_else(|| {
                ApiError::invalid("n", format!("{n} is not a number from 1 to {MAX_CHOICES}"))
            }),
    }
}

/// Checks a number of alternatives.
pub(super) fn top_logprobs(param: &'static str, n: i64) -> ApiResult<usize> {
    usize::try_from(n)
        .ok()
        .filter(|n| *n <= MAX_TOP_LOGPROBS)
        .ok_or_else(|| {
            ApiError::invalid(
                param,
                format!("{n} is not a number from 0 to {MAX_TOP_LOGPROBS}"),
            )
        })
}

/// A JSON value that is missing or `null`.
pub(super) fn is_absent(value: Option<&Value>) -> bool {
    value.is_none_or(Value::is_null)
}
