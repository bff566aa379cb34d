//! The architectures that PEFT adapters are converted for: what differs between them on the way
//! from Hugging Face's modules to GGUF's weights.

use std::path::Path;

use crate::gguf::Gguf;
use crate::{Error, Result};

/// An architecture by llama.cpp's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Llama,
    Qwen2,
    Qwen3,
    Gemma3,
}

impl Architecture {
    pub(super) const ALL: [Self; 4] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma3];

    /// `general.architecture`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
        }
    }

    /// The architecture of a base that adapters can be converted for.
    pub(super) fn of(adapter: &Path, base: &Gguf) -> Result<Self> {
        let found = base.architecture().unwrap_or("missing");
        let kind = base.metadata().str("general.type").unwrap_or("model");
        let known = Self::ALL.into_iter().find(|known| known.name() == found);
        known
            .filter(|_| kind == "model")
            .ok_or_else(|| Error::BaseMismatch {
                adapter: adapter.to_owned(),
                base: base.path().to_owned(),
                reason: format!(
                    "the base is a {kind} of architecture {found}; PEFT adapters are converted for models of {}",
                    Self::ALL.map(Self::name).join(", ")
                ),
            })
    }

    /// What may stand before `layers.0` and `embed_tokens`. PEFT adds `base_model.model.`; a model
    /// without a head has no `model.` of its own; Gemma 3 with vision has its language model below.
    pub(super) const fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Gemma3 => &[
                "model.language_model.",
                "language_model.model.",
                "model.",
                "",
            ],
            Self::Llama | Self::Qwen2 | Self::Qwen3 => &["model.", ""],
        }
    }

    /// Names of the output head.
    pub(super) const fn heads(self) -> &'static [&'static str] {
        match self {
            Self::Gemma3 => &["lm_head", "language_model.lm_head"],
            Self::Llama | Self::Qwen2 | Self::Qwen3 => &["lm_head"],
        }
    }

    /// Whether llama.cpp rotates neighbouring values of a head (ggml's normal mode), so that its
    /// converter reordered the rows of q and k. The others rotate halves, as Hugging Face does
    /// (`llama_model_rope_type` in `llama-model.cpp`).
    pub(super) const fn rotates_neighbours(self) -> bool {
        matches!(self, Self::Llama)
    }

    /// Why LoRA on the token embedding cannot be converted, where it cannot. Gemma 3 multiplies
    /// embeddings by the root of their width; PEFT has added its delta before that and after it,
    /// depending on its version.
    pub(super) const fn embedding_obstacle(self) -> Option<&'static str> {
        match self {
            Self::Gemma3 => Some(
                "gemma3 scales its token embedding, and versions of PEFT differ on whether the adapter is scaled too",
            ),
            Self::Llama | Self::Qwen2 | Self::Qwen3 => None,
        }
    }
}
