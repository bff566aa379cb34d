//! How an answer is reported: one struct for JSON, one line of measurements for people.

use serde::Serialize;
use unforget::Result;
use unforget::engine::{
    ContentHash, LayerProfile, Outcome, SessionOptions, Timings, Usage, memory_use,
};
use unforget::registry::AdapterState;

use super::memory::MemoryReport;
use super::resolve::Resolved;

/// Which model answered.
#[derive(Debug, Clone, Serialize)]
pub struct ModelReport {
    name: String,
    sha256: ContentHash,
    /// The file as shipped, where a tuned copy of it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    tuned_from: Option<ContentHash>,
}

/// Which adapter it had on.
#[derive(Debug, Clone, Serialize)]
pub struct AdapterReport {
    name: String,
    sha256: ContentHash,
    scale: f32,
    profile: LayerProfile,
    state: AdapterState,
    /// Used against what the guard says.
    forced: bool,
}

/// What every answer is printed with.
#[derive(Debug, Serialize)]
pub struct Report<A: Serialize> {
    #[serde(flatten)]
    pub answer: A,
    model: ModelReport,
    adapters: Vec<AdapterReport>,
    memory: MemoryReport,
}

impl<A: Serialize> Report<A> {
    pub fn new(answer: A, resolved: &Resolved, session: &SessionOptions) -> Result<Self> {
        Ok(Self {
            answer,
            model: model_report(resolved)?,
            adapters: adapter_reports(resolved),
            memory: MemoryReport::now(&resolved.model, session),
        })
    }
}

/// Name and content of the model.
pub fn model_report(resolved: &Resolved) -> Result<ModelReport> {
    Ok(ModelReport {
        name: resolved.model.name().to_owned(),
        sha256: resolved.model.sha256()?,
        tuned_from: resolved.model.derived_from(),
    })
}

/// Name, content, scale and trust of each adapter.
pub fn adapter_reports(resolved: &Resolved) -> Vec<AdapterReport> {
    resolved
        .stack
        .iter()
        .zip(&resolved.trust)
        .map(|((adapter, scale), trust)| AdapterReport {
            name: adapter.name().to_owned(),
            sha256: adapter.sha256(),
            scale,
            profile: adapter.profile(),
            state: trust.state,
            forced: trust.forced,
        })
        .collect()
}

/// The line under an answer: where the time and the memory went.
pub fn summary(outcome: &Outcome) -> String {
    let Outcome {
        usage:
            Usage {
                prompt_tokens,
                cached_tokens,
                completion_tokens,
                drafted_tokens,
                accepted_tokens,
            },
        timings:
            Timings {
                load_ms,
                ttft_ms,
                prefill_tokens_per_s,
                decode_tokens_per_s,
                ..
            },
        ..
    } = outcome;
    let drafts = match drafted_tokens {
        0 => String::new(),
        _ => format!(", {accepted_tokens} of {drafted_tokens} drafted"),
    };
    format!(
        "[{prompt_tokens} prompt tokens, {cached_tokens} cached, {prefill_tokens_per_s:.0}/s | {completion_tokens} \
         answered{drafts}, {decode_tokens_per_s:.0}/s | load {load_ms:.0} ms, first token {ttft_ms:.0} ms | peak memory {}]",
        super::output::megabytes(memory_use().peak_rss_bytes)
    )
}
