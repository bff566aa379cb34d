//! From normed hidden states to losses and back, some rows at a time: the logits of all rows at once would be the largest
//! matrix of the whole computation.

use rayon::prelude::*;

use super::base::Base;
use super::loss::{self, Likely};
use super::matmul::{View, ViewMut, product};

/// Rows of logits at a time: 12 MB with 49,152 tokens. More is not faster, less wakes threads too often.
const CHUNK: usize = 64;

/// What a row is to predict.
#[derive(Debug, Clone, Copy)]
pub enum Aim<'a> {
    /// This token: cross-entropy.
    Token(u32),
    /// What the base predicts: Kullback-Leibler divergence from it.
    Likely(&'a Likely),
    /// What the base predicts instead of this token.
    Instead(u32, &'a Likely),
}

/// A row of a pack that is scored.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// The row.
    pub row: usize,
    /// What is to come after it.
    pub aim: Aim<'a>,
    /// What its loss counts in the sum.
    pub weight: f32,
}

/// The logits of normed rows.
pub(super) fn logits(base: &Base, normed: &[f32]) -> Vec<f32> {
    let shape = base.shape();
    let mut logits = vec![0.0; normed.len() / shape.n_embd * shape.n_vocab];
    product(
        ViewMut::new(&mut logits, shape.n_vocab),
        1.0,
        View::new(normed, shape.n_embd),
        View::new(base.head(), shape.n_embd).t(),
    );
    logits
}

/// The losses of normed rows, and the gradient of their weighted sum.
pub(super) fn score(base: &Base, normed: &[f32], scored: &[Scored]) -> (Vec<f64>, Vec<f32>) {
    let (n_embd, n_vocab) = (base.shape().n_embd, base.shape().n_vocab);
    let mut losses = Vec::with_capacity(scored.len());
    let mut gradient = vec![0.0; normed.len()];
    let chunks = normed
        .chunks(CHUNK * n_embd)
        .zip(gradient.chunks_mut(CHUNK * n_embd))
        .zip(scored.chunks(CHUNK));
    for ((normed, gradient), scored) in chunks {
        let mut rows = logits(base, normed);
        losses.par_extend(rows.par_chunks_mut(n_vocab).zip(scored).map(
            |(row, one)| match one.aim {
                Aim::Token(token) => loss::cross_entropy(row, token, one.weight),
                Aim::Likely(likely) => loss::divergence(row, likely, one.weight),
                Aim::Instead(token, likely) => {
                    loss::masked_divergence(row, likely, token, one.weight)
                }
            },
        ));
        product(
            ViewMut::new(gradient, n_embd),
            1.0,
            View::new(&rows, n_vocab),
            View::new(base.head(), n_embd),
        );
    }
    (losses, gradient)
}
