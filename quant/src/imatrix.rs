//! Importance matrices: how much each column of a weight matters, as the mean square of what it is
//! multiplied with over a text. Reads the GGUF form that llama-imatrix writes: for each weight
//! `NAME.in_sum2` of shape `[columns, matrices]` and `NAME.counts` of shape `[1, matrices]`. Making
//! one is left to the engine.

use std::collections::HashMap;
use std::path::Path;

use crate::gguf::{Gguf, TensorInfo};
use crate::{Error, Result};

/// The weights of columns, by tensor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imatrix {
    /// One weight a column, matrix after matrix.
    columns: HashMap<String, Vec<f32>>,
}

impl Imatrix {
    /// Reads a file of llama-imatrix.
    ///
    /// # Errors
    ///
    /// Those of [`Gguf::open`], and [`Error::Invalid`] where it is not an importance matrix or holds
    /// something else than sums of squares.
    pub fn open(path: &Path) -> Result<Self> {
        let file = Gguf::open(path)?;
        let invalid = |why: String| Error::invalid(path, why);
        let kind = file.metadata().str("general.type").unwrap_or("missing");
        if kind != "imatrix" {
            return Err(invalid(format!(
                "general.type is {kind:?}, not \"imatrix\"; give the GGUF file that llama-imatrix writes"
            )));
        }
        let mut columns = HashMap::new();
        for sums in file.tensors() {
            let Some(name) = sums.name.strip_suffix(".in_sum2") else {
                continue;
            };
            let counts = file
                .tensor(&format!("{name}.counts"))
                .ok_or_else(|| invalid(format!("tensor {name}.counts is missing")))?;
            let weights = means(&file.tensor_values(sums)?, &file.tensor_values(counts)?)
                .map_err(|why| invalid(format!("tensor {}: {why}", sums.name)))?;
            columns.insert(name.to_owned(), weights);
        }
        if columns.is_empty() {
            return Err(invalid(
                "it holds no tensor that ends in .in_sum2".to_owned(),
            ));
        }
        Ok(Self { columns })
    }

    /// Sets the weights of a tensor's columns, matrix after matrix.
    pub fn set(&mut self, tensor: impl Into<String>, weights: Vec<f32>) {
        self.columns.insert(tensor.into(), weights);
    }

    /// Whether there are weights for every column of `tensor`.
    pub fn covers(&self, tensor: &TensorInfo) -> bool {
        self.of(tensor, 0).is_some()
    }

    /// The weights of the columns of one matrix of `tensor`; `None` where there are none that fit.
    pub fn of(&self, tensor: &TensorInfo, matrix: usize) -> Option<&[f32]> {
        let all = self.columns.get(&tensor.name)?;
        let n = usize::try_from(tensor.n_per_row()).ok()?;
        let matrices: u64 = tensor.shape.iter().skip(2).product();
        if all.len() as u64 != tensor.n_per_row().checked_mul(matrices)? {
            return None;
        }
        all.get(matrix * n..(matrix + 1) * n)
    }
}

/// Sums divided by their counts; 1 for a matrix that was never used, as llama-quantize has it.
fn means(sums: &[f32], counts: &[f32]) -> Result<Vec<f32>, String> {
    let per_count = sums.len().checked_div(counts.len()).unwrap_or(0);
    if per_count == 0 || per_count * counts.len() != sums.len() {
        let (n, k) = (sums.len(), counts.len());
        return Err(format!("{n} sums cannot be shared out to {k} counts"));
    }
    let mean = |(i, sum): (usize, &f32)| {
        let count = counts[i / per_count];
        if count > 0.0 { sum / count } else { 1.0 }
    };
    let weights: Vec<f32> = sums.iter().enumerate().map(mean).collect();
    match weights.iter().find(|w| !w.is_finite() || **w < 0.0) {
        Some(wrong) => Err(format!("a mean square is {wrong}")),
        None => Ok(weights),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_sums_over_counts() {
        let weights = means(&[2.0, 4.0, 9.0, 6.0], &[2.0, 0.0]).unwrap();
        assert_eq!(weights, [1.0, 2.0, 1.0, 1.0]);
        assert!(means(&[1.0; 3], &[1.0; 2]).is_err());
        assert!(means(&[], &[]).is_err());
        assert!(means(&[f32::NAN], &[1.0]).is_err());
        assert!(means(&[-1.0], &[1.0]).is_err());
    }
}
