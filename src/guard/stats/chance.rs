//! Whether a base does better than guessing: a group that it merely guesses on cannot show what was forgotten.

use super::distribution::binomial_upper_tail;

/// Probability that guessing would get `right` of `n` items right or more, each with probability `chance`.
///
/// Where items differ in their number of choices, `chance` is the mean; the true distribution is narrower then (W.
/// Hoeffding 1956), so that the test errs to "not above chance". `n` may be an effective number.
#[must_use]
pub fn p_value(right: f64, n: f64, chance: f64) -> f64 {
    binomial_upper_tail(right, n, chance)
}

/// Level of the one-sided test.
pub const LEVEL: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_told_from_knowing() {
        assert!(p_value(62.0, 200.0, 0.31) > LEVEL);
        assert!(p_value(95.0, 200.0, 0.31) < 1e-6);
        assert_eq!(p_value(0.0, 10.0, 0.25), 1.0);
    }
}
