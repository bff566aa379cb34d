//! [`Embed`] by the engine: the model that collections are made with in real use.

use super::embed::{Embed, EmbedderId};
use crate::Result;
use crate::engine::{CancelToken, Embedder};

/// An engine's embedder with its identity.
#[derive(Debug)]
pub struct EngineEmbedder {
    id: EmbedderId,
    embedder: Embedder,
    cancel: CancelToken,
}

impl EngineEmbedder {
    /// Wraps `embedder`; `cancel` stops it between and within batches.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the model's file has to be hashed and cannot be read.
    pub fn new(embedder: Embedder, cancel: CancelToken) -> Result<Self> {
        let model = embedder.model();
        let id = EmbedderId {
            name: model.name().to_owned(),
            sha256: model.sha256()?.to_string(),
            dimension: embedder.dimension(),
            recipe: EmbedderId::PLAIN.into(),
        };
        Ok(Self {
            id,
            embedder,
            cancel,
        })
    }
}

impl Embed for EngineEmbedder {
    fn id(&self) -> &EmbedderId {
        &self.id
    }

    fn max_tokens(&self) -> usize {
        self.embedder.max_tokens()
    }

    fn count_tokens(&self, text: &str) -> usize {
        // Only a text of hundreds of megabytes cannot be counted; it is too long for any budget.
        self.embedder
            .model()
            .count_tokens(text)
            .unwrap_or(usize::MAX)
    }

    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.embedder.embed(texts, &self.cancel)
    }
}
