//! Orthogonal subspaces for adapters of several tasks (O-LoRA, Wang et al., arXiv 2310.14152): what a new adapter reads of
//! a layer's input is kept apart from what those beside it read.
//!
//! The penalty is `strength * sum |A' A^T|^2`, over the linear layers and over the entries of the product of the factor
//! `A'` of each adapter beside with the factor `A` that learns: the paper's penalty, where rows of A are columns. The
//! gradient is `2 strength (A A'^T) A'`. Unlike in the paper, those beside take no part in the forward pass: each adapter
//! works alone, and together they disturb each other little.

use super::compute::{Lora, Target};

/// What is kept apart from.
#[derive(Debug, Clone, PartialEq)]
pub struct Apart {
    /// Adapters of the same base.
    pub beside: Vec<Lora>,
    /// What the penalty counts.
    pub strength: f32,
}

impl Apart {
    /// Adds the gradient of the penalty at `lora`, and gives the penalty.
    pub(super) fn push(&self, lora: &Lora, gradients: &mut [f32]) -> f64 {
        let mut squares = 0.0;
        for layer in 0..lora.n_layers() {
            for target in Target::ALL {
                let Some((a, _)) = lora.factors(layer, target) else {
                    continue;
                };
                let n_in = a.len() / lora.rank();
                for other in &self.beside {
                    let Some((beside, _)) = other.factors(layer, target) else {
                        continue;
                    };
                    if let Some((da, _)) = lora.split(gradients, layer, target) {
                        squares += push_rows(a, beside, n_in, 2.0 * self.strength, da);
                    }
                }
            }
        }
        f64::from(self.strength) * squares
    }
}

/// Adds `factor (A A'^T) A'` to `da`, and gives the sum of the squares of `A A'^T`.
fn push_rows(a: &[f32], beside: &[f32], n_in: usize, factor: f32, da: &mut [f32]) -> f64 {
    let mut squares = 0.0;
    for (row, da) in a.chunks_exact(n_in).zip(da.chunks_exact_mut(n_in)) {
        for other in beside.chunks_exact(n_in) {
            let shared: f32 = row.iter().zip(other).map(|(x, y)| x * y).sum();
            squares += f64::from(shared).powi(2);
            let by = factor * shared;
            da.iter_mut().zip(other).for_each(|(d, y)| *d += by * y);
        }
    }
    squares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalty_and_gradient_of_known_numbers() {
        // A = (1 2 0; 0 1 1), A' = (2 0 1): A A'^T = (2; 1), squares 5.
        let (a, beside) = ([1.0, 2.0, 0.0, 0.0, 1.0, 1.0], [2.0, 0.0, 1.0]);
        let mut da = [0.0, 0.0, 0.0, 0.0, 0.0, 7.0];
        let squares = push_rows(&a, &beside, 3, 2.0 * 0.5, &mut da);
        assert!((squares - 5.0).abs() < 1e-9, "{squares}");
        assert_eq!(da, [4.0, 0.0, 2.0, 2.0, 0.0, 8.0]);
        let orthogonal = [0.0, 3.0, 0.0];
        let mut da = [0.0; 6];
        assert_eq!(
            push_rows(
                &[1.0, 0.0, 2.0, 5.0, 0.0, 1.0],
                &orthogonal,
                3,
                1.0,
                &mut da
            ),
            0.0
        );
        assert_eq!(da, [0.0; 6]);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let noise = |seed: u32, n: u32| -> Vec<f32> {
            (0..n).map(|i| ((seed + 7 * i) as f32).sin()).collect()
        };
        let (a, beside) = (noise(1, 3 * 5), noise(4, 2 * 5));
        let penalty = |a: &[f32]| 0.3 * push_rows(a, &beside, 5, 0.0, &mut [0.0; 15]);
        let mut gradient = [0.0; 15];
        push_rows(&a, &beside, 5, 2.0 * 0.3, &mut gradient);
        for (at, found) in gradient.into_iter().enumerate() {
            let moved = |by: f32| {
                let mut moved = a.clone();
                moved[at] += by;
                penalty(&moved)
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (f64::from(found) - slope).abs() < 1e-3,
                "{at}: {found} {slope}"
            );
        }
    }
}
