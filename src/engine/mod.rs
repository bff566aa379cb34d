//! The engine: a frozen [`Model`], [`Adapter`]s stacked on it, and [`Session`]s that generate.
//!
//! A [`Model`] is opened once and shared. A [`Session`] is one mutable timeline over it: it is handed the whole
//! prompt each time and finds out by itself how much of it is already computed. What makes that safe is
//! identity by content: a model and an adapter *are* the sha256 of their bytes, so nothing that was computed
//! under one stack of adapters is ever reused under another.
//!
//! Files, names and states are left to [`crate::registry`], documents to [`crate::rag`].

mod adapter;
mod arithmetic;
mod bench;
mod chat_tokens;
mod common_prefix;
#[cfg(feature = "serve")]
mod constraint;
pub mod divergence;
mod draft;
mod embedder;
mod footprint;
mod generation;
mod hash;
mod importance;
#[cfg(feature = "serve")]
mod logprobs;
mod memory;
mod model;
mod outcome;
mod pool;
mod prefix_cache;
mod products;
mod profile;
mod reranker;
mod sampling;
#[cfg(feature = "serve")]
mod scheduler;
mod scorer;
mod session;
mod stack;
mod stack_cost;
mod strength;
mod template;
mod text;
mod text_divergence;

pub use crate::llama::{
    CancelToken, ContextParams, Device, GpuLayers, KvType, Token, compiled_backends, devices,
    grammar_of_json_schema, system_info,
};
pub use adapter::Adapter;
pub use bench::{
    BenchResult, BenchTest, Contender, Job, JobTime, Percentiles, any_tokens, bench, bench_in_turn,
};
#[cfg(feature = "serve")]
pub use constraint::{Constraint, ConstraintFactory, compact};
pub use embedder::Embedder;
pub use footprint::{Copies, Demand, Fitted, Footprint, MemoryNeeds};
pub use generation::{GenerateOptions, Generation};
pub use hash::ContentHash;
pub use importance::importance;
#[cfg(feature = "serve")]
pub use logprobs::{Alternative, TokenLogprob};
pub use memory::{MemoryUse, available_memory, memory_use};
pub use model::{Model, ModelOptions, is_encoder};
pub use outcome::{FinishReason, Outcome, Timings, Usage};
pub use pool::{PoolLimits, SessionPool};
pub use prefix_cache::PrefixCache;
pub use profile::LayerProfile;
pub use reranker::Reranker;
pub use sampling::SamplingParams;
#[cfg(feature = "serve")]
pub use scheduler::{
    CompletionRequest, Event, Finished, Scheduler, SchedulerOptions, SchedulerStats, Sink,
};
pub use scorer::{GreedyAnswer, Opening, RowAt, ScoreItem, Scorer, ScorerOptions};
pub use session::{Part, Piece, Prefill, Segment, Session, SessionOptions};
pub use stack::AdapterStack;
pub use stack_cost::StackCost;
pub use strength::Strength;
pub use template::{ChatMessage, ChatTemplate, Message, Role};
pub use text_divergence::{KlSoFar, TextDivergence, text_windows};
