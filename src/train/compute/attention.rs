//! Causal attention of each sequence of a pack, heads of q in groups that share one of k and v.
//!
//! The weights of the softmax are not kept: computing them again costs less than 2 % of a layer and saves
//! `n_heads * length` values a token.

use rayon::prelude::*;

use super::matmul::{View, ViewMut, add_product, product};
use super::pack::Pack;
use super::shape::Shape;

/// Rotated queries and keys, and values, in rows of all their heads.
#[derive(Clone, Copy)]
pub(super) struct Qkv<'a> {
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
}

/// Gradients of the three.
pub(super) struct Gradients {
    pub(super) q: Vec<f32>,
    pub(super) k: Vec<f32>,
    pub(super) v: Vec<f32>,
}

/// The weighted values, in rows of all query heads.
pub(super) fn forward(shape: &Shape, pack: &Pack, qkv: Qkv) -> Vec<f32> {
    let (n_query, n_key) = (shape.n_query(), shape.n_key());
    let mut out = vec![0.0; qkv.q.len()];
    pack.cut_mut(&mut out, n_query)
        .into_par_iter()
        .zip(pack.cut(qkv.q, n_query))
        .zip(
            pack.cut(qkv.k, n_key)
                .into_par_iter()
                .zip(pack.cut(qkv.v, n_key)),
        )
        .for_each(|((out, q), (k, v))| {
            let mut weights = vec![0.0; (out.len() / n_query).pow(2)];
            for head in 0..shape.n_heads {
                let heads = Heads::new(shape, head);
                heads.weights(&mut weights, q, k);
                let n = out.len() / n_query;
                product(
                    heads.query_mut(out),
                    1.0,
                    View::new(&weights, n),
                    heads.key(v),
                );
            }
        });
    out
}

/// The gradients of q, k and v from `d_out`, the one of the result.
pub(super) fn backward(shape: &Shape, pack: &Pack, qkv: Qkv, d_out: &[f32]) -> Gradients {
    let (n_query, n_key) = (shape.n_query(), shape.n_key());
    let mut gradients = Gradients {
        q: vec![0.0; qkv.q.len()],
        k: vec![0.0; qkv.k.len()],
        v: vec![0.0; qkv.v.len()],
    };
    let inputs = (
        pack.cut(qkv.q, n_query),
        pack.cut(qkv.k, n_key),
        pack.cut(qkv.v, n_key),
        pack.cut(d_out, n_query),
    );
    let outputs = (
        pack.cut_mut(&mut gradients.q, n_query),
        pack.cut_mut(&mut gradients.k, n_key),
        pack.cut_mut(&mut gradients.v, n_key),
    );
    (inputs.into_par_iter(), outputs.into_par_iter())
        .into_par_iter()
        .for_each(|((q, k, v, d_out), (dq, dk, dv))| {
            let n = d_out.len() / n_query;
            let mut weights = vec![0.0; n * n];
            let mut d_weights = vec![0.0; n * n];
            for head in 0..shape.n_heads {
                let heads = Heads::new(shape, head);
                heads.weights(&mut weights, q, k);
                let d_out = heads.query(d_out);
                add_product(heads.key_mut(dv), 1.0, View::new(&weights, n).t(), d_out);
                product(
                    ViewMut::new(&mut d_weights, n),
                    1.0,
                    d_out,
                    heads.key(v).t(),
                );
                softmax_backward(&mut d_weights, &weights, n);
                let d_scores = View::new(&d_weights, n);
                product(heads.query_mut(dq), heads.scale, d_scores, heads.key(k));
                add_product(heads.key_mut(dk), heads.scale, d_scores.t(), heads.query(q));
            }
        });
    gradients
}

/// The columns of a query head and of the key head that it uses.
struct Heads {
    query: usize,
    key: usize,
    n_query: usize,
    n_key: usize,
    dim: usize,
    /// `1 / sqrt(dim)`.
    scale: f32,
}

impl Heads {
    fn new(shape: &Shape, head: usize) -> Self {
        let dim = shape.head_dim;
        Self {
            query: head * dim,
            key: head / (shape.n_heads / shape.n_kv_heads) * dim,
            n_query: shape.n_query(),
            n_key: shape.n_key(),
            dim,
            scale: 1.0 / (dim as f32).sqrt(),
        }
    }

    fn query<'a>(&self, rows: &'a [f32]) -> View<'a> {
        View::columns(rows, self.n_query, self.query, self.dim)
    }

    fn query_mut<'a>(&self, rows: &'a mut [f32]) -> ViewMut<'a> {
        ViewMut::columns(rows, self.n_query, self.query, self.dim)
    }

    fn key<'a>(&self, rows: &'a [f32]) -> View<'a> {
        View::columns(rows, self.n_key, self.key, self.dim)
    }

    fn key_mut<'a>(&self, rows: &'a mut [f32]) -> ViewMut<'a> {
        ViewMut::columns(rows, self.n_key, self.key, self.dim)
    }

    /// The softmax of scaled scores over what each token may see: itself and what came before.
    fn weights(&self, weights: &mut [f32], q: &[f32], k: &[f32]) {
        let n = q.len() / self.n_query;
        product(
            ViewMut::new(weights, n),
            self.scale,
            self.query(q),
            self.key(k).t(),
        );
        for (at, row) in weights.chunks_exact_mut(n).enumerate() {
            let (seen, unseen) = row.split_at_mut(at + 1);
            unseen.fill(0.0);
            let top = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for score in seen.iter_mut() {
                *score = (*score - top).exp();
                sum += *score;
            }
            seen.iter_mut().for_each(|weight| *weight /= sum);
        }
    }
}

/// Turns gradients of weights into those of scores: `w (dw - sum(w dw))` a row.
fn softmax_backward(d_weights: &mut [f32], weights: &[f32], n: usize) {
    for (d, w) in d_weights.chunks_exact_mut(n).zip(weights.chunks_exact(n)) {
        let mean: f32 = d.iter().zip(w).map(|(d, w)| d * w).sum();
        d.iter_mut().zip(w).for_each(|(d, w)| *d = w * (*d - mean));
    }
}
