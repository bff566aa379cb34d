//! The merge of a few rows, by each method.

use std::ops::Range;

use super::factors::Factors;
use super::method::Method;
use crate::Result;
use crate::splitmix::mix;

/// Adds to `values`, some `rows` of a weight, what `method` makes of the deltas.
pub(super) fn apply(
    method: Method,
    factors: &[Factors],
    rows: Range<usize>,
    values: &mut [f32],
) -> Result<()> {
    if method == Method::Linear {
        return factors.iter().try_for_each(|f| f.add(rows.clone(), values));
    }
    let mut deltas = Vec::with_capacity(factors.len());
    for factors in factors {
        let mut delta = vec![0.0; values.len()];
        factors.add(rows.clone(), &mut delta)?;
        match method {
            Method::Dare { density, seed } => {
                let key = key(seed, factors.number, factors.target());
                drop_and_rescale(&mut delta, key, rows.start * factors.n_in(), density.get());
            }
            Method::Ties { .. } => trim(&mut delta, factors.threshold),
            Method::Linear => {}
        }
        deltas.push(delta);
    }
    match method {
        Method::Ties { .. } => add_elected(values, &deltas),
        Method::Linear | Method::Dare { .. } => {
            for delta in &deltas {
                for (value, d) in values.iter_mut().zip(delta) {
                    *value += d;
                }
            }
        }
    }
    Ok(())
}

fn trim(delta: &mut [f32], threshold: f32) {
    for d in delta.iter_mut().filter(|d| d.abs() < threshold) {
        *d = 0.0;
    }
}

/// TIES after trimming: the sign of the sum is elected, and the mean of the deltas of that sign is
/// added. Where the deltas cancel out, nothing is.
fn add_elected(values: &mut [f32], deltas: &[Vec<f32>]) {
    for (i, value) in values.iter_mut().enumerate() {
        let here = || deltas.iter().filter_map(|delta| delta.get(i).copied());
        let elected: f32 = here().sum();
        let agreeing = || here().filter(|d| d * elected.signum() > 0.0);
        let n = agreeing().count();
        if elected != 0.0 && n > 0 {
            *value += agreeing().sum::<f32>() / n as f32;
        }
    }
}

/// DARE: each value is dropped, or kept and divided by the density. Whether is a function of the
/// key and the value's place, not of an order, so that any thread may do any block.
fn drop_and_rescale(delta: &mut [f32], key: u64, first: usize, density: f32) {
    for (i, d) in delta.iter_mut().enumerate() {
        // 24 bits: every value of the fraction is exact in `f32`.
        let fraction = (mix(key.wrapping_add((first + i) as u64)) >> 40) as f32 / (1 << 24) as f32;
        *d = if fraction < density {
            *d / density
        } else {
            0.0
        };
    }
}

/// What the random numbers of one adapter on one weight start from.
fn key(seed: u64, number: u64, target: &str) -> u64 {
    let start = mix(seed).wrapping_add(mix(number.wrapping_add(1)));
    target
        .bytes()
        .fold(start, |key, byte| mix(key ^ u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_by_hand() {
        // Column by column: agreement, a majority by weight, an exact tie, one trimmed away.
        let mut first = vec![1.0, 3.0, 2.0, 0.1];
        let mut second = vec![3.0, -1.0, -2.0, 4.0];
        trim(&mut first, 0.5);
        trim(&mut second, 0.5);
        let mut values = vec![10.0; 4];
        add_elected(&mut values, &[first, second]);
        assert_eq!(values, [12.0, 13.0, 10.0, 14.0]);
    }

    #[test]
    fn splitmix_is_the_published_one() {
        // The first outputs of the reference implementation for the state 0 and its successor.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn dare_keeps_its_share_enlarged_whatever_the_blocks() {
        let key = key(7, 0, "blk.0.attn_q.weight");
        let mut whole = vec![1.0_f32; 40_000];
        drop_and_rescale(&mut whole, key, 0, 0.25);
        assert!(whole.iter().all(|d| *d == 0.0 || *d == 4.0));
        let kept = whole.iter().filter(|d| **d != 0.0).count();
        // Four standard deviations of a binomial around 10,000.
        assert!((9_650..10_350).contains(&kept), "{kept}");
        let mut halves = vec![1.0_f32; 40_000];
        let (left, right) = halves.split_at_mut(12_345);
        drop_and_rescale(left, key, 0, 0.25);
        drop_and_rescale(right, key, 12_345, 0.25);
        assert_eq!(halves, whole);
    }

    #[test]
    fn at_density_1_nothing_is_dropped() {
        let mut delta = vec![0.5_f32; 1000];
        drop_and_rescale(&mut delta, 3, 0, 1.0);
        assert!(delta.iter().all(|d| *d == 0.5));
    }
}
