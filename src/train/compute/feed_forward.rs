//! The gate of the feed-forward network: `act(gate) * up` (Shazeer, "GLU variants improve transformer", arXiv 2002.05202).
//!
//! Both activations are `x s(k(x))` with `s` the sigmoid: `k(x) = x` is SiLU; `k(x) = 2 sqrt(2 / pi) (x + 0.044715 x^3)` is
//! GELU with tanh (Hendrycks and Gimpel, arXiv 1606.08415), as `(1 + tanh(u)) / 2 = s(2 u)`.

use rayon::prelude::*;

use super::exp::exp;

/// Values that a thread takes at once.
const CHUNK: usize = 4096;

/// The activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Silu,
    Gelu,
}

impl Gate {
    pub(super) fn forward(self, gate: &[f32], up: &[f32]) -> Vec<f32> {
        match self {
            Self::Silu => forward(gate, up, |x| (x, 1.0)),
            Self::Gelu => forward(gate, up, gelu),
        }
    }

    /// Gradients of gate and up from `d`, the one of the result.
    pub(super) fn backward(self, gate: &[f32], up: &[f32], d: &[f32]) -> (Vec<f32>, Vec<f32>) {
        match self {
            Self::Silu => backward(gate, up, d, |x| (x, 1.0)),
            Self::Gelu => backward(gate, up, d, gelu),
        }
    }
}

/// `k` of GELU and its slope.
#[inline]
fn gelu(x: f32) -> (f32, f32) {
    const CUBIC: f32 = 0.044_715;
    let factor = 2.0 * (2.0 / std::f32::consts::PI).sqrt();
    (
        factor * (x + CUBIC * x * x * x),
        factor * (1.0 + 3.0 * CUBIC * x * x),
    )
}

fn forward(gate: &[f32], up: &[f32], k: impl Fn(f32) -> (f32, f32) + Sync) -> Vec<f32> {
    let mut out = vec![0.0; gate.len()];
    out.par_chunks_mut(CHUNK)
        .zip(gate.par_chunks(CHUNK).zip(up.par_chunks(CHUNK)))
        .for_each(|(out, (gate, up))| {
            for ((out, &g), u) in out.iter_mut().zip(gate).zip(up) {
                *out = g * sigmoid(k(g).0) * u;
            }
        });
    out
}

/// The slope of `x s(k)` is `s (1 + x k' (1 - s))`.
fn backward(
    gate: &[f32],
    up: &[f32],
    d: &[f32],
    k: impl Fn(f32) -> (f32, f32) + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let mut d_gate = vec![0.0; gate.len()];
    let mut d_up = vec![0.0; gate.len()];
    d_gate
        .par_chunks_mut(CHUNK)
        .zip(d_up.par_chunks_mut(CHUNK))
        .zip(gate.par_chunks(CHUNK).zip(up.par_chunks(CHUNK)))
        .zip(d.par_chunks(CHUNK))
        .for_each(|(((d_gate, d_up), (gate, up)), d)| {
            let outs = d_gate.iter_mut().zip(d_up);
            for ((out, (&g, &u)), &d) in outs.zip(gate.iter().zip(up)).zip(d) {
                let (k, slope) = k(g);
                let s = sigmoid(k);
                *out.0 = d * u * s * (1.0 + g * slope * (1.0 - s));
                *out.1 = d * g * s;
            }
        });
    (d_gate, d_up)
}

#[inline]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_and_their_slopes() {
        // silu(1) = 1 / (1 + e^-1); gelu(1) = (1 + tanh(0.7978845608 * 1.044715)) / 2
        for (gate, expected) in [(Gate::Silu, 0.731_058_6), (Gate::Gelu, 0.841_192)] {
            let value = |x: f32| gate.forward(&[x], &[2.0])[0];
            assert!((value(1.0) - 2.0 * expected).abs() < 1e-5, "{gate:?}");
            for x in [-2.0_f32, -0.3, 0.0, 0.7, 3.0] {
                let (d_gate, d_up) = gate.backward(&[x], &[2.0], &[1.0]);
                let slope = (value(x + 1e-2) - value(x - 1e-2)) / 2e-2;
                assert!(
                    (d_gate[0] - slope).abs() < 1e-3,
                    "{gate:?} {x}: {d_gate:?} {slope}"
                );
                assert!((d_up[0] - value(x) / 2.0).abs() < 1e-6);
            }
        }
    }
}
