//! What a generation came to, with its measurements: printed as they are by every front end.

use std::time::Duration;

use serde::Serialize;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop string came.
    Stop,
    /// As many tokens as allowed, or as fit into the context.
    Length,
    /// Stopped from outside.
    Cancelled,
}

/// Tokens of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them whose KV was there already, in the session or in the prefix cache.
    pub cached_tokens: usize,
    /// Tokens of the answer, the end token not counted.
    pub completion_tokens: usize,
    /// Tokens that were drafted from the text and computed ahead.
    pub drafted_tokens: usize,
    /// Those of them that the model chose.
    pub accepted_tokens: usize,
}

/// Where the time of a request went.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Timings {
    /// Checking and loading the model, in milliseconds.
    pub load_ms: f64,
    /// From the request to the first token, loading not counted, in milliseconds.
    pub ttft_ms: f64,
    /// Prompt tokens computed (not the cached ones) a second.
    pub prefill_tokens_per_s: f64,
    /// Tokens after the first a second; 0 if there was only one.
    pub decode_tokens_per_s: f64,
    /// From the request to the last token, loading not counted, in milliseconds.
    pub total_ms: f64,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The answer.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens used.
    pub usage: Usage,
    /// Time used.
    pub timings: Timings,
}

/// Milliseconds, as the timings have them.
pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// `n` a second; 0 where nothing was measured.
pub(super) fn rate(n: usize, duration: Duration) -> f64 {
    let seconds = duration.as_secs_f64();
    if n == 0 || seconds == 0.0 {
        return 0.0;
    }
    n as f64 / seconds
}
