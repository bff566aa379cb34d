//! An adapter in memory: a LoRA, bound to the model that it was loaded for, known by its content.

use std::path::Path;
use std::sync::Arc;

use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

use super::hash::ContentHash;
use super::model::Model;
use crate::error::{Error, Result};
use crate::llama::LoraAdapter;

/// A LoRA adapter, loaded next to a [`Model`]. Cheap to clone; its memory is freed with the last clone and the last
/// session that uses it.
#[derive(Debug, Clone)]
pub struct Adapter {
    name: String,
    sha256: ContentHash,
    rank: u32,
    alpha: f32,
    engine: Arc<LoraAdapter>,
}

impl Adapter {
    /// Reads, checks and loads a GGUF LoRA file.
    ///
    /// Shapes, architecture and numbers are checked against the base before the engine sees the file. Whether the
    /// adapter was *made* for this base is known only to who registered it.
    ///
    /// # Errors
    /// [`Error::Format`] if the file is not sound or does not fit the base, [`Error::AdapterLoad`] if the engine
    /// does not take it.
    pub fn load(model: &Model, path: &Path, name: &str) -> Result<Self> {
        let summary = lora::validate(&Gguf::open(path)?, &Gguf::open(model.path())?)?;
        Ok(Self {
            name: name.to_owned(),
            sha256: ContentHash::of_file(path)?,
            rank: summary.rank_max,
            alpha: summary.alpha,
            engine: Arc::new(LoraAdapter::load(model.engine(), path)?),
        })
    }

    /// Fails unless the adapter was made for `model`.
    ///
    /// # Errors
    /// [`Error::AdapterMismatch`] naming both bases.
    pub fn require_base(name: &str, made_for: ContentHash, model: &Model) -> Result<()> {
        let found = model.sha256()?;
        if found == made_for {
            return Ok(());
        }
        Err(Error::AdapterMismatch {
            adapter: name.to_owned(),
            expected: made_for.short(),
            found: format!("{} ({})", found.short(), model.name()),
        })
    }

    /// The name that it goes by here; its identity is [`Self::sha256`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// sha256 of the file.
    #[must_use]
    pub fn sha256(&self) -> ContentHash {
        self.sha256
    }

    /// Largest rank of its matrices.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// LoRA's alpha; the delta is `scale * alpha / rank * B·A` ([arXiv 2106.09685](https://arxiv.org/abs/2106.09685)).
    #[must_use]
    pub fn alpha(&self) -> f32 {
        self.alpha
    }

    pub(super) fn engine(&self) -> &Arc<LoraAdapter> {
        &self.engine
    }
}
