//! Where TIES trims: the magnitude that the largest share of a delta reaches. Found by counting
//! magnitudes digit by digit, so that the delta, which is as large as the weight, is made in blocks
//! and never held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::factors::Factors;
use super::method::Density;
use crate::rewrite::Options;
use crate::{Error, Result};

/// Values of a delta made at once.
const BLOCK_VALUES: usize = 1 << 16;

/// Digits of a magnitude's bits, highest first: how far to shift, and how many bits.
const DIGITS: [(u32, u32); 3] = [(20, 12), (10, 10), (0, 10)];

/// Sets the threshold of every pair of factors.
pub(super) fn set_thresholds(
    targets: &mut HashMap<String, Vec<Factors>>,
    density: Density,
    options: &Options,
) -> Result<()> {
    if density.get() >= 1.0 {
        return Ok(());
    }
    let all: Vec<_> = targets.values_mut().flatten().map(Mutex::new).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let work = || {
        while let Some(factors) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut factors = factors.lock().unwrap_or_else(PoisonError::into_inner);
            match options.check().and_then(|()| of_delta(&factors, density)) {
                Ok(threshold) => factors.threshold = threshold,
                Err(error) => {
                    next.store(all.len(), Ordering::Relaxed);
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads() {
            // Without one more thread, those there are do the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let failed: Mutex<Option<Error>> = failed;
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn of_delta(factors: &Factors, density: Density) -> Result<f32> {
    let (n_in, n_out) = (factors.n_in(), factors.n_out());
    let step = (BLOCK_VALUES / n_in.max(1)).max(1);
    let mut values = Vec::new();
    let kept = kept_of(n_in * n_out, density);
    threshold(kept, |count| {
        for start in (0..n_out).step_by(step) {
            let rows = start..n_out.min(start + step);
            values.clear();
            values.resize(rows.len() * n_in, 0.0);
            factors.add(rows, &mut values)?;
            values.iter().for_each(|v| count(*v));
        }
        Ok(())
    })
}

/// How many of `n` values are kept: at least one.
fn kept_of(n: usize, density: Density) -> usize {
    ((n as f64 * f64::from(density.get())).round() as usize).clamp(1, n.max(1))
}

/// The `kept`-th largest magnitude of what `pass` counts; it is called once a digit. Magnitudes of
/// floats are ordered as their bits are.
fn threshold(kept: usize, mut pass: impl FnMut(&mut dyn FnMut(f32)) -> Result<()>) -> Result<f32> {
    let (mut prefix, mut left) = (0_u32, kept);
    for (shift, bits) in DIGITS {
        let mut counts = vec![0_usize; 1 << bits];
        let above = shift + bits;
        pass(&mut |value: f32| {
            let magnitude = value.abs().to_bits();
            // The first digit holds all that is above it.
            if above >= 32 || magnitude >> above == prefix >> above {
                let digit = (magnitude >> shift) & ((1 << bits) - 1);
                counts[digit as usize] += 1;
            }
        })?;
        let mut digit = counts.len();
        while digit > 0 {
            digit -= 1;
            let n = counts.get(digit).copied().unwrap_or(0);
            if n >= left {
                break;
            }
            left -= n;
        }
        prefix |= (digit as u32) << shift;
    }
    Ok(f32::from_bits(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_the_magnitude_at_that_rank() {
        let values: Vec<f32> = (0..1000).map(|i| ((i * 37) as f32).sin() * 1e-3).collect();
        let mut sorted: Vec<f32> = values.iter().map(|v| v.abs()).collect();
        sorted.sort_by(|a, b| b.total_cmp(a));
        for kept in [1, 2, 200, 999, 1000] {
            let found = threshold(kept, |count| {
                values.iter().for_each(|v| count(*v));
                Ok(())
            });
            assert_eq!(found.unwrap(), sorted[kept - 1], "{kept}");
        }
    }

    #[test]
    fn a_share_of_values_is_rounded_and_never_none() {
        let share = |s| Density::new(s).unwrap();
        assert_eq!(kept_of(10, share(0.2)), 2);
        assert_eq!(kept_of(10, share(0.01)), 1);
        assert_eq!(kept_of(3, share(0.5)), 2);
        assert_eq!(Density::new(0.0), None);
        assert_eq!(Density::new(1.1), None);
        assert_eq!(Density::new(f32::NAN), None);
    }
}
