//! The gate of the feed-forward network: `silu(gate) * up` with `silu(x) = x / (1 + exp(-x))` (SwiGLU, Shazeer,
//! arXiv 2002.05202).

use rayon::prelude::*;

use super::exp::exp;

/// Values that a thread takes at once.
const CHUNK: usize = 4096;

pub(super) fn gated(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; gate.len()];
    out.par_chunks_mut(CHUNK)
        .zip(gate.par_chunks(CHUNK).zip(up.par_chunks(CHUNK)))
        .for_each(|(out, (gate, up))| {
            for ((out, g), u) in out.iter_mut().zip(gate).zip(up) {
                *out = g * sigmoid(*g) * u;
            }
        });
    out
}

/// Gradients of gate and up from `d`, the one of the result: with `s` the sigmoid,
/// `silu'(g) = s (1 + g (1 - s))`.
pub(super) fn gated_backward(gate: &[f32], up: &[f32], d: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut d_gate = vec![0.0; gate.len()];
    let mut d_up = vec![0.0; gate.len()];
    d_gate
        .par_chunks_mut(CHUNK)
        .zip(d_up.par_chunks_mut(CHUNK))
        .zip(gate.par_chunks(CHUNK).zip(up.par_chunks(CHUNK)))
        .zip(d.par_chunks(CHUNK))
        .for_each(|(((d_gate, d_up), (gate, up)), d)| {
            for i in 0..d.len() {
                let (g, s) = (gate[i], sigmoid(gate[i]));
                d_up[i] = d[i] * g * s;
                d_gate[i] = d[i] * up[i] * s * (1.0 + g * (1.0 - s));
            }
        });
    (d_gate, d_up)
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}
