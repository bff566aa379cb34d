//! Whether a GGUF LoRA is complete, sound and made for a base. llama.cpp checks less: it takes
//! other files of the right shapes as they are, and NaN too.

use std::collections::BTreeSet;

use super::LoraSummary;
use super::pairs::{Pair, pairs};
use crate::gguf::{Gguf, TensorInfo};
use crate::safetensors::check_finite;
use crate::{Error, Result};

/// Checks `adapter` against `base` and says what it is. Reads all of the adapter's data.
///
/// # Errors
///
/// [`Error::AdapterRefused`] where it is not a complete LoRA, [`Error::BaseMismatch`] where
/// architecture, weights or shapes differ, [`Error::NonFinite`] where it holds NaN or infinities.
pub fn validate(adapter: &Gguf, base: &Gguf) -> Result<LoraSummary> {
    let refuse = |why: String| Error::refused(adapter.path(), why);
    let mismatch = |reason: String| Error::BaseMismatch {
        adapter: adapter.path().to_owned(),
        base: base.path().to_owned(),
        reason,
    };
    let metadata = adapter.metadata();
    for (key, expected) in [("general.type", "adapter"), ("adapter.type", "lora")] {
        let found = metadata.str(key).unwrap_or("missing");
        if found != expected {
            return Err(refuse(format!("{key} is {found:?}, not {expected:?}")));
        }
    }
    if metadata.contains("adapter.alora.invocation_tokens") {
        return Err(refuse(
            "it is an aLoRA, active only after certain tokens".to_owned(),
        ));
    }
    let architecture = adapter.architecture().unwrap_or("missing");
    let expected = base.architecture().unwrap_or("missing");
    if architecture != expected {
        return Err(mismatch(format!(
            "the adapter is for architecture {architecture}, the base is {expected}"
        )));
    }
    let alpha = metadata.f32("adapter.lora.alpha").unwrap_or(0.0);
    if !alpha.is_finite() {
        return Err(refuse(format!("adapter.lora.alpha is {alpha}")));
    }
    let pairs = pairs(adapter)?;
    for (target, pair) in &pairs {
        fits(target, pair, base).map_err(mismatch)?;
        finite(adapter, pair.a)?;
        finite(adapter, pair.b)?;
    }
    let ranks = || pairs.values().map(|pair| pair.rank);
    let kinds: BTreeSet<&str> = pairs.keys().map(|target| kind(target)).collect();
    Ok(LoraSummary {
        architecture: architecture.to_owned(),
        rank_min: ranks().min().unwrap_or(0),
        rank_max: ranks().max().unwrap_or(0),
        alpha,
        n_tensors: pairs.len() * 2,
        targets: kinds.into_iter().map(str::to_owned).collect(),
    })
}

/// `attn_q` of `blk.3.attn_q.weight`.
fn kind(target: &str) -> &str {
    let name = target.strip_suffix(".weight").unwrap_or(target);
    name.rsplit('.').next().unwrap_or(name)
}

fn fits(target: &str, pair: &Pair, base: &Gguf) -> Result<(), String> {
    let weight = base
        .tensor(target)
        .ok_or_else(|| format!("the base has no tensor {target}"))?;
    let adapted = [pair.n_in, pair.n_out];
    if weight.shape != adapted {
        let shape = &weight.shape;
        return Err(format!(
            "tensor {target} is {shape:?} in the base, but the adapter is for {adapted:?}"
        ));
    }
    match shares_embedding(base).filter(|_| pair.flipped) {
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

/// Why the token embedding of `base` cannot be adapted, where it cannot. Without an output head of
/// its own, llama.cpp multiplies by the embedding, finds its adapter under the same name, and aborts
/// on the shape, which is the other way round (`build_lora_mm` in `llama-graph.cpp`).
pub(super) fn shares_embedding(base: &Gguf) -> Option<String> {
    base.tensor("output.weight").is_none().then(|| {
        "the base uses its token embedding as output head too, and llama.cpp cannot adapt one without the other".to_owned()
    })
}

fn finite(adapter: &Gguf, tensor: &TensorInfo) -> Result<()> {
    let values = adapter.tensor_values(tensor).map_err(|cause| {
        Error::refused(adapter.path(), format!("tensor {}: {cause}", tensor.name))
    })?;
    check_finite(adapter.path(), &tensor.name, &values)
}
