//! `/metrics` for Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::app::App;
use crate::engine::{Finished, SchedulerStats, memory_use};

/// Seconds to the first token.
const TTFT_BUCKETS: [f64; 11] = [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6];
/// Seconds between two tokens.
const TPOT_BUCKETS: [f64; 10] = [
    0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0,
];

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    method: String,
    route: String,
    status: u16,
}

/// What the server counts. The engine counts for itself; its numbers are read when they are asked for.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    http: Family<Answer, Counter>,
    completions: Counter,
    failures: Counter,
    prompt_tokens: Counter,
    cached_tokens: Counter,
    completion_tokens: Counter,
    queue: Histogram,
    ttft: Histogram,
    tpot: Histogram,
    engine: EngineGauges,
}

/// The engine's numbers, as gauges.
#[derive(Debug, Default)]
struct EngineGauges {
    waiting: Gauge<u64, AtomicU64>,
    running: Gauge<u64, AtomicU64>,
    stacks: Gauge<u64, AtomicU64>,
    kept: Gauge<u64, AtomicU64>,
    cells_used: Gauge<u64, AtomicU64>,
    cells: Gauge<u64, AtomicU64>,
    steps: Gauge<u64, AtomicU64>,
    tokens: Gauge<u64, AtomicU64>,
    restacked: Gauge<u64, AtomicU64>,
    memory: Gauge<u64, AtomicU64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("unforget"),
            http: Family::default(),
            completions: Counter::default(),
            failures: Counter::default(),
            prompt_tokens: Counter::default(),
            cached_tokens: Counter::default(),
            completion_tokens: Counter::default(),
            queue: Histogram::new(TTFT_BUCKETS),
            ttft: Histogram::new(TTFT_BUCKETS),
            tpot: Histogram::new(TPOT_BUCKETS),
            engine: EngineGauges::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("http_requests", "Requests answered", self.http.clone());
        registry.register("completions", "Answers completed", self.completions.clone());
        registry.register("failures", "Answers that failed", self.failures.clone());
        registry.register(
            "prompt_tokens",
            "Tokens of prompts",
            self.prompt_tokens.clone(),
        );
        registry.register(
            "cached_tokens",
            "Tokens of prompts that were computed before",
            self.cached_tokens.clone(),
        );
        registry.register(
            "completion_tokens",
            "Tokens of answers",
            self.completion_tokens.clone(),
        );
        registry.register(
            "queue_seconds",
            "From request to work on it",
            self.queue.clone(),
        );
        registry.register(
            "ttft_seconds",
            "From request to first token",
            self.ttft.clone(),
        );
        registry.register(
            "tpot_seconds",
            "From token to token, mean of an answer",
            self.tpot.clone(),
        );
        let engine = &self.engine;
        for (name, help, gauge) in [
            ("requests_waiting", "Requests that wait", &engine.waiting),
            ("requests_running", "Requests under way", &engine.running),
            (
                "stacks",
                "Contexts, one for each stack of adapters in use",
                &engine.stacks,
            ),
            (
                "prefixes_kept",
                "Finished requests whose tokens are kept",
                &engine.kept,
            ),
            ("kv_cells_used", "Cells of KV taken", &engine.cells_used),
            ("kv_cells", "Cells of KV", &engine.cells),
            ("engine_steps", "Batches computed", &engine.steps),
            ("engine_tokens", "Tokens computed", &engine.tokens),
            (
                "restacked",
                "Times that a context got another stack",
                &engine.restacked,
            ),
            (
                "anonymous_bytes",
                "Memory that is this process's own",
                &engine.memory,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        self
    }

    /// Counts an answer over HTTP.
    pub(super) fn http(&self, method: &str, route: &str, status: StatusCode) {
        let labels = Answer {
            method: method.to_owned(),
            route: route.to_owned(),
            status: status.as_u16(),
        };
        self.http.get_or_create(&labels).inc();
    }

    /// Counts a completed answer.
    pub(super) fn answered(&self, finished: &Finished) {
        let usage = finished.usage;
        self.completions.inc();
        self.prompt_tokens.inc_by(usage.prompt_tokens as u64);
        self.cached_tokens.inc_by(usage.cached_tokens as u64);
        self.completion_tokens
            .inc_by(usage.completion_tokens as u64);
        self.queue.observe(finished.queued.as_secs_f64());
        if usage.completion_tokens > 0 {
            self.ttft.observe(finished.timings.ttft_ms / 1e3);
        }
        if usage.completion_tokens > 1 {
            let gaps = (usage.completion_tokens - 1) as f64;
            self.tpot.observe(finished.decode.as_secs_f64() / gaps);
        }
    }

    /// Counts an answer that failed.
    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    fn text(&self, stats: SchedulerStats) -> Result<String, std::fmt::Error> {
        let engine = &self.engine;
        engine.waiting.set(stats.waiting);
        engine.running.set(stats.running);
        engine.stacks.set(stats.stacks);
        engine.kept.set(stats.kept);
        engine.cells_used.set(stats.cells_used);
        engine.cells.set(stats.cells);
        engine.steps.set(stats.steps);
        engine.tokens.set(stats.tokens);
        engine.restacked.set(stats.restacked);
        engine.memory.set(memory_use().anonymous_bytes);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    match app.metrics().text(app.scheduler().stats()) {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
