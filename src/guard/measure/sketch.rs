//! A row of the base's logits, small enough to keep: the likely tokens one by one, the rest as one.
//!
//! KL over a coarser partition is never more than the whole KL (the data-processing inequality; Cover and Thomas 2006,
//! section 2.8). What it leaves out is divergence within the unlikely rest.

use crate::engine::divergence::Normalizer;

use super::{Reader, Record};

/// Most tokens kept one by one.
const MAX_KEPT: usize = 256;
/// Tokens less likely than the likeliest by more than this, in nats, go into the rest.
const REACH: f32 = 12.0;
/// A rest less likely than this is nothing but rounding.
const MIN_REST: f64 = 1e-6;

/// The base's distribution over the next token.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    /// Tokens, the likeliest first; the others in no order.
    tokens: Vec<u32>,
    /// Their log-probabilities.
    log_p: Vec<f32>,
    /// Negative log-likelihood of the token that came next, in nats; 0 if none is known.
    pub nll: f64,
}

/// How an adapted row differs from a sketch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowChange {
    /// KL(base || adapted), nats.
    pub kl: f64,
    /// Whether that is the base's too.
    pub same_top: bool,
    /// Negative log-likelihood of the token that came next.
    pub nll: f64,
}

impl Sketch {
    /// Keeps what is likely in a row; `target` is the token that comes next. `None` for logits that are not finite.
    pub fn of(row: &[f32], target: Option<usize>) -> Option<Self> {
        let norm = Normalizer::of(row)?;
        Self::with(row, &norm, target)
    }

    /// As [`Self::of`], where the likeliest token is what comes next.
    pub fn of_likeliest(row: &[f32]) -> Option<Self> {
        let norm = Normalizer::of(row)?;
        Self::with(row, &norm, norm.top(row))
    }

    fn with(row: &[f32], norm: &Normalizer, target: Option<usize>) -> Option<Self> {
        let first = norm.top(row)?;
        let mut likely: Vec<usize> = row
            .iter()
            .enumerate()
            .filter(|(i, x)| norm.max - **x <= REACH && *i != first)
            .map(|(i, _)| i)
            .collect();
        if likely.len() > MAX_KEPT - 1 {
            let by_logit = |a: &usize, b: &usize| row[*b].total_cmp(&row[*a]).then(a.cmp(b));
            likely.select_nth_unstable_by(MAX_KEPT - 1, by_logit);
            likely.truncate(MAX_KEPT - 1);
        }
        let kept = || std::iter::once(first).chain(likely.iter().copied());
        Some(Self {
            log_p: kept()
                .map(|i| norm.log_probability(row[i]) as f32)
                .collect(),
            tokens: kept()
                .map(|i| u32::try_from(i).unwrap_or(u32::MAX))
                .collect(),
            nll: nll(norm, row, target)?,
        })
    }

    /// Compares with the adapted row. `None` if that is not finite or of another vocabulary.
    pub fn compare(&self, row: &[f32], target: Option<usize>) -> Option<RowChange> {
        let norm = Normalizer::of(row)?;
        let (mut kl, mut p_sum, mut q_sum) = (0.0, 0.0, 0.0);
        for (&token, &log_p) in self.tokens.iter().zip(&self.log_p) {
            let logit = *row.get(usize::try_from(token).ok()?)?;
            // Rounded as the base's was, so that equal rows are exactly 0 apart.
            let log_q = f64::from(norm.log_probability(logit) as f32);
            let log_p = f64::from(log_p);
            let p = log_p.exp();
            kl += p * (log_p - log_q);
            p_sum += p;
            q_sum += log_q.exp();
        }
        let (p_rest, q_rest) = (1.0 - p_sum, (1.0 - q_sum).max(MIN_REST));
        if p_rest > MIN_REST {
            kl += p_rest * (p_rest / q_rest).ln();
        }
        let top = norm.top(row)?;
        Some(RowChange {
            kl: kl.max(0.0),
            same_top: self.top() == Some(top),
            nll: nll(&norm, row, target)?,
        })
    }

    /// The base's likeliest token.
    pub fn top(&self) -> Option<usize> {
        usize::try_from(*self.tokens.first()?).ok()
    }
}

fn nll(norm: &Normalizer, row: &[f32], target: Option<usize>) -> Option<f64> {
    match target {
        Some(token) => Some((-norm.log_probability(*row.get(token)?)).max(0.0)),
        None => Some(0.0),
    }
}

impl Record for Sketch {
    fn write(&self, out: &mut Vec<u8>) {
        self.tokens.write(out);
        self.log_p.write(out);
        self.nll.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let sketch = Self {
            tokens: Vec::read(input)?,
            log_p: Vec::read(input)?,
            nll: f64::read(input)?,
        };
        let sound = sketch.tokens.len() == sketch.log_p.len()
            && !sketch.tokens.is_empty()
            && sketch.log_p.iter().all(|log_p| log_p.is_finite())
            && sketch.nll.is_finite();
        sound.then_some(sketch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::divergence::compare;

    #[test]
    fn comes_back_from_bytes_and_equals_itself() {
        let row: Vec<f32> = (0..3000).map(|i| (i as f32 * 0.7).sin() * 8.0).collect();
        let sketch = Sketch::of(&row, Some(5)).expect("finite");
        assert_eq!(sketch.tokens.len(), MAX_KEPT);
        let mut bytes = Vec::new();
        sketch.write(&mut bytes);
        let back = Sketch::read(&mut Reader(&bytes)).expect("sound");
        assert_eq!(back, sketch);
        let change = back.compare(&row, Some(5)).expect("finite");
        assert_eq!(
            (change.kl, change.same_top, change.nll),
            (0.0, true, sketch.nll)
        );
        assert!(
            sketch.compare(&row[..100], None).is_none(),
            "another vocabulary"
        );
    }

    proptest! {
        /// Never above the whole KL, and near it where little is in the rest.
        #[test]
        fn bounds_the_whole_kl_from_below(
            rows in prop::collection::vec((-12f32..6.0, -2f32..2.0), 2..2000),
        ) {
            let a: Vec<f32> = rows.iter().map(|row| row.0).collect();
            let b: Vec<f32> = rows.iter().map(|row| row.0 + row.1).collect();
            let whole = compare(&a, &b).expect("finite");
            let sketch = Sketch::of(&a, None).expect("finite");
            let coarse = sketch.compare(&b, None).expect("finite");
            prop_assert!(coarse.kl <= whole.kl + 1e-5, "{} {}", coarse.kl, whole.kl);
            prop_assert_eq!(coarse.same_top, whole.same_top);
            if sketch.tokens.len() == a.len() {
                prop_assert!((coarse.kl - whole.kl).abs() < 1e-4);
            }
        }
    }
}
