//! A cross-encoder that reads what a search found again.

use std::sync::Arc;

use unforget::Result;
use unforget::engine::{CancelToken, Reranker, SessionOptions};
use unforget::rag::{EngineReranker, Rerank};

use crate::boundary::call;
use crate::cancel::uf_cancel;
use crate::collection::uf_collection;
use crate::handle::{borrow, optional};
use crate::model::uf_model;
use crate::opened::Opened;
use crate::session_options::uf_session_options;
use crate::status::uf_status;

/// Has the best passages of each search and question read again by a cross-encoder, and put into its order: better, and
/// slower. In place of the one before.
///
/// model: from uf_model_open, a cross-encoder (a GGUF whose pooling type is RANK). The collection keeps it alive.
/// options: for the number of threads; null for the defaults; only borrowed.
/// cancel: stops the reading; null for none. The collection keeps it alive.
/// Threads: calls on one collection wait for each other.
///
/// UF_USAGE: `collection` or `model` is null. UF_NOT_FOUND: the model generates or embeds text instead. UF_FAILED: the
/// memory cannot be had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_collection_set_reranker(
    collection: *mut uf_collection,
    model: *const uf_model,
    options: *const uf_session_options,
    cancel: *const uf_cancel,
) -> uf_status {
    call(|| {
        // SAFETY: the header's rules, for all four.
        let (collection, model, options, cancel) = unsafe {
            (
                borrow("collection", collection)?,
                borrow("model", model)?,
                optional(options),
                optional(cancel),
            )
        };
        let options = options.map_or_else(SessionOptions::default, |it| it.options.clone());
        let cancel = cancel.map_or_else(CancelToken::default, |cancel| cancel.token.clone());
        let reranker = Reranker::new(&model.opened.model, &options)?;
        let reranker = Box::new(KeptReranker {
            engine: EngineReranker::new(reranker, cancel),
            _opened: Arc::clone(&model.opened),
        });
        collection.collection.with("collection", |collection| {
            collection.rerank_with(reranker);
            Ok(())
        })
    })
}

/// A reranker with the file of its model, which may have been opened by descriptor.
struct KeptReranker {
    engine: EngineReranker,
    _opened: Arc<Opened>,
}

impl std::fmt::Debug for KeptReranker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.engine.fmt(f)
    }
}

impl Rerank for KeptReranker {
    fn score(&mut self, query: &str, texts: &[&str]) -> Result<Vec<f32>> {
        self.engine.score(query, texts)
    }
}
