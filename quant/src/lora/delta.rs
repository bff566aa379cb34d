//! What an adapter adds to one weight, as plain numbers: for merging, and for checking conversions
//! against arithmetic.

use super::pairs::pairs;
use crate::Result;
use crate::gguf::Gguf;

/// The factors of an adapted weight. The weight becomes `W + scale * scaling * B A`.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// `rank` rows of `n_in` values.
    pub a: Vec<f32>,
    /// `n_out` rows of `rank` values.
    pub b: Vec<f32>,
    /// Columns of the weight.
    pub n_in: usize,
    /// Rows of the weight.
    pub n_out: usize,
    /// The inner size of the product.
    pub rank: usize,
    /// `adapter.lora.alpha`.
    pub alpha: f32,
}

impl Delta {
    /// `alpha / rank`, or 1 where alpha is 0: llama.cpp's factor at scale 1.
    pub fn scaling(&self) -> f32 {
        if self.alpha == 0.0 {
            1.0
        } else {
            self.alpha / self.rank as f32
        }
    }
}

/// What `adapter` adds to the weight called `target`; `None` where it leaves it alone.
///
/// # Errors
///
/// [`crate::Error::AdapterRefused`] where the file is not a complete LoRA, and
/// [`crate::Error::Convert`] where a factor's type is not one of numbers.
pub fn delta(adapter: &Gguf, target: &str) -> Result<Option<Delta>> {
    let pairs = pairs(adapter)?;
    let Some(pair) = pairs.get(target) else {
        return Ok(None);
    };
    let (a, b) = (
        adapter.tensor_values(pair.a)?,
        adapter.tensor_values(pair.b)?,
    );
    let (n_in, n_out, rank) = (pair.n_in as usize, pair.n_out as usize, pair.rank as usize);
    let (a, b) = if pair.flipped {
        // Stored as n_out rows of rank in A, and n_in rows of rank in B.
        let transposed = (0..rank).flat_map(|r| b.iter().skip(r).step_by(rank).copied());
        (transposed.collect(), a)
    } else {
        (a, b)
    };
    Ok(Some(Delta {
        a,
        b,
        n_in,
        n_out,
        rank,
        alpha: adapter.metadata().f32("adapter.lora.alpha").unwrap_or(0.0),
    }))
}
