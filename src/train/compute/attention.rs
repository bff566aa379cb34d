//! Causal attention within each sequence of a pack, heads of q in groups that share one of k and v.
//!
//! The weights of the softmax are not kept: computing them again costs less than 2 % of a layer and saves
//! `n_heads * length` values a token.

use rayon::prelude::*;

use super::exp::exp;
use super::matmul::{View, ViewMut, add_product, product};
use super::pack::{Pack, Part, cut_mut};
use super::reduce;
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
    let mut out = vec![0.0; qkv.q.len()];
    let parts = pack.parts();
    cut_mut(parts, &mut out, shape.n_query())
        .into_par_iter()
        .zip(parts)
        .for_each(|(out, part)| {
            let seen = Seen::new(shape, part, qkv);
            let mut weights = vec![0.0; seen.n_own * seen.n_all];
            for head in 0..shape.n_heads {
                let heads = Heads::new(shape, head);
                seen.weights(&heads, &mut weights);
                product(
                    heads.query_mut(out),
                    1.0,
                    View::new(&weights, seen.n_all),
                    heads.key(&seen.v),
                );
            }
        });
    out
}

/// The gradients of q, k and v from `d_out`, the one of the result.
pub(super) fn backward(shape: &Shape, pack: &Pack, qkv: Qkv, d_out: &[f32]) -> Gradients {
    let n_key = shape.n_key();
    let mut gradients = Gradients {
        q: vec![0.0; qkv.q.len()],
        k: vec![0.0; qkv.k.len()],
        v: vec![0.0; qkv.v.len()],
    };
    let parts = pack.parts();
    let of_parts: Vec<_> = cut_mut(parts, &mut gradients.q, shape.n_query())
        .into_par_iter()
        .zip(parts)
        .map(|(dq, part)| {
            let seen = Seen::new(shape, part, qkv);
            seen.backward(shape, part.own(d_out, shape.n_query()), dq)
        })
        .collect();
    // One after the other: what is shared gets something of every sequence, always in the same order.
    for (part, (dk, dv)) in parts.iter().zip(of_parts) {
        part.add_all(&mut gradients.k, &dk, n_key);
        part.add_all(&mut gradients.v, &dv, n_key);
    }
    gradients
}

/// The rows of a part, and the keys and values that they see.
struct Seen<'a> {
    q: &'a [f32],
    k: Vec<f32>,
    v: Vec<f32>,
    n_own: usize,
    n_all: usize,
}

impl<'a> Seen<'a> {
    fn new(shape: &Shape, part: &Part, qkv: Qkv<'a>) -> Self {
        let n_own = part.own.len();
        Self {
            q: part.own(qkv.q, shape.n_query()),
            k: part.all(qkv.k, shape.n_key()),
            v: part.all(qkv.v, shape.n_key()),
            n_own,
            n_all: part.before.len() + n_own,
        }
    }

    /// The softmax of scaled scores over what each row may see: what came before, and itself.
    fn weights(&self, heads: &Heads, weights: &mut [f32]) {
        product(
            ViewMut::new(weights, self.n_all),
            heads.scale,
            heads.query(self.q),
            heads.key(&self.k).t(),
        );
        let before = self.n_all - self.n_own;
        for (at, row) in weights.chunks_exact_mut(self.n_all).enumerate() {
            let (seen, unseen) = row.split_at_mut(before + at + 1);
            unseen.fill(0.0);
            softmax(seen);
        }
    }

    /// Writes the gradient of q, and gives those of all keys and values.
    fn backward(&self, shape: &Shape, d_out: &[f32], dq: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
        let n = self.n_all;
        let mut weights = vec![0.0; self.n_own * n];
        let mut d_weights = vec![0.0; self.n_own * n];
        let mut dk = vec![0.0; self.k.len()];
        let mut dv = vec![0.0; self.v.len()];
        for head in 0..shape.n_heads {
            let heads = Heads::new(shape, head);
            self.weights(&heads, &mut weights);
            let d_out = heads.query(d_out);
            let by_key = View::new(&weights, n).t();
            add_product(heads.key_mut(&mut dv), 1.0, by_key, d_out);
            let values = heads.key(&self.v).t();
            product(ViewMut::new(&mut d_weights, n), 1.0, d_out, values);
            softmax_backward(&mut d_weights, &weights, n);
            let d_scores = View::new(&d_weights, n);
            let (q, k) = (heads.query(self.q), heads.key(&self.k));
            product(heads.query_mut(dq), heads.scale, d_scores, k);
            add_product(heads.key_mut(&mut dk), heads.scale, d_scores.t(), q);
        }
        (dk, dv)
    }
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
}

fn softmax(scores: &mut [f32]) {
    let top = reduce::max(scores);
    scores
        .iter_mut()
        .for_each(|score| *score = exp(*score - top));
    let factor = 1.0 / reduce::sum(scores, |weight| weight) as f32;
    scores.iter_mut().for_each(|weight| *weight *= factor);
}

/// Turns gradients of weights into those of scores: `w (dw - sum(w dw))` a row.
fn softmax_backward(d_weights: &mut [f32], weights: &[f32], n: usize) {
    for (d, w) in d_weights.chunks_exact_mut(n).zip(weights.chunks_exact(n)) {
        let mean = reduce::dot(d, w);
        d.iter_mut().zip(w).for_each(|(d, w)| *d = w * (*d - mean));
    }
}
