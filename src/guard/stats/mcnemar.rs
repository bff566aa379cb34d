//! McNemar's exact test: could as many losses against gains come from chance alone?

use super::distribution::binomial_upper_tail;

/// Two-sided p value for `lost` and `gained` flips: twice the binomial tail at one half, at most 1.
#[must_use]
pub fn exact(lost: usize, gained: usize) -> f64 {
    let flips = (lost + gained) as f64;
    let most = lost.max(gained) as f64;
    (2.0 * binomial_upper_tail(most, flips, 0.5)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_statsmodels() {
        // statsmodels 0.15.0, mcnemar(exact=True).pvalue.
        for (lost, gained, expected) in [
            (1, 7, 0.070_312_5),
            (12, 2, 0.012_939_453_125),
            (5, 0, 0.062_5),
            (30, 10, 0.002_221_433_773_229_364_3),
            (59, 31, 0.004_165_114_015_824_443_5),
            (0, 0, 1.0),
            (3, 3, 1.0),
        ] {
            let found = exact(lost, gained);
            assert!((found - expected).abs() < 1e-12, "{lost} {gained}: {found}");
        }
    }
}
