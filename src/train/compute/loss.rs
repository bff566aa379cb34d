//! The two losses of a row of logits. Each gives its value and turns the logits into the gradient of `weight` times it.

use serde::{Deserialize, Serialize};

use super::exp::exp;
use super::reduce;

/// Tokens that are kept of a distribution of the base.
pub(super) const N_LIKELY: usize = 64;

/// What the base predicts: its likeliest tokens, and how likely all others are together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Likely {
    /// The likeliest tokens, the likeliest first.
    pub tokens: Vec<u32>,
    /// Their log-probabilities, in nats.
    pub log_probs: Vec<f32>,
    /// The probability of all others together.
    pub tail: f32,
}

impl Likely {
    /// Keeps the likeliest tokens of a row of logits.
    #[must_use]
    pub fn of(logits: &[f32]) -> Self {
        let mut order: Vec<u32> = (0..u32::try_from(logits.len()).unwrap_or(u32::MAX)).collect();
        let n = N_LIKELY.min(order.len());
        let value = |token: &u32| logits[*token as usize];
        let likelier = |a: &u32, b: &u32| value(b).total_cmp(&value(a)).then(a.cmp(b));
        if n < order.len() {
            order.select_nth_unstable_by(n, likelier);
        }
        order.truncate(n);
        // Room for a vocabulary at every token of a replay would be gigabytes.
        order.shrink_to_fit();
        order.sort_unstable_by(likelier);
        let total = log_sum(logits);
        let log_probs: Vec<f32> = order
            .iter()
            .map(|token| (f64::from(value(token)) - total) as f32)
            .collect();
        let head: f64 = log_probs.iter().map(|&p| f64::from(p).exp()).sum();
        Self {
            tokens: order,
            log_probs,
            tail: (1.0 - head).max(0.0) as f32,
        }
    }
}

impl Likely {
    /// The distribution of what comes instead of `token`: without it, the rest adding up to 1. `None` where next to
    /// nothing is left.
    fn without(&self, token: u32) -> Option<Self> {
        let Some(at) = self.tokens.iter().position(|&one| one == token) else {
            // It is one of the many that count as one; what it had of them is less than the least that is listed.
            return Some(self.clone());
        };
        let mut rest = self.clone();
        rest.tokens.remove(at);
        let left = 1.0 - f64::from(rest.log_probs.remove(at)).exp();
        if left < TAIL_FLOOR {
            return None;
        }
        let shift = left.ln() as f32;
        rest.log_probs.iter_mut().for_each(|log_p| *log_p -= shift);
        rest.tail = (f64::from(rest.tail) / left) as f32;
        Some(rest)
    }
}

/// How a token fits a row of logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::train) struct Fit {
    /// Cross-entropy, in nats.
    pub(in crate::train) loss: f64,
    /// Whether no other is as likely.
    pub(in crate::train) likeliest: bool,
}

pub(super) fn fit(logits: &[f32], token: u32) -> Fit {
    let value = logits[token as usize];
    let others = logits
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != token as usize);
    Fit {
        loss: log_sum(logits) - f64::from(value),
        likeliest: others.fold(true, |so_far, (_, &other)| so_far && other < value),
    }
}

/// Cross-entropy `-ln q(token)`. Gradient: `q`, less 1 at the token.
pub(super) fn cross_entropy(logits: &mut [f32], token: u32, weight: f32) -> f64 {
    let total = log_sum(logits);
    let loss = total - f64::from(logits[token as usize]);
    to_probabilities(logits, total, weight);
    logits[token as usize] -= weight;
    loss
}

/// Kullback-Leibler divergence of the adapted `q` from the base's `p`, where all tokens but the likeliest count as one:
/// `sum p ln(p / q)`. It is a lower bound of the whole divergence (data processing inequality). Gradient: `q - p` at the
/// likeliest tokens, `q (1 - p_tail / q_tail)` at others.
pub(super) fn divergence(logits: &mut [f32], likely: &Likely, weight: f32) -> f64 {
    let total = log_sum(logits);
    let mut loss = 0.0;
    let mut head = 0.0;
    for (&token, &log_p) in likely.tokens.iter().zip(&likely.log_probs) {
        let (log_p, log_q) = (f64::from(log_p), f64::from(logits[token as usize]) - total);
        loss += log_p.exp() * (log_p - log_q);
        head += log_q.exp();
    }
    let p_tail = f64::from(likely.tail);
    // Both tails are differences from 1: below the rounding of the sums they say nothing.
    let q_tail = (1.0 - head).max(TAIL_FLOOR);
    let p_tail = if p_tail < TAIL_FLOOR { 0.0 } else { p_tail };
    if p_tail > 0.0 {
        loss += p_tail * (p_tail / q_tail).ln();
    }
    let kept: Vec<f32> = likely
        .tokens
        .iter()
        .zip(&likely.log_probs)
        .map(|(&token, &log_p)| {
            let q = (f64::from(logits[token as usize]) - total).exp();
            (f64::from(weight) * (q - f64::from(log_p).exp())) as f32
        })
        .collect();
    let others = (f64::from(weight) * (1.0 - p_tail / q_tail)) as f32;
    to_probabilities(logits, total, others);
    for (&token, kept) in likely.tokens.iter().zip(kept) {
        logits[token as usize] = kept;
    }
    loss
}

/// [`divergence`] over all tokens but the one that is learnt, of both distributions without it (Mask-the-Target, arXiv
/// 2605.29498): learning the answer is free to move its probability, what the base holds of the others is kept. Gradient:
/// none at the token.
pub(super) fn masked_divergence(
    logits: &mut [f32],
    likely: &Likely,
    token: u32,
    weight: f32,
) -> f64 {
    let Some(others) = likely.without(token) else {
        logits.fill(0.0);
        return 0.0;
    };
    logits[token as usize] = f32::NEG_INFINITY;
    let loss = divergence(logits, &others, weight);
    logits[token as usize] = 0.0;
    loss
}

/// Below this a difference from 1 is rounding.
const TAIL_FLOOR: f64 = 1e-6;

/// `ln sum exp`.
fn log_sum(logits: &[f32]) -> f64 {
    let top = reduce::max(logits);
    f64::from(top) + reduce::sum(logits, |z| exp(z - top)).ln()
}

fn to_probabilities(logits: &mut [f32], log_sum: f64, factor: f32) {
    let log_sum = log_sum as f32;
    for z in logits {
        *z = factor * exp(*z - log_sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits() -> Vec<f32> {
        (0..200).map(|i| 3.0 * (i as f32 * 0.7).sin()).collect()
    }

    /// Compares a gradient with differences of the loss, token by token.
    fn check(loss: impl Fn(&mut [f32]) -> f64) {
        let mut gradient = logits();
        loss(&mut gradient);
        for token in [0, 2, 7, 50, 131, 199] {
            let at = |change: f32| {
                let mut moved = logits();
                moved[token] += change;
                loss(&mut moved)
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            let found = f64::from(gradient[token]);
            assert!((found - slope).abs() < 1e-5, "{token}: {found} {slope}");
        }
    }

    #[test]
    fn cross_entropy_of_known_numbers() {
        let mut row = [0.0, 1.0_f32.ln(), 2.0_f32.ln()];
        let loss = cross_entropy(&mut row, 2, 3.0);
        assert!((loss - 2.0_f64.ln()).abs() < 1e-6);
        for (found, expected) in row.iter().zip([0.75, 0.75, -1.5]) {
            assert!((found - expected).abs() < 1e-6, "{row:?}");
        }
        check(|row| cross_entropy(row, 7, 1.0));
    }

    #[test]
    fn a_token_fits_where_no_other_is_as_likely() {
        let row = [0.0, 1.0, 0.5];
        let loss = (1.0_f64 + 1.0_f64.exp() + 0.5_f64.exp()).ln() - 1.0;
        assert!(fit(&row, 1).likeliest && !fit(&row, 2).likeliest);
        assert!((fit(&row, 1).loss - loss).abs() < 1e-6);
        assert!(!fit(&[1.0, 1.0], 0).likeliest);
    }

    #[test]
    fn divergence_of_known_numbers() {
        // p = (1/2, 1/4 | 1/4), q = (1/4, 1/4 | 1/2).
        let likely = Likely {
            tokens: vec![0, 1],
            log_probs: vec![0.5_f32.ln(), 0.25_f32.ln()],
            tail: 0.25,
        };
        let mut row = [0.0; 4];
        let loss = divergence(&mut row, &likely, 1.0);
        assert!((loss - 0.25 * 2.0_f64.ln()).abs() < 1e-6, "{loss}");
        for (found, expected) in row.iter().zip([-0.25, 0.0, 0.125, 0.125]) {
            assert!((found - expected).abs() < 1e-6, "{row:?}");
        }
    }

    #[test]
    fn masked_divergence_of_known_numbers() {
        // Without the first: p = (1/2, 1/2), q = (1/4, 3/4), whatever both say of the first.
        let likely = Likely {
            tokens: vec![0, 1],
            log_probs: vec![0.8_f32.ln(), 0.1_f32.ln()],
            tail: 0.1,
        };
        let mut row = [7.0, 0.0, 3.0_f32.ln()];
        let loss = masked_divergence(&mut row, &likely, 0, 2.0);
        let expected = 0.5 * 2.0_f64.ln() + 0.5 * (2.0_f64 / 3.0).ln();
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
        for (found, expected) in row.iter().zip([0.0, -0.5, 0.5]) {
            assert!((found - expected).abs() < 1e-5, "{row:?}");
        }
        let sure = Likely {
            tokens: vec![0],
            log_probs: vec![0.0],
            tail: 0.0,
        };
        let mut row = [1.0, 2.0, 3.0];
        assert_eq!(masked_divergence(&mut row, &sure, 0, 1.0), 0.0);
        assert_eq!(row, [0.0; 3]);
        let other: Vec<f32> = (0..200).map(|i| 2.0 * (i as f32).cos()).collect();
        let likely = Likely::of(&other);
        check(|row| masked_divergence(row, &likely, 7, 1.0));
        check(|row| masked_divergence(row, &likely, likely.tokens[0], 1.0));
    }

    #[test]
    fn divergence_from_itself_is_none_and_its_gradient_is_right() {
        let own = Likely::of(&logits());
        assert_eq!(own.tokens.len(), N_LIKELY);
        assert!(own.log_probs.is_sorted_by(|a, b| a >= b));
        let mut row = logits();
        assert!(divergence(&mut row, &own, 1.0).abs() < 1e-6);
        assert!(row.iter().all(|d| d.abs() < 1e-6), "{row:?}");
        let other: Vec<f32> = (0..200).map(|i| 2.0 * (i as f32).cos()).collect();
        let likely = Likely::of(&other);
        assert!(likely.tail > 0.01);
        check(|row| divergence(row, &likely, 1.0));
    }
}
