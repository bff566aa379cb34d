//! Learning on the device: LoRA adapters trained on the dequantized GGUF base that they will run on.
//!
//! [`Rows`] are read and checked, [`Examples`] are their tokens in the model's own template, [`Replay`] is what the base
//! itself says. A [`Trainer`] learns the one and holds on to the other: its objective is
//! `CE(answers) + kl * KL(base || adapted)`, the second on the replay. [`compute`] is the transformer underneath, forward
//! and backward.
//!
//! Names, states and verdicts are left to [`crate::registry`] and [`crate::guard`].

mod anchor;
mod apart;
mod checkpoint;
pub mod compute;
mod dice;
mod earlier;
mod evaluation;
mod example;
mod memory;
mod optimizer;
mod output;
mod recipe;
mod replay;
mod rows;
mod trainer;

use std::path::Path;

use unforget_quant::gguf::Gguf;

pub use anchor::Anchor;
pub use apart::Apart;
pub use checkpoint::{Found, Kept, Origin};
pub use earlier::{Earlier, held_likely};
pub use evaluation::Evaluation;
pub use example::{Example, Examples};
pub use memory::Estimate;
pub use output::{write_gguf, write_peft};
pub use recipe::{Hold, Recipe};
pub use replay::{Kind, LeftOut, Maker, Objection, Replay, ReplayRow, Screen, Source};
pub use rows::{Duplicate, Row, Rows};
pub use trainer::{Material, StepReport, Trainer};

use compute::{Base, Transformer};

use crate::{Error, Result};

/// Dequantizes the model file at `path`, for sequences of at most `max_len` tokens.
///
/// # Errors
/// As [`Base::load`].
pub fn open(path: &Path, max_len: usize) -> Result<Transformer> {
    Ok(Transformer::new(Base::load(&Gguf::open(path)?)?, max_len))
}

/// Bytes that the weights of the model file at `path` take as floats.
///
/// # Errors
/// As [`Gguf::open`].
pub fn float_bytes(path: &Path) -> Result<u64> {
    let gguf = Gguf::open(path)?;
    let elements = gguf.tensors().iter().map(|tensor| tensor.n_elements());
    Ok(elements.fold(0, |sum: u64, n| sum.saturating_add(n.saturating_mul(4))))
}

/// Runs `work` on `n` threads.
///
/// # Errors
/// [`Error::Engine`] where they cannot be started.
pub fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(n)
        .build()
        .map_err(|error| Error::Engine(format!("cannot start {n} threads: {error}")))?;
    Ok(pool.install(work))
}
