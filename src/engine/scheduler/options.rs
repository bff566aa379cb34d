//! Sizes of a scheduler.

use crate::engine::model::Model;
use crate::engine::prefix_cache::PrefixCache;
use crate::engine::session::SessionOptions;
use crate::llama::ContextParams;

/// How much a scheduler does at once, and how much memory it may take for it.
#[derive(Debug, Clone)]
pub struct SchedulerOptions {
    /// Tokens of the longest request, prompt and answer, batch sizes, threads, KV type and prefix cache, as a session takes
    /// them.
    pub session: SessionOptions,
    /// Requests that are computed together under one stack.
    pub n_parallel: u32,
    /// Cells of one context's KV cache, for all its requests and what is kept of finished ones. `None`: enough for
    /// [`Self::n_parallel`] requests of ordinary length, and for one of the longest.
    pub n_cells: Option<u32>,
    /// Most contexts, one for each stack in use.
    pub max_stacks: usize,
    /// Most bytes of KV over all contexts; at least one context is always made.
    pub kv_bytes: u64,
}

impl Default for SchedulerOptions {
    fn default() -> Self {
        Self {
            session: SessionOptions::default(),
            n_parallel: 16,
            n_cells: None,
            max_stacks: 4,
            kv_bytes: 1 << 30,
        }
    }
}

/// Tokens of an ordinary request: a system prompt that is shared, a question and an answer of a few paragraphs.
const ORDINARY_TOKENS: u32 = 512;
/// Sequences that hold what finished requests left behind, beyond those that run.
const IDLE_SEQUENCES: u32 = 32;
/// llama.cpp's most sequences in a context.
const MAX_SEQUENCES: u32 = 256;

/// What a scheduler's contexts are made with.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    pub(super) context: ContextParams,
    /// Tokens of the longest request.
    pub(super) n_ctx: usize,
    pub(super) n_parallel: usize,
    pub(super) prefix_cache: Option<PrefixCache>,
    /// Contexts at once.
    pub(super) lanes: usize,
}

impl SchedulerOptions {
    pub(super) fn sizes(&self, model: &Model) -> Sizes {
        let session = self.session.sizes(model);
        let n_parallel = self.n_parallel.clamp(1, MAX_SEQUENCES - IDLE_SEQUENCES);
        let n_cells = self
            .n_cells
            .unwrap_or_else(|| n_parallel.saturating_mul(ORDINARY_TOKENS))
            .max(session.n_ctx);
        let bytes_per_token = session.kv_type.bytes_of(model.kv_bytes_per_token());
        let bytes = u64::from(n_cells).saturating_mul(bytes_per_token);
        let by_bytes = self.kv_bytes.checked_div(bytes).unwrap_or(u64::MAX);
        let by_bytes = usize::try_from(by_bytes).unwrap_or(usize::MAX);
        Sizes {
            n_ctx: session.n_ctx as usize,
            n_parallel: n_parallel as usize,
            prefix_cache: self.session.prefix_cache.clone(),
            lanes: self.max_stacks.min(by_bytes).max(1),
            context: ContextParams {
                n_ctx: n_cells,
                n_batch: session.n_batch.max(n_parallel),
                n_seq_max: n_parallel + IDLE_SEQUENCES,
                ..session
            },
        }
    }
}
