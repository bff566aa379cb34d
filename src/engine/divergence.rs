//! Two rows of logits compared: Kullback-Leibler divergence, agreement on the likeliest token, and the negative
//! log-likelihood of a token.
//!
//! A guard looks at thousands of rows with tens of thousands of entries each, so the loops are written for the
//! compiler to vectorize: plain lanes, no branches, and an exponential of our own.

/// Lanes that are summed apart, so that additions do not wait for each other: one AVX-512 register.
const LANES: usize = 16;
/// Entries summed in single precision before they are added up in double: rounding stays near 1e-6 relative.
const BLOCK: usize = 1024;

/// The logarithm of the sum of exponentials of a row, and its largest logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalizer {
    /// ln sum exp(x).
    pub log_sum: f64,
    /// The largest logit.
    pub max: f32,
}

impl Normalizer {
    /// Of a row of logits. `None` if any of them is infinite or NaN, or there are none.
    #[must_use]
    pub fn of(logits: &[f32]) -> Option<Self> {
        let max = largest(logits)?;
        let sum = sum_blocks(logits, logits, |x, _| exp(x - max));
        Some(Self {
            log_sum: f64::from(max) + sum.ln(),
            max,
        })
    }

    /// Log-probability of the entry with this logit.
    #[must_use]
    pub fn log_probability(&self, logit: f32) -> f64 {
        f64::from(logit) - self.log_sum
    }

    /// Index of the likeliest entry of the row that this is the normalizer of, the first of equals.
    #[must_use]
    pub fn top(&self, logits: &[f32]) -> Option<usize> {
        index_of(logits, self.max)
    }
}

/// How far two distributions over the next token are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Divergence {
    /// KL(base || adapted) in nats.
    pub kl: f64,
    /// Whether both hold the same token for the likeliest.
    pub same_top: bool,
    /// Normalizer of the base's row.
    pub base: Normalizer,
    /// Normalizer of the adapted row.
    pub adapted: Normalizer,
}

/// Compares two rows over the same vocabulary, base first. `None` if they differ in length or hold a number that is
/// not finite.
///
/// KL(p || q) = sum p_i (a_i - b_i) - (ln Z_a - ln Z_b), with p = softmax(a) and q = softmax(b) (Kullback and Leibler
/// 1951). Equal rows give exactly 0.
#[must_use]
pub fn compare(base: &[f32], adapted: &[f32]) -> Option<Divergence> {
    if base.len() != adapted.len() {
        return None;
    }
    let p = Normalizer::of(base)?;
    let q = Normalizer::of(adapted)?;
    let weighted = sum_blocks(base, adapted, |a, b| exp(a - p.max) * (a - b));
    let sum = (p.log_sum - f64::from(p.max)).exp();
    // Rounding can leave a hair below zero, where KL cannot be.
    let kl = (weighted / sum - (p.log_sum - q.log_sum)).max(0.0);
    Some(Divergence {
        kl,
        same_top: index_of(base, p.max) == index_of(adapted, q.max),
        base: p,
        adapted: q,
    })
}

/// Index of the largest logit, the first of equals; `None` if any is not finite.
#[must_use]
pub fn top(logits: &[f32]) -> Option<usize> {
    largest(logits).and_then(|max| index_of(logits, max))
}

/// Negative log-likelihood of entry `target`, in nats. `None` if there is no such entry, or a logit is not finite.
#[must_use]
pub fn nll(logits: &[f32], target: usize) -> Option<f64> {
    let logit = *logits.get(target)?;
    Some(-Normalizer::of(logits)?.log_probability(logit))
}

fn index_of(logits: &[f32], value: f32) -> Option<usize> {
    logits.iter().position(|&logit| logit == value)
}

/// The largest entry, if all are finite.
fn largest(logits: &[f32]) -> Option<f32> {
    let mut max = [f32::NEG_INFINITY; LANES];
    // x * 0 is 0 for a number and NaN for what is not finite; `f32::max` would skip a NaN silently.
    let mut poison = [0f32; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            max[lane] = if chunk[lane] > max[lane] {
                chunk[lane]
            } else {
                max[lane]
            };
            poison[lane] += chunk[lane] * 0.0;
        }
    }
    for &x in rest {
        max[0] = max[0].max(x);
        poison[0] += x * 0.0;
    }
    let poisoned = poison.iter().sum::<f32>().is_nan();
    let max = max.into_iter().fold(f32::NEG_INFINITY, f32::max);
    (!poisoned && max.is_finite()).then_some(max)
}

/// Sum of `term` over pairs: single precision in blocks, double between them.
fn sum_blocks(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f64 {
    let mut total = 0f64;
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let mut lanes = [0f32; LANES];
        let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest: f32 = a_chunks
            .remainder()
            .iter()
            .zip(b_chunks.remainder())
            .map(|(&a, &b)| term(a, b))
            .sum();
        for (a, b) in a_chunks.zip(b_chunks) {
            for lane in 0..LANES {
                lanes[lane] += term(a[lane], b[lane]);
            }
        }
        total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest);
    }
    total
}

/// e to the power of `x`, for `x` at most 0. The relative error is below 3e-7 (checked over the range by a test);
/// what is below 1.2e-38, the smallest normal number, is about that.
///
/// 2^(n + f) with n whole and f in [-1/2, 1/2]: n goes into the exponent bits, 2^f is its Taylor series, whose first
/// term left out is below (ln 2 / 2)^7 / 7! = 1.2e-7.
#[inline]
fn exp(x: f32) -> f32 {
    /// Below this the result is no normal number any more.
    const LOWEST: f32 = -87.0;
    /// 1.5 * 2^23: adding and subtracting it rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first exact in few bits, so that n * LN2_HIGH is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > LOWEST { x } else { LOWEST };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut sum = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * r + coefficient;
    }
    // The low bits of `shifted` are n; shifted into the exponent they scale by 2^n.
    let exponent = shifted.to_bits().wrapping_shl(23);
    f32::from_bits(sum.to_bits().wrapping_add(exponent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reference(a: &[f32], b: &[f32]) -> f64 {
        let log_softmax = |row: &[f32]| -> Vec<f64> {
            let max = row.iter().fold(f64::MIN, |m, &x| m.max(f64::from(x)));
            let sum: f64 = row.iter().map(|&x| (f64::from(x) - max).exp()).sum();
            row.iter().map(|&x| f64::from(x) - max - sum.ln()).collect()
        };
        let (p, q) = (log_softmax(a), log_softmax(b));
        p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum()
    }

    #[test]
    fn exp_is_as_near_as_documented() {
        for step in 0..=870_000 {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 3e-7, "exp({x}) is off by {error:e}");
        }
        assert!(exp(-1e9) < 2e-38 && exp(-1e9) >= 0.0);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn equal_rows_are_exactly_zero_apart() {
        let row: Vec<f32> = (0..5000).map(|i| (i as f32 * 0.37).sin() * 9.0).collect();
        let same = compare(&row, &row).expect("finite");
        assert_eq!((same.kl, same.same_top), (0.0, true));
    }

    #[test]
    fn what_is_not_finite_gives_nothing() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 17, 39] {
                let good = vec![0.5f32; 40];
                let mut row = good.clone();
                row[place] = bad;
                assert!(compare(&good, &row).is_none(), "{bad} at {place}");
                assert!(compare(&row, &good).is_none());
                assert!(nll(&row, 1).is_none());
                assert!(top(&row).is_none());
            }
        }
        assert!(nll(&[], 0).is_none());
        assert!(compare(&[1.0], &[1.0, 2.0]).is_none());
    }

    #[test]
    fn the_likeliest_token_and_its_loss() {
        let (a, b) = ([0.0f32, 2.0, 1.0], [3.0f32, 2.0, 1.0]);
        assert!(!compare(&a, &b).expect("finite").same_top);
        assert_eq!(top(&b), Some(0));
        let expected = (1.0 + (-1f64).exp() + (-2f64).exp()).ln();
        assert!((nll(&a, 1).expect("finite") - expected).abs() < 1e-6);
        assert!(nll(&a, 3).is_none());
    }

    proptest! {
        /// Against double precision, on rows of every length and of the sizes that models give.
        #[test]
        fn agrees_with_double_precision(
            rows in prop::collection::vec((-30f32..30.0, -3f32..3.0), 1..3000),
        ) {
            let a: Vec<f32> = rows.iter().map(|row| row.0).collect();
            let b: Vec<f32> = rows.iter().map(|row| row.0 + row.1).collect();
            let found = compare(&a, &b).expect("finite");
            let exact = reference(&a, &b);
            prop_assert!((found.kl - exact).abs() <= 5e-6 + 1e-5 * exact, "{} {exact}", found.kl);
        }
    }
}
