//! Importance of the columns of a model's weights on a text: the mean square of what each is multiplied with, as
//! llama-imatrix computes it. Quantizing then errs less where it matters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use unforget_quant::imatrix::Imatrix;

use super::model::Model;
use super::session::SessionOptions;
use crate::error::{Error, Result};
use crate::llama::{Batch, CancelToken, Context, ContextParams, Observer, Token};

/// Sums of squares by weight, and how many rows they are of.
type Sums = HashMap<String, (Vec<f64>, u64)>;

/// Runs `windows` through the model, each from an empty context, and sums up what the weights of its layers meet.
/// Weights of experts are left out: a text rarely reaches all of them.
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
    };
    let sums = Arc::new(Mutex::new(Sums::new()));
    let squares = Squares(Arc::clone(&sums));
    let mut context = Context::observed(model.engine(), &params, Box::new(squares))?;
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
    for (weight, (sums, n)) in sums {
        let means: Vec<f32> = sums.iter().map(|sum| (sum / n as f64) as f32).collect();
        if !means.iter().all(|mean| mean.is_finite()) {
            return Err(Error::NonFinite {
                place: format!("inputs of {weight}"),
            });
        }
        imatrix.set(weight, means);
    }
    Ok(imatrix)
}

struct Squares(Arc<Mutex<Sums>>);

impl Observer for Squares {
    fn wants(&mut self, weight: &str) -> bool {
        weight.starts_with("blk.") && weight.ends_with(".weight")
    }

    fn row(&mut self, weight: &str, values: &[f32]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(weight) {
            all.insert(weight.to_owned(), (vec![0.0; values.len()], 0));
        }
        if let Some((sums, n)) = all.get_mut(weight) {
            *n += 1;
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_squares_by_hand() -> Result<()> {
        let sums = Arc::new(Mutex::new(Sums::new()));
        let mut squares = Squares(Arc::clone(&sums));
        assert!(squares.wants("blk.0.attn_q.weight"));
        assert!(!squares.wants("token_embd.weight") && !squares.wants("norm"));
        squares.row("blk.0.attn_q.weight", &[1.0, -2.0]);
        squares.row("blk.0.attn_q.weight", &[3.0, 0.0]);
        let found = to_imatrix(std::mem::take(&mut *sums.lock().expect("a lock")))?;
        let mut expected = Imatrix::default();
        expected.set("blk.0.attn_q.weight", vec![5.0, 2.0]);
        assert_eq!(found, expected);
        let bad = Sums::from([("w".to_owned(), (vec![f64::NAN], 1))]);
        assert!(to_imatrix(bad).is_err());
        Ok(())
    }
}
