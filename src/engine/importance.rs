//! Importance of the columns of a model's weights on a text: the mean square of what each is multiplied with, as
//! llama-imatrix computes it. Quantizing then errs less where it matters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use unforget_quant::imatrix::Imatrix;

use super::model::Model;
use super::session::SessionOptions;
use crate::error::{Error, Result};
use crate::llama::{Batch, CancelToken, Context, ContextParams, KvType, Matrix, Observer, Token};

/// Sums of squares by weight and by its matrices: one, or one an expert.
type Sums = HashMap<String, Vec<Squares>>;

/// Sums of the squares of each column, and how many rows they are of.
#[derive(Debug, Clone, Default)]
struct Squares {
    columns: Vec<f64>,
    n_rows: u64,
}

impl Squares {
    fn add(&mut self, row: &[f32]) {
        self.columns.resize(row.len(), 0.0);
        self.n_rows += 1;
        for (sum, value) in self.columns.iter_mut().zip(row) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }

    /// Means of `n` columns; 1 for each of a matrix that nothing reached, as llama-quantize has it.
    fn means(&self, n: usize) -> impl Iterator<Item = f32> {
        let mean = |at: usize| match self.n_rows {
            0 => 1.0,
            rows => (self.columns[at] / rows as f64) as f32,
        };
        (0..n).map(mean)
    }
}

/// Runs `windows` through the model, each from an empty context, and sums up what the weights of its layers meet.
/// Of experts, each only what the model sent to it.
///
/// # Errors
/// [`Error::WrongModelKind`] for an embedder, [`Error::InvalidArgument`] without text, [`Error::Interrupted`],
/// [`Error::NonFinite`].
pub fn importance(
    model: &Model,
    windows: &[Vec<Token>],
    cancel: &CancelToken,
    mut progress: impl FnMut(usize, usize),
) -> Result<Imatrix> {
    model.require_generator()?;
    let longest = windows.iter().map(Vec::len).max().unwrap_or(0);
    if longest == 0 {
        return Err(Error::InvalidArgument {
            what: "text",
            value: String::new(),
            expected: "at least one token to run".to_owned(),
        });
    }
    let n = u32::try_from(longest).unwrap_or(u32::MAX);
    let threads = SessionOptions::default().threads();
    let params = ContextParams {
        n_ctx: n,
        n_batch: n,
        n_ubatch: n.min(512),
        n_seq_max: 1,
        n_threads: threads,
        n_threads_batch: threads,
        embeddings: false,
        kv_type: KvType::F16,
    };
    let sums = Arc::new(Mutex::new(Sums::new()));
    let layers = Layers(Arc::clone(&sums));
    let mut context = Context::observed(model.engine(), &params, Box::new(layers))?;
    let mut batch = Batch::default();
    for (number, window) in windows.iter().enumerate() {
        progress(number, windows.len());
        context.clear();
        batch.clear();
        for (position, &token) in window.iter().enumerate() {
            // Without an output its last layer would not be computed for a token.
            batch.push(token, position, 0, true);
        }
        context.decode(&mut batch, cancel)?;
    }
    drop(context);
    let sums = std::mem::take(&mut *sums.lock().unwrap_or_else(PoisonError::into_inner));
    to_imatrix(sums)
}

fn to_imatrix(sums: Sums) -> Result<Imatrix> {
    let mut imatrix = Imatrix::default();
    for (weight, matrices) in sums {
        let n = matrices
            .iter()
            .map(|matrix| matrix.columns.len())
            .max()
            .unwrap_or(0);
        let means: Vec<f32> = matrices.iter().flat_map(|matrix| matrix.means(n)).collect();
        if !means.iter().all(|mean| mean.is_finite()) {
            return Err(Error::NonFinite {
                place: format!("inputs of {weight}"),
            });
        }
        imatrix.set(weight, means);
    }
    Ok(imatrix)
}

/// Sees the weights of all layers.
struct Layers(Arc<Mutex<Sums>>);

impl Observer for Layers {
    fn wants(&mut self, weight: &str) -> bool {
        weight.starts_with("blk.") && weight.ends_with(".weight")
    }

    fn row(&mut self, weight: &str, matrix: Matrix, values: &[f32]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(weight) {
            all.insert(weight.to_owned(), vec![Squares::default(); matrix.of]);
        }
        if let Some(squares) = all.get_mut(weight).and_then(|all| all.get_mut(matrix.at)) {
            squares.add(values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_squares_by_hand() -> Result<()> {
        let sums = Arc::new(Mutex::new(Sums::new()));
        let mut layers = Layers(Arc::clone(&sums));
        assert!(layers.wants("blk.0.attn_q.weight"));
        assert!(!layers.wants("token_embd.weight") && !layers.wants("norm"));
        let single = Matrix { at: 0, of: 1 };
        layers.row("blk.0.attn_q.weight", single, &[1.0, -2.0]);
        layers.row("blk.0.attn_q.weight", single, &[3.0, 0.0]);
        layers.row("blk.0.ffn_up_exps.weight", Matrix { at: 1, of: 3 }, &[2.0]);
        let found = to_imatrix(std::mem::take(&mut *sums.lock().expect("a lock")))?;
        let mut expected = Imatrix::default();
        expected.set("blk.0.attn_q.weight", vec![5.0, 2.0]);
        expected.set("blk.0.ffn_up_exps.weight", vec![1.0, 4.0, 1.0]);
        assert_eq!(found, expected);
        let bad = Squares {
            columns: vec![f64::NAN],
            n_rows: 1,
        };
        let bad = Sums::from([("w".to_owned(), vec![bad])]);
        assert!(to_imatrix(bad).is_err());
        Ok(())
    }
}
