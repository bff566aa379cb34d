//! `/v1/completions`: text that goes on, with `echo`, `logprobs` and `n`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::adapter_request::AdapterFields;
use super::app::{App, now};
use super::body::JsonBody;
use super::chat::{Heading, fingerprint, model_name, reason, too_long};
use super::chat_request::{StreamOptions, choices, top_logprobs};
use super::error::{ApiError, ApiResult};
use super::format::ResponseFormat;
use super::generation::{Answered, Generation};
use super::limits::{MAX_CHOICES, MAX_PROMPT};
use super::sampling::SamplingFields;
use super::stream::Chunks;
use super::token_json::completion_logprobs;
use super::usage::{ApiTimings, ApiUsage};
use super::{access, stream};
use crate::engine::{CompletionRequest, Event, Finished, Model, Token};

/// The body.
#[derive(Debug, Deserialize)]
pub(super) struct CompletionBody {
    prompt: PromptField,
    #[serde(flatten)]
    adapters: AdapterFields,
    #[serde(flatten)]
    sampling: SamplingFields,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<i64>,
    echo: Option<bool>,
    logprobs: Option<i64>,
    response_format: Option<ResponseFormat>,
}

/// One prompt or several, as text or as tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum PromptField {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<i32>),
    TokenLists(Vec<Vec<i32>>),
}

/// What the answers are made from.
struct Prepared {
    requests: Vec<CompletionRequest>,
    heading: Heading,
    /// The prompts' texts, where they are to be repeated.
    echoes: Option<Vec<String>>,
    /// Answers to each prompt.
    n: usize,
    wants_logprobs: bool,
    includes_usage: bool,
}

pub(super) async fn complete(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<CompletionBody>,
) -> ApiResult<Response> {
    let place = app.enter()?;
    let streams = body.stream.unwrap_or(false);
    let mut prepared = app.blocking(move |app| prepare(app, &body)).await?;
    let requests = std::mem::take(&mut prepared.requests);
    let generation = Generation::start(&app, requests, place)?;
    if streams {
        let chunks = CompletionChunks {
            offsets: Vec::new(),
            finished: Vec::new(),
            prepared,
        };
        return Ok(stream::events(generation, chunks).into_response());
    }
    let answered = generation.collect().await?;
    Ok(Json(whole(&prepared, &answered)).into_response())
}

fn prepare(app: &App, body: &CompletionBody) -> ApiResult<Prepared> {
    let n = choices(body.n)?;
    let logprobs = body
        .logprobs
        .map(|n| top_logprobs("logprobs", n))
        .transpose()?;
    let prompts = prompts(app.model(), &body.prompt)?;
    if prompts.len() * n > MAX_CHOICES {
        return Err(ApiError::invalid(
            "prompt",
            format!(
                "{} answers in one request; at most {MAX_CHOICES}",
                prompts.len() * n
            ),
        ));
    }
    let (stack, report) = app.adapters().resolve(&body.adapters, app.scheduler())?;
    let echo = body.echo.unwrap_or(false);
    let mut requests = Vec::with_capacity(prompts.len() * n);
    for prompt in &prompts {
        for _ in 0..n {
            requests.push(CompletionRequest {
                prompt: prompt.clone(),
                stack: stack.clone(),
                options: body.sampling.options(requests.len())?,
                constraint: match &body.response_format {
                    Some(format) => format.constraint(app)?,
                    None => None,
                },
                logprobs,
                prompt_logprobs: echo && logprobs.is_some(),
            });
        }
    }
    Ok(Prepared {
        heading: Heading {
            id: format!("cmpl-{}", access::random_id()),
            created: now(),
            model: model_name(app, &stack),
            report,
        },
        echoes: echo
            .then(|| echoes(app.model(), &body.prompt, &prompts))
            .transpose()?,
        requests,
        n,
        wants_logprobs: logprobs.is_some(),
        includes_usage: body
            .stream_options
            .and_then(|options| options.include_usage)
            .unwrap_or(false),
    })
}

fn prompts(model: &Model, field: &PromptField) -> ApiResult<Vec<Vec<Token>>> {
    let text = |text: &String| {
        if text.len() > MAX_PROMPT {
            return Err(ApiError {
                param: Some("prompt".to_owned()),
                ..too_long(text.len())
            });
        }
        let tokens = model.tokenize(text)?;
        // OpenAI's answer to nothing is a beginning of its own.
        match (tokens.is_empty(), model.bos()) {
            (true, Some(bos)) => Ok(vec![bos]),
            _ => Ok(tokens),
        }
    };
    let tokens = |ids: &Vec<i32>| {
        ids.iter()
            .map(|&id| match usize::try_from(id) {
                Ok(index) if index < model.n_vocab() => Ok(Token(id)),
                _ => Err(ApiError::invalid(
                    "prompt",
                    format!("{id} is no token; there are {}", model.n_vocab()),
                )),
            })
            .collect::<ApiResult<Vec<Token>>>()
    };
    let prompts = match field {
        PromptField::Text(one) => vec![text(one)?],
        PromptField::Texts(several) => several.iter().map(text).collect::<ApiResult<_>>()?,
        PromptField::Tokens(one) => vec![tokens(one)?],
        PromptField::TokenLists(several) => several.iter().map(tokens).collect::<ApiResult<_>>()?,
    };
    if prompts.is_empty() || prompts.iter().any(Vec::is_empty) {
        return Err(ApiError::invalid("prompt", "a prompt is empty"));
    }
    Ok(prompts)
}

fn echoes(
    model: &Model,
    field: &PromptField,
    prompts: &[Vec<Token>],
) -> crate::Result<Vec<String>> {
    match field {
        PromptField::Text(one) => Ok(vec![one.clone()]),
        PromptField::Texts(several) => Ok(several.clone()),
        _ => prompts
            .iter()
            .map(|prompt| model.detokenize(prompt))
            .collect(),
    }
}

impl Prepared {
    /// What stands before the answer with this index.
    fn echo(&self, index: usize) -> &str {
        self.echoes
            .as_ref()
            .and_then(|echoes| echoes.get(index / self.n))
            .map_or("", String::as_str)
    }

    fn object(&self, choices: Value) -> Value {
        json!({
            "id": self.heading.id,
            "object": "text_completion",
            "created": self.heading.created,
            "model": self.heading.model,
            "system_fingerprint": fingerprint(),
            "choices": choices,
        })
    }
}

fn whole(prepared: &Prepared, answered: &[Answered]) -> Value {
    let choices: Vec<Value> = answered
        .iter()
        .enumerate()
        .map(|(index, one)| {
            let echo = prepared.echo(index);
            let tokens = [one.prompt_logprobs.as_slice(), &one.logprobs].concat();
            json!({
                "index": index,
                "text": format!("{echo}{}", one.text),
                "logprobs": prepared.wants_logprobs.then(|| completion_logprobs(&tokens, 0)),
                "finish_reason": reason(one.finished.finish_reason, false),
            })
        })
        .collect();
    let finished: Vec<Finished> = answered.iter().map(|one| one.finished.clone()).collect();
    let mut object = prepared.object(json!(choices));
    object["usage"] = json!(ApiUsage::sum(&finished, prepared.n));
    object["timings"] = json!(finished.first().map(ApiTimings::of));
    object["unforget"] = json!(prepared.heading.report);
    object
}

/// Writes the chunks of one request.
struct CompletionChunks {
    prepared: Prepared,
    /// Characters told of each answer.
    offsets: Vec<usize>,
    finished: Vec<(usize, Finished)>,
}

impl CompletionChunks {
    fn chunk(&self, index: usize, text: &str, logprobs: Value, reason: Option<&str>) -> Value {
        self.prepared.object(json!([{
            "index": index,
            "text": text,
            "logprobs": logprobs,
            "finish_reason": reason,
        }]))
    }

    /// Where the next text of this answer stands.
    fn advance(&mut self, index: usize, text: &str) -> usize {
        if self.offsets.len() <= index {
            self.offsets.resize(index + 1, 0);
        }
        let before = self.offsets[index];
        self.offsets[index] += text.chars().count();
        before
    }
}

impl Chunks for CompletionChunks {
    fn begin(&mut self) -> Vec<Value> {
        if self.prepared.wants_logprobs || self.prepared.echoes.is_none() {
            return Vec::new();
        }
        let n_answers = self.prepared.echoes.as_ref().map_or(0, Vec::len) * self.prepared.n;
        (0..n_answers)
            .map(|index| {
                let echo = self.prepared.echo(index).to_owned();
                self.advance(index, &echo);
                self.chunk(index, &echo, Value::Null, None)
            })
            .collect()
    }

    fn event(&mut self, index: usize, event: Event) -> Vec<Value> {
        match event {
            Event::Prompt { logprobs } => {
                let echo = self.prepared.echo(index).to_owned();
                let offset = self.advance(index, &echo);
                let logprobs = completion_logprobs(&logprobs, offset);
                vec![self.chunk(index, &echo, logprobs, None)]
            }
            Event::Piece { text, logprob } => {
                let offset = self.advance(index, &text);
                let logprobs = match logprob {
                    Some(token) => completion_logprobs(&[token], offset),
                    None => Value::Null,
                };
                vec![self.chunk(index, &text, logprobs, None)]
            }
            Event::Done(finished) => {
                let why = reason(finished.finish_reason, false);
                let mut last = self.chunk(index, "", Value::Null, Some(why));
                last["timings"] = json!(ApiTimings::of(&finished));
                last["unforget"] = json!(self.prepared.heading.report);
                self.finished.push((index, finished));
                vec![last]
            }
            Event::Failed(_) => Vec::new(),
        }
    }

    async fn end(&mut self) -> Vec<Value> {
        if !self.prepared.includes_usage {
            return Vec::new();
        }
        self.finished.sort_by_key(|(index, _)| *index);
        let finished: Vec<Finished> = self.finished.iter().map(|(_, f)| f.clone()).collect();
        let mut chunk = self.prepared.object(json!([]));
        chunk["usage"] = json!(ApiUsage::sum(&finished, self.prepared.n));
        vec![chunk]
    }
}
