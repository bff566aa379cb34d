//! The factors of an adapted weight as they lie in the adapter's file, read for a few rows at a
//! time, so that no adapter is held in memory whole.

use std::ops::Range;

use super::Source;
use super::product::add_product;
use crate::Result;
use crate::ggml;
use crate::gguf::{Gguf, TensorInfo};
use crate::lora::Pair;

/// What one adapter adds to one weight.
#[derive(Debug)]
pub(super) struct Factors<'a> {
    adapter: &'a Gguf,
    target: &'a str,
    pair: Pair<'a>,
    /// `scale * alpha / rank`, or `scale` where alpha is 0.
    factor: f32,
    /// The adapter's place in the merge.
    pub(super) number: u64,
    /// For TIES: values of smaller magnitude are trimmed.
    pub(super) threshold: f32,
}

/// What `source` adds to each weight that it adapts.
pub(super) fn of<'a>(source: &'a Source, number: u64) -> Result<Vec<Factors<'a>>> {
    let alpha = source
        .adapter
        .metadata()
        .f32("adapter.lora.alpha")
        .unwrap_or(0.0);
    let pairs = crate::lora::pairs(source.adapter)?;
    Ok(pairs
        .into_iter()
        .map(|(target, pair)| Factors {
            adapter: source.adapter,
            target,
            pair,
            factor: match alpha {
                0.0 => source.scale,
                alpha => source.scale * alpha / pair.rank as f32,
            },
            number,
            threshold: 0.0,
        })
        .collect())
}

impl Factors<'_> {
    pub(super) fn target(&self) -> &str {
        self.target
    }

    pub(super) fn n_in(&self) -> usize {
        self.pair.n_in as usize
    }

    pub(super) fn n_out(&self) -> usize {
        self.pair.n_out as usize
    }

    /// Adds the delta's `rows` to `values`.
    pub(super) fn add(&self, rows: Range<usize>, values: &mut [f32]) -> Result<()> {
        let rank = self.pair.rank as usize;
        // For the token embedding the file has the rows of the weight in A, and B transposed.
        let (b, a) = if self.pair.flipped {
            let b = self.rows(self.pair.a, rows)?;
            let stored = self.adapter.tensor_values(self.pair.b)?;
            let row = |r| stored.iter().skip(r).step_by(rank).copied();
            (b, (0..rank).flat_map(row).collect())
        } else {
            let b = self.rows(self.pair.b, rows)?;
            (b, self.adapter.tensor_values(self.pair.a)?)
        };
        add_product(values, &a, &b, self.factor, self.n_in());
        Ok(())
    }

    /// Some rows of a factor whose rows are of the length of the rank.
    fn rows(&self, tensor: &TensorInfo, rows: Range<usize>) -> Result<Vec<f32>> {
        let rank = self.pair.rank as usize;
        let bytes = self.adapter.tensor_bytes(tensor);
        let row = tensor.ty.bytes_for(tensor.n_per_row()).unwrap_or(0) as usize;
        let range = rows.start.saturating_mul(row)..rows.end.saturating_mul(row);
        let bytes = bytes.get(range).unwrap_or_default();
        ggml::dequantize(tensor.ty, bytes, rows.len() * rank)
    }
}
