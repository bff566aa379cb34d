//! A chat's answer in pieces: `chat.completion.chunk`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::app::App;
use super::chat::{Prepared, fingerprint, reason};
use super::grounding::Grounding;
use super::stream::Chunks;
use super::token_json::chat_logprobs;
use super::tools::split_calls;
use super::usage::{ApiTimings, ApiUsage};
use crate::engine::{Event, Finished};
use crate::rag::Assignment;

/// Writes the chunks of one request.
pub(super) struct ChatChunks {
    prepared: Prepared,
    app: Arc<App>,
    /// The text of each answer so far: what is cited, and what calls are found in.
    texts: Vec<String>,
    finished: Vec<Finished>,
}

impl ChatChunks {
    pub(super) fn new(prepared: Prepared, app: Arc<App>) -> Self {
        Self {
            prepared,
            app,
            texts: Vec::new(),
            finished: Vec::new(),
        }
    }

    fn chunk(&self, choices: Value) -> Value {
        let heading = &self.prepared.heading;
        json!({
            "id": heading.id,
            "object": "chat.completion.chunk",
            "created": heading.created,
            "model": heading.model,
            "system_fingerprint": fingerprint(),
            "choices": choices,
        })
    }

    fn delta(&self, index: usize, delta: Value, logprobs: Value, reason: Option<&str>) -> Value {
        self.chunk(json!([{
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": reason,
        }]))
    }

    /// The first piece of an answer says who speaks.
    fn first(&mut self, index: usize) -> Option<Value> {
        if index < self.texts.len() {
            return None;
        }
        self.texts.resize_with(index + 1, String::new);
        Some(self.delta(
            index,
            json!({ "role": "assistant", "content": "" }),
            Value::Null,
            None,
        ))
    }

    fn done(&mut self, index: usize, finished: Finished) -> Vec<Value> {
        let mut chunks = Vec::new();
        let mut has_calls = false;
        if self.prepared.has_tools {
            let (content, calls) = split_calls(&self.texts[index], &self.prepared.heading.id);
            has_calls = !calls.is_empty();
            if !content.is_empty() {
                chunks.push(self.delta(index, json!({ "content": content }), Value::Null, None));
            }
            for (at, mut call) in calls.into_iter().enumerate() {
                call["index"] = json!(at);
                let delta = json!({ "tool_calls": [call] });
                chunks.push(self.delta(index, delta, Value::Null, None));
            }
        }
        // What a policy puts under an answer has to be there for those too who read the pieces alone.
        let grounding = self.prepared.grounding.as_ref();
        let assignment = grounding.and_then(Grounding::assignment);
        for text in assignment.into_iter().flat_map(Assignment::disclaimers) {
            chunks.push(self.delta(index, json!({ "content": text }), Value::Null, None));
        }
        let why = reason(finished.finish_reason, has_calls);
        let mut last = self.delta(index, json!({}), Value::Null, Some(why));
        last["timings"] = json!(ApiTimings::of(&finished));
        last["unforget"] = json!(self.prepared.heading.report);
        chunks.push(last);
        self.finished.push(finished);
        chunks
    }
}

impl Chunks for ChatChunks {
    fn begin(&mut self) -> Vec<Value> {
        self.first(0).into_iter().collect()
    }

    fn event(&mut self, index: usize, event: Event) -> Vec<Value> {
        let mut chunks: Vec<Value> = self.first(index).into_iter().collect();
        match event {
            Event::Piece { text, logprob } => {
                self.texts[index].push_str(&text);
                // Calls are told whole, when the text is complete.
                if self.prepared.has_tools || (text.is_empty() && logprob.is_none()) {
                    return chunks;
                }
                let logprobs = match logprob {
                    Some(token) => chat_logprobs(&self.app, &[token]),
                    None => Value::Null,
                };
                chunks.push(self.delta(index, json!({ "content": text }), logprobs, None));
            }
            Event::Done(finished) => chunks.extend(self.done(index, finished)),
            Event::Prompt { .. } | Event::Failed(_) => {}
        }
        chunks
    }

    /// First the citations, then what was used, if that was asked for: both without choices.
    async fn end(&mut self) -> Vec<Value> {
        let mut chunks = Vec::new();
        if let (Some(grounding), Some(text), Some(finished)) = (
            self.prepared.grounding.take(),
            self.texts.first(),
            self.finished.first(),
        ) {
            let outcome = finished.outcome(text.clone());
            chunks.push(match grounding.report(&self.app, outcome).await {
                Ok(report) => {
                    let mut chunk = self.chunk(json!([]));
                    chunk["unforget"] = json!({ "documents": report });
                    chunk
                }
                Err(error) => error.body(),
            });
        }
        if self.prepared.includes_usage {
            let mut chunk = self.chunk(json!([]));
            chunk["usage"] = json!(ApiUsage::sum(&self.finished, self.finished.len()));
            chunks.push(chunk);
        }
        chunks
    }
}
