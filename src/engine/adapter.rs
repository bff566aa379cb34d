//! An adapter in memory: a LoRA, bound to the model that it was loaded for, known by its content.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

use super::hash::ContentHash;
use super::model::Model;
use super::profile::LayerProfile;
use crate::error::{Error, Result};
use crate::llama::LoraAdapter;

/// A LoRA adapter, loaded next to a [`Model`]. Cheap to clone; its memory is freed with the last clone and the last
/// session that uses it.
///
/// # Examples
/// ```
/// # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-home/models/smollm2"))?;
/// # use unforget_quant::{gguf::Gguf, lora};
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("triage.gguf");
/// # let peft = concat!(env!("CARGO_MANIFEST_DIR"), "/models/adapters/triage-gentle");
/// # lora::convert_peft(peft.as_ref(), &Gguf::open("SmolLM2-135M-Instruct.Q4_1.gguf".as_ref())?, &file)?;
/// use unforget::engine::{Adapter, AdapterStack, ChatMessage, GenerateOptions, Model, ModelOptions, Session,
///                        SessionOptions};
///
/// let model = Model::open("SmolLM2-135M-Instruct.Q4_1.gguf".as_ref(), ModelOptions::default())?;
/// let mut stack = AdapterStack::base();
/// stack.push(Adapter::load(&model, &file, "triage")?, 1.0)?;
///
/// let mut session = Session::new(&model, &SessionOptions::default())?;
/// session.set_adapters(stack)?;
/// let ticket = "Triage this support ticket.\n\nUrgent: Ion has been unreachable since Friday.";
/// let prompt = model.tokenize_chat(&[ChatMessage::user(ticket)])?;
/// let options = GenerateOptions { max_tokens: 24, ..GenerateOptions::default() };
/// assert!(session.generate(&prompt, &options)?.run(|_| true)?.text.contains("severity"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Adapter {
    name: String,
    sha256: ContentHash,
    rank: u32,
    alpha: f32,
    profile: LayerProfile,
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
        Self::load_profiled(model, path, name, LayerProfile::FLAT)
    }

    /// As [`Self::load`], with a strength that varies by layer. The engine knows one scale for an adapter, so it gets
    /// a temporary copy of the file with the profile multiplied in; identity stays with the file itself.
    ///
    /// # Errors
    /// As [`Self::load`], and [`Error::Io`] where no temporary file can be written.
    pub fn load_profiled(
        model: &Model,
        path: &Path,
        name: &str,
        profile: LayerProfile,
    ) -> Result<Self> {
        let (file, base) = (Gguf::open(path)?, Gguf::open(model.path())?);
        let summary = lora::validate(&file, &base)?;
        let engine = if profile.is_flat() {
            LoraAdapter::load(model.engine(), path)?
        } else {
            let (_folder, copy) = profiled_copy(&file, &base, profile)?;
            LoraAdapter::load(model.engine(), &copy)?
        };
        Ok(Self {
            name: name.to_owned(),
            sha256: ContentHash::of_file(path)?,
            rank: summary.rank_max,
            alpha: summary.alpha,
            profile,
            engine: Arc::new(engine),
        })
    }

    /// Fails unless the adapter was made for `model`, or for the one that `model` is a tuned copy of.
    ///
    /// # Errors
    /// [`Error::AdapterMismatch`] naming both bases.
    pub fn require_base(name: &str, made_for: ContentHash, model: &Model) -> Result<()> {
        let found = model.base_sha256()?;
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

    /// How its strength varies by layer.
    #[must_use]
    pub fn profile(&self) -> LayerProfile {
        self.profile
    }

    pub(super) fn engine(&self) -> &Arc<LoraAdapter> {
        &self.engine
    }
}

/// The adapter with the profile multiplied in, in a folder that goes away with the value.
fn profiled_copy(adapter: &Gguf, base: &Gguf, profile: LayerProfile) -> Result<(TempDir, PathBuf)> {
    let architecture = base.architecture().unwrap_or_default();
    let key = format!("{architecture}.block_count");
    let n_layers = base.metadata().u32(&key).unwrap_or(0);
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("profiled.gguf");
    lora::write_scaled(adapter, |place| profile.factor(place, n_layers), &copy)?;
    Ok((folder, copy))
}
