//! Elastic weight consolidation (Kirkpatrick et al., arXiv 1612.00796; on LoRA factors, arXiv 2512.17720): parameters that
//! an earlier version's answers depend on are held where they were.
//!
//! The penalty is `strength / 2 * sum F (v - v*)^2`, with `v*` the earlier parameters and `F` the diagonal of the empirical
//! Fisher information: the mean over rows of the squared gradient of `-ln q(answer)`.

use super::compute::{Aim, Keep, Lora, Pack, Scored, Transformer};
use super::example::Example;
use crate::engine::CancelToken;
use crate::{Error, Result};

/// What holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchor {
    values: Vec<f32>,
    importance: Vec<f32>,
    strength: f32,
}

impl Anchor {
    /// Computes the importance of each parameter of `lora` for the answers to `examples`.
    ///
    /// # Errors
    /// As [`Transformer::forward`]; [`Error::Interrupted`].
    pub fn of(
        transformer: &Transformer,
        lora: &Lora,
        examples: &[Example],
        strength: f32,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let mut importance = vec![0.0; lora.values.len()];
        for example in examples {
            if cancel.is_cancelled() {
                return Err(Error::Interrupted);
            }
            let pack = Pack::of(&[&example.tokens]);
            let scored: Vec<Scored> = (example.learnt.iter())
                .map(|&index| Scored {
                    row: pack.row(0, index - 1),
                    aim: Aim::Token(example.tokens[index]),
                    weight: 1.0,
                })
                .collect();
            let trace = transformer.forward(&pack, Some(lora), Keep::All)?;
            let mut gradients = vec![0.0; lora.values.len()];
            transformer.backward(trace, &scored, &mut gradients);
            for (sum, gradient) in importance.iter_mut().zip(&gradients) {
                *sum += gradient * gradient / examples.len() as f32;
            }
        }
        Ok(Self {
            values: lora.values.clone(),
            importance,
            strength,
        })
    }

    /// Adds the gradient of the penalty at `values`, and gives the penalty.
    pub(super) fn pull(&self, values: &[f32], gradients: &mut [f32]) -> f64 {
        let places = values.iter().zip(&self.values).zip(&self.importance);
        let mut penalty = 0.0;
        for (gradient, ((value, held), importance)) in gradients.iter_mut().zip(places) {
            let force = self.strength * importance * (value - held);
            *gradient += force;
            penalty += 0.5 * f64::from(force) * f64::from(value - held);
        }
        penalty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalty_and_gradient_of_known_numbers() {
        let anchor = Anchor {
            values: vec![1.0, 2.0, 3.0],
            importance: vec![0.5, 4.0, 0.0],
            strength: 10.0,
        };
        let mut gradients = [1.0, 0.0, 0.0];
        // 10 / 2 * (0.5 * 2^2 + 4 * 0.5^2 + 0 * 7^2)
        let penalty = anchor.pull(&[3.0, 1.5, 10.0], &mut gradients);
        assert!((penalty - 15.0).abs() < 1e-9, "{penalty}");
        assert_eq!(gradients, [11.0, -20.0, 0.0]);
    }
}
