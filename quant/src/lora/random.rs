//! Adapters of noise: what a measurement of harm must not be fooled by, and harm of a chosen size.

use std::path::Path;

use super::{LoraSummary, validate};
use crate::ggml::GgmlType;
use crate::gguf::{Gguf, Metadata, TensorInfo, Writer};
use crate::splitmix::SplitMix64;
use crate::{Error, Result};

/// The weights of a layer that are multiplied with, and so can be adapted.
const LINEAR: [&str; 7] = [
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
];

/// What [`write_random`] makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomAdapter {
    /// Rank of every pair.
    pub rank: u32,
    /// Expected Frobenius norm of each delta, as a share of its weight's.
    pub size: f32,
    /// What the random numbers start from.
    pub seed: u64,
}

/// Writes an adapter with random factors for every linear weight of the layers of `base` to `out`.
///
/// Both factors are uniform with the same spread `s`, so that the delta's expected squared norm is
/// `n_in * n_out * rank * s^4`; `s` is chosen a weight so that it is `size` times the weight's.
///
/// # Errors
///
/// [`Error::BaseMismatch`] where the base has no such weights, and those of reading and writing.
pub fn write_random(base: &Gguf, random: RandomAdapter, out: &Path) -> Result<LoraSummary> {
    let targets: Vec<&TensorInfo> = base.tensors().iter().filter(|t| is_linear(t)).collect();
    if targets.is_empty() {
        return Err(Error::BaseMismatch {
            adapter: out.to_owned(),
            base: base.path().to_owned(),
            reason: "the base has no linear weights under names that are known".to_owned(),
        });
    }
    let mut metadata = Metadata::new();
    metadata
        .set(
            "general.architecture",
            base.architecture().unwrap_or_default(),
        )
        .set("general.type", "adapter")
        .set("adapter.type", "lora")
        // Alpha over rank is 1.
        .set("adapter.lora.alpha", random.rank as f32)
        .set("general.name", format!("random {}", random.seed));
    let mut numbers = SplitMix64::new(random.seed);
    let mut writer = Writer::new(metadata);
    for weight in targets {
        let &[n_in, n_out] = weight.shape.as_slice() else {
            continue;
        };
        let values = base.tensor_values(weight)?;
        let square: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
        let rms = (square / values.len().max(1) as f64).sqrt();
        let spread = (f64::from(random.size) * rms / f64::from(random.rank).sqrt()).sqrt();
        let rank = u64::from(random.rank);
        for (suffix, shape) in [("lora_a", [n_in, rank]), ("lora_b", [rank, n_out])] {
            let bytes: Vec<u8> = (0..shape[0] * shape[1])
                .flat_map(|_| uniform(&mut numbers, spread).to_le_bytes())
                .collect();
            let name = format!("{}.{suffix}", weight.name);
            writer.tensor(&name, &shape, GgmlType::F32, bytes);
        }
    }
    writer.write(out)?;
    validate(&Gguf::open(out)?, base)
}

fn is_linear(tensor: &TensorInfo) -> bool {
    let kind = tensor
        .name
        .strip_prefix("blk.")
        .and_then(|rest| rest.split_once('.')?.1.strip_suffix(".weight"));
    tensor.shape.len() == 2 && kind.is_some_and(|kind| LINEAR.contains(&kind))
}

/// Uniform around 0 with this standard deviation.
fn uniform(numbers: &mut SplitMix64, deviation: f64) -> f32 {
    let unit = (numbers.next() >> 11) as f64 / (1u64 << 53) as f64;
    ((unit - 0.5) * 12f64.sqrt() * deviation) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread() {
        let mut numbers = SplitMix64::new(7);
        let n = 100_000;
        let square: f64 = (0..n)
            .map(|_| f64::from(uniform(&mut numbers, 0.25)).powi(2))
            .sum();
        assert!(((square / f64::from(n)).sqrt() - 0.25).abs() < 2e-3);
    }
}
