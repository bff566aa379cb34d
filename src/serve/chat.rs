//! `/v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::app::{App, now};
use super::body::JsonBody;
use super::chat_request::ChatRequest;
use super::chat_stream::ChatChunks;
use super::error::{ApiError, ApiResult};
use super::format::ResponseFormat;
use super::generation::{Answered, Generation};
use super::grounding::Grounding;
use super::limits::MAX_PROMPT;
use super::report::AnswerReport;
use super::token_json::chat_logprobs;
use super::tools::{Tools, split_calls};
use super::usage::{ApiTimings, ApiUsage};
use super::{access, stream};
use crate::engine::{
    AdapterStack, CompletionRequest, FinishReason, Finished, Outcome, TokenLogprob,
};
use crate::rag::Assignment;

/// What every object of one answer carries.
#[derive(Debug, Clone)]
pub(super) struct Heading {
    pub(super) id: String,
    pub(super) created: u64,
    /// The base with its adapters, as a request may name it again.
    pub(super) model: String,
    pub(super) report: AnswerReport,
}

/// A request made ready for the engine.
pub(super) struct Prepared {
    requests: Vec<CompletionRequest>,
    pub(super) heading: Heading,
    pub(super) grounding: Option<Grounding>,
    /// Whether the answer may have calls in it.
    pub(super) has_tools: bool,
    pub(super) wants_logprobs: bool,
    pub(super) includes_usage: bool,
}

pub(super) async fn complete(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<ChatRequest>,
) -> ApiResult<Response> {
    let place = app.enter()?;
    let streams = request.streams();
    let mut prepared = app.blocking(move |app| prepare(app, &request)).await?;
    let settled = prepared.grounding.as_ref().and_then(Grounding::settled);
    if let Some(answer) = settled {
        drop(place);
        let answered = unasked(&answer.outcome);
        return Ok(if streams {
            let chunks = ChatChunks::new(prepared, app);
            stream::fixed(chunks, answered).await.into_response()
        } else {
            Json(whole(&app, prepared, vec![answered]).await?).into_response()
        });
    }
    let requests = std::mem::take(&mut prepared.requests);
    let generation = Generation::start(&app, requests, place)?;
    if streams {
        let chunks = ChatChunks::new(prepared, app);
        return Ok(stream::events(generation, chunks).into_response());
    }
    let answered = generation.collect().await?;
    Ok(Json(whole(&app, prepared, answered).await?).into_response())
}

fn prepare(app: &App, request: &ChatRequest) -> ApiResult<Prepared> {
    let n = request.choices()?;
    let logprobs = request.logprobs()?;
    let mut messages = request.read_messages()?;
    let tools = request.tools.read(app)?;
    let (stack, report) = app.adapters().resolve(&request.adapters, app.scheduler())?;
    let grounding = match &request.documents {
        None => None,
        Some(_) if n > 1 => {
            return Err(ApiError::invalid(
                "n",
                "one answer at a time from documents",
            ));
        }
        Some(documents) => {
            let is_constrained = tools != Tools::None
                || !matches!(request.response_format, None | Some(ResponseFormat::Text));
            let options = request.sampling.options(0)?;
            Some(documents.ground(app, &mut messages, options, is_constrained)?)
        }
    };
    let size: usize = messages.iter().map(|message| message.content.len()).sum();
    if size > MAX_PROMPT {
        return Err(too_long(size));
    }
    let tokens = app
        .model()
        .tokenize_chat_by(app.template()?, &messages, tools.for_template())?;
    let mut requests = Vec::with_capacity(n);
    let assignment = grounding.as_ref().and_then(Grounding::assignment);
    for index in 0..n {
        let mut options = request.sampling.options(index)?;
        options.sampling.grammar = assignment.and_then(Assignment::grammar);
        requests.push(CompletionRequest {
            prompt: tokens.clone(),
            stack: stack.clone(),
            options,
            constraint: match &request.response_format {
                Some(format) => format.constraint(app)?,
                None => tools.constraint(app)?,
            },
            logprobs,
            prompt_logprobs: false,
        });
    }
    Ok(Prepared {
        requests,
        heading: Heading {
            id: format!("chatcmpl-{}", access::random_id()),
            created: now(),
            model: model_name(app, &stack),
            report,
        },
        grounding,
        has_tools: tools != Tools::None,
        wants_logprobs: logprobs.is_some(),
        includes_usage: request.includes_usage(),
    })
}

/// A prompt that no context holds.
pub(super) fn too_long(size: usize) -> ApiError {
    ApiError {
        code: "context_length_exceeded",
        ..ApiError::invalid(
            "messages",
            format!("a prompt of {size} bytes; at most {MAX_PROMPT}"),
        )
    }
}

/// `base::one+two`, as a request may name it.
pub(super) fn model_name(app: &App, stack: &AdapterStack) -> String {
    let base = app.model().name();
    let names: Vec<&str> = stack.iter().map(|(adapter, _)| adapter.name()).collect();
    if names.is_empty() {
        base.to_owned()
    } else {
        format!("{base}::{}", names.join("+"))
    }
}

/// An answer that the engine had no part in.
fn unasked(outcome: &Outcome) -> Answered {
    Answered {
        text: outcome.text.clone(),
        prompt_logprobs: Vec::new(),
        logprobs: Vec::new(),
        finished: Finished {
            finish_reason: outcome.finish_reason,
            usage: outcome.usage,
            timings: outcome.timings,
            queued: std::time::Duration::ZERO,
            prefill: std::time::Duration::ZERO,
            decode: std::time::Duration::ZERO,
        },
    }
}

async fn whole(
    app: &Arc<App>,
    mut prepared: Prepared,
    answered: Vec<Answered>,
) -> ApiResult<Value> {
    let documents = match (prepared.grounding.take(), answered.first()) {
        (Some(grounding), Some(first)) => {
            let outcome = first.finished.outcome(first.text.clone());
            Some(grounding.report(app, outcome).await?)
        }
        _ => None,
    };
    let heading = &prepared.heading;
    let finished: Vec<Finished> = answered.iter().map(|one| one.finished.clone()).collect();
    let choices: Vec<Value> = answered
        .into_iter()
        .enumerate()
        .map(|(index, one)| {
            // The text with its numbers is the answer, as `unforget ask` prints it.
            let text = documents
                .as_ref()
                .map_or(one.text, |report| report.text.clone());
            choice(app, &prepared, index, text, &one.logprobs, &one.finished)
        })
        .collect();
    let mut about = json!(heading.report);
    if let Some(documents) = &documents {
        about["documents"] = json!(documents);
    }
    Ok(json!({
        "id": heading.id,
        "object": "chat.completion",
        "created": heading.created,
        "model": heading.model,
        "system_fingerprint": fingerprint(),
        "choices": choices,
        "usage": ApiUsage::sum(&finished, finished.len()),
        "timings": finished.first().map(ApiTimings::of),
        "unforget": about,
    }))
}

fn choice(
    app: &App,
    prepared: &Prepared,
    index: usize,
    text: String,
    logprobs: &[TokenLogprob],
    finished: &Finished,
) -> Value {
    let (content, calls) = if prepared.has_tools {
        split_calls(&text, &prepared.heading.id)
    } else {
        (text, Vec::new())
    };
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
        if content.is_empty() {
            message["content"] = Value::Null;
        }
    }
    json!({
        "index": index,
        "message": message,
        "logprobs": prepared.wants_logprobs.then(|| chat_logprobs(app, logprobs)),
        "finish_reason": reason(finished.finish_reason, !calls.is_empty()),
    })
}

/// OpenAI's word for it.
pub(super) fn reason(reason: FinishReason, has_calls: bool) -> &'static str {
    match reason {
        FinishReason::Stop if has_calls => "tool_calls",
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Cancelled => "cancelled",
    }
}

/// Which program answered.
pub(super) fn fingerprint() -> &'static str {
    concat!("unforget-", env!("CARGO_PKG_VERSION"))
}
