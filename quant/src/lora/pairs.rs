//! The factor pairs of a GGUF LoRA, by the weight they adapt. Complete and of matching rank; how
//! they fit a base is left to [`super::validate`].

use std::collections::BTreeMap;

use super::MAX_RANK;
use crate::gguf::{Gguf, TensorInfo};
use crate::{Error, Result};

/// Both factors of an adapted weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) a: &'a TensorInfo,
    pub(super) b: &'a TensorInfo,
    /// Columns and rows of the adapted weight.
    pub(super) n_in: u64,
    pub(super) n_out: u64,
    pub(super) rank: u32,
    /// For the token embedding A and B change places: A has a row for each token, and B is what
    /// makes an embedding of it (`llama-adapter.cpp`, `llm_build_inp_embd`).
    pub(super) flipped: bool,
}

/// Every pair of `adapter` by the name of the weight it adapts.
pub(super) fn pairs(adapter: &Gguf) -> Result<BTreeMap<&str, Pair<'_>>> {
    let refuse = |why: String| Error::refused(adapter.path(), why);
    let mut halves: BTreeMap<&str, (Option<&TensorInfo>, Option<&TensorInfo>)> = BTreeMap::new();
    for tensor in adapter.tensors() {
        let name = tensor.name.as_str();
        if let Some(target) = name.strip_suffix(".lora_a") {
            halves.entry(target).or_default().0 = Some(tensor);
        } else if let Some(target) = name.strip_suffix(".lora_b") {
            halves.entry(target).or_default().1 = Some(tensor);
        } else if name.ends_with("_norm.weight") {
            return Err(refuse(format!(
                "tensor {name} replaces a norm of the base, which llama.cpp ignores silently"
            )));
        } else {
            return Err(refuse(format!(
                "tensor {name} is neither .lora_a nor .lora_b"
            )));
        }
    }
    if halves.is_empty() {
        return Err(refuse("it holds no tensors".to_owned()));
    }
    halves
        .into_iter()
        .map(|(target, half)| Ok((target, pair(target, half).map_err(refuse)?)))
        .collect()
}

fn pair<'a>(
    target: &str,
    half: (Option<&'a TensorInfo>, Option<&'a TensorInfo>),
) -> Result<Pair<'a>, String> {
    let (a, b) = match half {
        (Some(a), Some(b)) => (a, b),
        (a, _) => {
            let missing = if a.is_none() { "lora_a" } else { "lora_b" };
            return Err(format!("{target} has no {missing}"));
        }
    };
    if target.contains(".lora_a") || target.contains(".lora_b") {
        return Err(format!("{target} is an adapter of an adapter"));
    }
    let flipped = target.ends_with("token_embd.weight");
    let (&[a_cols, a_rows], &[b_cols, b_rows]) = (a.shape.as_slice(), b.shape.as_slice()) else {
        return Err(format!(
            "{target} has factors of shape {:?} and {:?}; only matrices are supported",
            a.shape, b.shape
        ));
    };
    let (ranks_agree, n_in, n_out) = if flipped {
        (a_cols == b_cols, b_rows, a_rows)
    } else {
        (a_rows == b_cols, a_cols, b_rows)
    };
    if !ranks_agree {
        return Err(format!(
            "{target} has factors of different rank: lora_a is {:?}, lora_b is {:?}",
            a.shape, b.shape
        ));
    }
    let rank = u32::try_from(b_cols)
        .ok()
        .filter(|&rank| (1..=MAX_RANK).contains(&u64::from(rank)))
        .ok_or_else(|| format!("{target} has rank {b_cols}, not 1 to {MAX_RANK}"))?;
    Ok(Pair {
        a,
        b,
        n_in,
        n_out,
        rank,
        flipped,
    })
}
