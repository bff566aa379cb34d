//! Tokens and times as clients of OpenAI and of llama-server read them.

use serde::Serialize;

use crate::engine::Finished;

/// OpenAI's `usage`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct ApiUsage {
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
    pub(super) total_tokens: usize,
    pub(super) prompt_tokens_details: PromptDetails,
}

/// OpenAI's details of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct PromptDetails {
    /// Tokens of the prompt that were computed before, for this client or another.
    pub(super) cached_tokens: usize,
}

impl ApiUsage {
    /// Over several answers; a prompt with several answers counts once.
    pub(super) fn sum(finished: &[Finished], answers_per_prompt: usize) -> Self {
        let mut usage = Self::default();
        for (at, finished) in finished.iter().enumerate() {
            usage.completion_tokens += finished.usage.completion_tokens;
            if at % answers_per_prompt.max(1) == 0 {
                usage.prompt_tokens += finished.usage.prompt_tokens;
                usage.prompt_tokens_details.cached_tokens += finished.usage.cached_tokens;
            }
        }
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
        usage
    }
}

/// llama-server's `timings`, and two of ours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct ApiTimings {
    cache_n: usize,
    prompt_n: usize,
    prompt_ms: f64,
    prompt_per_token_ms: f64,
    prompt_per_second: f64,
    predicted_n: usize,
    predicted_ms: f64,
    predicted_per_token_ms: f64,
    predicted_per_second: f64,
    /// From the request to the first step that worked on it.
    queue_ms: f64,
    /// From the request to the first token.
    ttft_ms: f64,
}

impl ApiTimings {
    pub(super) fn of(finished: &Finished) -> Self {
        let usage = finished.usage;
        let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
        let each = |total: f64, n: usize| if n == 0 { 0.0 } else { total / n as f64 };
        let prompt_n = usage.prompt_tokens - usage.cached_tokens;
        let (prompt_ms, predicted_ms) = (ms(finished.prefill), ms(finished.decode));
        Self {
            cache_n: usage.cached_tokens,
            prompt_n,
            prompt_ms,
            prompt_per_token_ms: each(prompt_ms, prompt_n),
            prompt_per_second: finished.timings.prefill_tokens_per_s,
            predicted_n: usage.completion_tokens,
            predicted_ms,
            predicted_per_token_ms: each(predicted_ms, usage.completion_tokens.saturating_sub(1)),
            predicted_per_second: finished.timings.decode_tokens_per_s,
            queue_ms: ms(finished.queued),
            ttft_ms: finished.timings.ttft_ms,
        }
    }
}
