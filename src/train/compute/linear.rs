//! A linear layer with an adapter on it: `y = W x + bias + s B (A x)`.

use super::base::Weight;
use super::lora::Factors;
use super::matmul::{View, ViewMut, add_product, product};

/// The result, and `A x` of each row, which the backward pass needs; empty without an adapter.
pub(super) struct Output {
    pub(super) y: Vec<f32>,
    pub(super) inner: Vec<f32>,
}

pub(super) fn forward(weight: &Weight, factors: Option<Factors>, x: &[f32]) -> Output {
    let rows = x.len() / weight.n_in;
    let mut y = vec![0.0; rows * weight.n_out];
    let input = View::new(x, weight.n_in);
    let matrix = View::new(&weight.values, weight.n_in);
    product(ViewMut::new(&mut y, weight.n_out), 1.0, input, matrix.t());
    if let Some(bias) = &weight.bias {
        for row in y.chunks_exact_mut(weight.n_out) {
            row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
        }
    }
    let mut inner = Vec::new();
    if let Some(Factors { a, b, rank, scale }) = factors {
        inner.resize(rows * rank, 0.0);
        product(
            ViewMut::new(&mut inner, rank),
            1.0,
            input,
            View::new(a, weight.n_in).t(),
        );
        add_product(
            ViewMut::new(&mut y, weight.n_out),
            scale,
            View::new(&inner, rank),
            View::new(b, rank).t(),
        );
    }
    Output { y, inner }
}

/// What the backward pass of a linear layer starts from.
pub(super) struct Backward<'a> {
    pub(super) weight: &'a Weight,
    pub(super) factors: Option<Factors<'a>>,
    /// The input of the forward pass, and [`Output::inner`].
    pub(super) x: &'a [f32],
    pub(super) inner: &'a [f32],
    /// The gradient of the result.
    pub(super) dy: &'a [f32],
}

impl Backward<'_> {
    /// Adds the gradient of the input to `dx`, and those of A and B to `gradients`:
    /// `dx += dy W + s (dy B) A`, `dA += s (dy B)^T x`, `dB += s dy^T (x A^T)`.
    pub(super) fn run(&self, dx: &mut [f32], gradients: Option<(&mut [f32], &mut [f32])>) {
        let &Self {
            weight,
            factors,
            x,
            inner,
            dy,
        } = self;
        let (n_in, n_out) = (weight.n_in, weight.n_out);
        let dy = View::new(dy, n_out);
        let matrix = View::new(&weight.values, n_in);
        add_product(ViewMut::new(dx, n_in), 1.0, dy, matrix);
        let (Some(Factors { a, b, rank, scale }), Some((da, db))) = (factors, gradients) else {
            return;
        };
        let mut d_inner = vec![0.0; inner.len()];
        product(
            ViewMut::new(&mut d_inner, rank),
            scale,
            dy,
            View::new(b, rank),
        );
        let d_inner = View::new(&d_inner, rank);
        add_product(ViewMut::new(dx, n_in), 1.0, d_inner, View::new(a, n_in));
        add_product(ViewMut::new(da, n_in), 1.0, d_inner.t(), View::new(x, n_in));
        add_product(
            ViewMut::new(db, rank),
            scale,
            dy.t(),
            View::new(inner, rank),
        );
    }
}
