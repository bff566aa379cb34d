//! Sizes of a scheduler.

use crate::engine::footprint::{Demand, Fitted, MemoryNeeds};
use crate::engine::model::Model;
use crate::engine::prefix_cache::PrefixCache;
use crate::engine::session::SessionOptions;
use crate::llama::{ContextParams, MAX_SEQUENCES};

/// How much a scheduler does at once, and how much memory it may take for it.
#[derive(Debug, Clone)]
pub struct SchedulerOptions {
    /// Tokens of the longest request, prompt and answer, batch sizes, threads, KV type and prefix cache, as a session takes
    /// them.
    pub session: SessionOptions,
    /// Requests that are computed together under one stack.
    pub n_parallel: u32,
    /// Cells of one context's KV cache, for all its requests and what is kept of finished ones. `None`: enough for
    /// as many requests as are answered at once, of ordinary length, and for one of the longest.
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
    /// What has to fit into a limit of memory, beside models that take `beside_bytes`: the cells of one context. What is
    /// asked for stands.
    #[must_use]
    pub fn demand(&self, needs: &MemoryNeeds, beside_bytes: u64) -> Demand {
        let of_session = Demand::of_session(&self.session, needs.default_n_ctx());
        let (least, most) = of_session.n_ctx.clone().into_inner();
        Demand {
            n_ctx: match self.n_cells {
                Some(n_cells) => n_cells.max(least)..=n_cells.max(least),
                None => least..=self.ordinary_cells().max(most),
            },
            n_seq_max: self.n_sequences(),
            beside_bytes,
            ..of_session
        }
    }

    /// These, within what fits into `limit` bytes: more contexts where there is room for more.
    #[must_use]
    pub fn within(self, limit: u64, fitted: &Fitted) -> Self {
        let footprint = &fitted.footprint;
        let a_context = footprint.kv_bytes.saturating_add(footprint.compute_bytes);
        let more = limit.saturating_sub(footprint.total()) / a_context.max(1);
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        Self {
            session: fitted.within(self.session),
            n_cells: Some(fitted.n_ctx),
            max_stacks: self.max_stacks.min(more.saturating_add(1)),
            ..self
        }
    }

    fn n_parallel(&self) -> u32 {
        self.n_parallel.clamp(1, MAX_SEQUENCES - IDLE_SEQUENCES)
    }

    fn n_sequences(&self) -> u32 {
        self.n_parallel() + IDLE_SEQUENCES
    }

    /// Cells for as many requests of ordinary length as are computed together.
    fn ordinary_cells(&self) -> u32 {
        self.n_parallel().saturating_mul(ORDINARY_TOKENS)
    }

    pub(super) fn sizes(&self, model: &Model) -> Sizes {
        let session = self.session.sizes(model);
        let n_parallel = self.n_parallel();
        let n_cells = self
            .n_cells
            .unwrap_or_else(|| self.ordinary_cells())
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
                n_seq_max: self.n_sequences(),
                ..session
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Footprint;
    use crate::llama::KvType;

    #[test]
    fn what_is_left_of_a_limit_is_for_more_contexts() {
        let fitted = Fitted {
            mapped: false,
            n_ctx: 2048,
            n_ubatch: 128,
            kv_type: KvType::Q8_0,
            footprint: Footprint {
                packed_bytes: 100,
                kv_bytes: 30,
                compute_bytes: 10,
                ..Footprint::default()
            },
        };
        let within = |limit: u64| SchedulerOptions::default().within(limit, &fitted);
        let tight = within(140);
        assert_eq!((tight.max_stacks, tight.n_cells), (1, Some(2048)));
        assert_eq!(tight.session.n_ctx, Some(2048));
        assert_eq!(within(179).max_stacks, 1);
        assert_eq!(within(180).max_stacks, 2);
        assert_eq!(within(1000).max_stacks, 4, "no more than asked for");
    }
}
