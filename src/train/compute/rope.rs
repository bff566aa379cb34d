//! Rotary position embedding (Su et al., arXiv 2104.09864): pairs of a head's values turn with the position.

use rayon::prelude::*;

use super::shape::Shape;

/// Which way to turn: the transpose of a rotation is the rotation back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Forward,
    Back,
}

/// Cosines and sines of every pair at every position.
#[derive(Debug)]
pub(super) struct Rope {
    head_dim: usize,
    half: usize,
    neighbours: bool,
    /// `half` pairs of cosine and sine a position.
    turns: Vec<(f32, f32)>,
}

impl Rope {
    pub(super) fn new(
        shape: &Shape,
        base: f32,
        factors: Option<&[f32]>,
        n_positions: usize,
    ) -> Self {
        let half = shape.n_rot / 2;
        let mut turns = Vec::with_capacity(n_positions * half);
        for position in 0..n_positions {
            for i in 0..half {
                let exponent = -2.0 * i as f64 / shape.n_rot as f64;
                let frequency = f64::from(base).powf(exponent);
                let factor = factors
                    .and_then(|f| f.get(i))
                    .map_or(1.0, |&f| f64::from(f));
                let (sin, cos) = (position as f64 * frequency / factor).sin_cos();
                turns.push((cos as f32, sin as f32));
            }
        }
        Self {
            head_dim: shape.head_dim,
            half,
            neighbours: shape.architecture.rotates_neighbours(),
            turns,
        }
    }

    /// Turns the heads of each row, `width` values, by the row's position.
    pub(super) fn turn(&self, rows: &mut [f32], width: usize, positions: &[usize], turn: Turn) {
        rows.par_chunks_mut(width)
            .zip(positions.par_iter())
            .for_each(|(row, &position)| {
                let turns = &self.turns[position * self.half..][..self.half];
                for head in row.chunks_exact_mut(self.head_dim) {
                    for (i, &(cos, sin)) in turns.iter().enumerate() {
                        let (a, b) = if self.neighbours {
                            (2 * i, 2 * i + 1)
                        } else {
                            (i, i + self.half)
                        };
                        let sin = if turn == Turn::Forward { sin } else { -sin };
                        let (x, y) = (head[a], head[b]);
                        head[a] = x * cos - y * sin;
                        head[b] = x * sin + y * cos;
                    }
                }
            });
    }
}
