//! Root mean square norm: `y = w x / sqrt(mean(x^2) + epsilon)` (Zhang and Sennrich, arXiv 1910.07467).

use rayon::prelude::*;

use super::reduce::dot;

/// Norms each row of `weight.len()` values.
pub(super) fn forward(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let n = weight.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(n).zip(x.par_chunks(n)).for_each(|(y, x)| {
        let factor = factor(x, epsilon);
        for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
            *y = x * factor * w;
        }
    });
    y
}

/// Adds to `dx` what `dy`, the gradient behind the norm, means before it: with `r` the factor of the row,
/// `r w dy - x r^3 mean(w dy x)`.
pub(super) fn backward(dx: &mut [f32], dy: &[f32], x: &[f32], weight: &[f32], epsilon: f32) {
    let n = weight.len();
    dx.par_chunks_mut(n)
        .zip(dy.par_chunks(n).zip(x.par_chunks(n)))
        .for_each(|(dx, (dy, x))| {
            let factor = factor(x, epsilon);
            let along: f32 = dy
                .iter()
                .zip(x)
                .zip(weight)
                .map(|((d, x), w)| d * x * w)
                .sum();
            let pull = along * factor.powi(3) / n as f32;
            for (((dx, d), x), w) in dx.iter_mut().zip(dy).zip(x).zip(weight) {
                *dx += factor * w * d - x * pull;
            }
        });
}

fn factor(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + epsilon).sqrt()
}
