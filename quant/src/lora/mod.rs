//! LoRA adapters on disk: PEFT folders to GGUF, and checking GGUF adapters against their base.
//!
//! A GGUF LoRA holds, for each target `T`, the factors `T.lora_a` of shape `[in, rank]` and
//! `T.lora_b` of shape `[rank, out]` in ggml's order, and one `adapter.lora.alpha`. llama.cpp adds
//! `scale * alpha / rank * B A` to the weight, with the plain scale where alpha is 0
//! (`llama-adapter.cpp`). Whatever cannot be said in that form is refused by name.
//!
//! Trust, states and scales are left to the registry and the guard.

mod arch;
mod config;
mod convert;
mod delta;
mod factor;
mod names;
mod pairs;
mod peft;
mod permute;
mod random;
mod scaled;
mod spectrum;
mod stats;
mod validate;
mod weights;

use serde::Serialize;

pub use convert::convert_peft;
pub use delta::{Delta, delta};
pub(crate) use pairs::{Pair, pairs};
pub use peft::write_peft;
pub use random::{RandomAdapter, write_random};
pub use scaled::{Place, write_scaled};
pub use stats::{AdapterStats, LayerStats, WeightStats, stats};
pub use validate::validate;

/// The largest rank accepted. Published adapters stay below 512, and a rank above the width of the
/// layer it adapts saves nothing; the bound keeps a damaged configuration from asking for memory.
pub const MAX_RANK: u64 = 4096;

/// The metadata key under which an adapter that was trained here says how, as JSON.
pub const TRAINING_KEY: &str = "unforget.train";

/// What an adapter is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoraSummary {
    /// The base's architecture, such as `llama`.
    pub architecture: String,
    /// The smallest rank of a pair.
    pub rank_min: u32,
    /// The largest rank of a pair.
    pub rank_max: u32,
    /// `adapter.lora.alpha` as stored; 0 means that the scale is used as it is.
    pub alpha: f32,
    /// How many tensors, two for each adapted weight.
    pub n_tensors: usize,
    /// The kinds of weight adapted, such as `attn_q`; sorted, without layer numbers.
    pub targets: Vec<String>,
}
