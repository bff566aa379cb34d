//! A worker: one context with many sequences, over one model and one stack of adapters.

use super::ScorerOptions;
use super::round::SHARED;
use crate::engine::model::Model;
use crate::engine::stack::AdapterStack;
use crate::error::{Error, Result};
use crate::llama::{Batch, Context, ContextParams, KvType, Token};

/// One context, and what is in it.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) model: Model,
    pub(super) context: Context,
    pub(super) batch: Batch,
    pub(super) options: ScorerOptions,
    /// Tokens whose KV is in [`SHARED`].
    pub(super) shared: Vec<Token>,
    pub(super) n_evaluated: usize,
    pub(super) n_rows: usize,
}

impl Worker {
    pub(super) fn new(
        model: &Model,
        stack: &AdapterStack,
        options: &ScorerOptions,
        n_threads: u32,
    ) -> Result<Self> {
        let mut context = Context::new(
            model.engine(),
            &ContextParams {
                n_ctx: options.n_ctx,
                n_batch: options.n_batch(),
                n_ubatch: options.n_together(),
                n_seq_max: options.n_seq,
                n_threads,
                n_threads_batch: n_threads,
                embeddings: false,
                kv_type: KvType::F16,
            },
        )?;
        let adapters = stack
            .effective()
            .map(|(adapter, scale)| (adapter.engine().clone(), *scale))
            .collect();
        context.set_adapters(adapters)?;
        Ok(Self {
            model: model.clone(),
            context,
            batch: Batch::default(),
            options: options.clone(),
            shared: Vec::new(),
            n_evaluated: 0,
            n_rows: 0,
        })
    }

    /// Forgets a sequence from a position on.
    pub(super) fn cut(&mut self, sequence: u32, position: usize) -> Result<()> {
        if self.context.truncate(sequence, position) {
            return Ok(());
        }
        Err(Error::Engine(
            "this model's memory cannot be cut at a position, which scoring needs".to_owned(),
        ))
    }

    /// Forgets all but the shared beginning.
    pub(super) fn drop_sequences(&mut self, n: usize) {
        for sequence in 0..u32::try_from(n).unwrap_or(0) {
            self.context.truncate(SHARED + 1 + sequence, 0);
        }
    }

    pub(super) fn forget(&mut self) {
        self.context.clear();
        self.shared.clear();
    }
}
