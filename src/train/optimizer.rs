//! AdamW (Loshchilov and Hutter, arXiv 1711.05101), as PyTorch has it.

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Moments of every parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AdamW {
    /// Steps taken.
    pub(super) steps: usize,
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
}

impl AdamW {
    pub(super) fn new(n: usize) -> Self {
        Self {
            steps: 0,
            first: vec![0.0; n],
            second: vec![0.0; n],
        }
    }

    pub(super) fn step(&mut self, values: &mut [f32], gradients: &[f32], rate: f64, decay: f64) {
        self.steps += 1;
        let power = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction_1 = 1.0 - BETA_1.powi(power);
        let correction_2 = 1.0 - BETA_2.powi(power);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, &gradient), (first, second)) in values.iter_mut().zip(gradients).zip(moments) {
            let g = f64::from(gradient);
            let m = BETA_1 * f64::from(*first) + (1.0 - BETA_1) * g;
            let v = BETA_2 * f64::from(*second) + (1.0 - BETA_2) * g * g;
            let kept = f64::from(*value) * (1.0 - rate * decay);
            let change = rate * (m / correction_1) / ((v / correction_2).sqrt() + EPSILON);
            (*first, *second, *value) = (m as f32, v as f32, (kept - change) as f32);
        }
    }
}

/// Shortens `gradients` to `longest` where they are longer, and gives the length that they had.
pub(super) fn clip(gradients: &mut [f32], longest: f64) -> f64 {
    let square: f64 = gradients.iter().map(|&g| f64::from(g).powi(2)).sum();
    let length = square.sqrt();
    if length > longest {
        let factor = (longest / length) as f32;
        gradients.iter_mut().for_each(|g| *g *= factor);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let mut adam = AdamW::new(1);
        let mut value = [1.0];
        // The corrected moments of the first step are g and g^2, so the change is the rate.
        adam.step(&mut value, &[0.5], 0.1, 0.01);
        assert!((value[0] - (1.0 * 0.999 - 0.1)).abs() < 1e-6, "{value:?}");
        adam.step(&mut value, &[-1.0], 0.1, 0.0);
        let m = (0.9 * 0.05 - 0.1) / (1.0 - 0.81);
        let v: f32 = (0.999 * 0.00025 + 0.001) / (1.0 - 0.998_001);
        assert!(
            (value[0] - (0.899 - 0.1 * m / v.sqrt())).abs() < 1e-5,
            "{value:?}"
        );
    }

    #[test]
    fn only_long_gradients_are_shortened() {
        let mut gradients = [3.0, 4.0];
        assert!((clip(&mut gradients, 10.0) - 5.0).abs() < 1e-12);
        assert_eq!(gradients, [3.0, 4.0]);
        clip(&mut gradients, 1.0);
        assert!((gradients[0] - 0.6).abs() < 1e-6 && (gradients[1] - 0.8).abs() < 1e-6);
    }
}
