//! Normal, Student's t and binomial distribution, to about 12 digits.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Enough for the continued fractions here to settle; they need some tens.
const MAX_STEPS: usize = 500;
/// Relative change at which a series has settled.
const SETTLED: f64 = 1e-15;
/// Stands for a denominator of zero in Lentz's method.
const TINY: f64 = 1e-300;

/// Standard normal distribution function.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    // The error function is an incomplete gamma function: Abramowitz and Stegun 7.1 and 6.5.
    let half = 0.5 * upper_gamma_half((x * FRAC_1_SQRT_2).powi(2));
    if x > 0.0 { 1.0 - half } else { half }
}

/// The value that a standard normal variable stays below with probability `p`, by bisection of [`normal_cdf`].
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    bisect(p, normal_cdf)
}

/// Student's t distribution function (Abramowitz and Stegun 26.7.1).
#[must_use]
pub fn t_cdf(x: f64, degrees: f64) -> f64 {
    let tail = 0.5 * incomplete_beta(degrees / (degrees + x * x), degrees / 2.0, 0.5);
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// The value that Student's t stays below with probability `p`.
#[must_use]
pub fn t_quantile(p: f64, degrees: f64) -> f64 {
    bisect(p, |x| t_cdf(x, degrees))
}

/// Probability of `k` or more successes in `n` tries (Abramowitz and Stegun 26.5.24). Real numbers, so that it serves
/// an effective number of tries too.
#[must_use]
pub fn binomial_upper_tail(k: f64, n: f64, p: f64) -> f64 {
    if k <= 0.0 {
        1.0
    } else if k > n {
        0.0
    } else {
        incomplete_beta(p, k, n - k + 1.0)
    }
}

/// Inverts a distribution function that is symmetric about 0, to the last bits.
fn bisect(p: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    if p.is_nan() || p <= 0.0 || p >= 1.0 {
        return if p >= 1.0 {
            f64::INFINITY
        } else if p <= 0.0 {
            f64::NEG_INFINITY
        } else {
            p
        };
    }
    // In the lower tail, where the function does not round to 1.
    let (tail, sign) = if p < 0.5 { (p, 1.0) } else { (1.0 - p, -1.0) };
    let mut low = -1.0;
    while cdf(low) > tail && low > f64::MIN / 4.0 {
        low *= 2.0;
    }
    let mut high = 0.0;
    // Each step halves the range; 80 leave nothing of it.
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if cdf(middle) < tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    sign * 0.5 * (low + high)
}

/// Regularized upper incomplete gamma function Q(1/2, x), which is `erfc(sqrt(x))`.
fn upper_gamma_half(x: f64) -> f64 {
    let scale = (-x).exp() * x.sqrt() / PI.sqrt();
    if x < 1.5 {
        let (mut term, mut sum) = (2.0, 2.0);
        for n in 1..MAX_STEPS {
            term *= x / (0.5 + n as f64);
            sum += term;
            if term < sum * SETTLED {
                break;
            }
        }
        return 1.0 - sum * scale;
    }
    let mut b = x + 0.5;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for n in 1..MAX_STEPS {
        let a = -(n as f64) * (n as f64 - 0.5);
        b += 2.0;
        d = 1.0 / nonzero(a * d + b);
        c = nonzero(b + a / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < SETTLED {
            break;
        }
    }
    scale * fraction
}

/// Regularized incomplete beta function by its continued fraction (Abramowitz and Stegun 26.5.8), Lentz's method.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let ln_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..MAX_STEPS {
        let m = step as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / nonzero(1.0 + even * d);
        c = nonzero(1.0 + even / c);
        fraction *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / nonzero(1.0 + odd * d);
        c = nonzero(1.0 + odd / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < SETTLED {
            break;
        }
    }
    ln_front.exp() * fraction / a
}

fn nonzero(x: f64) -> f64 {
    if x.abs() < TINY { TINY } else { x }
}

/// Logarithm of the gamma function for positive arguments: Stirling's series (Abramowitz and Stegun 6.1.41) after the
/// argument has been raised above 10.
fn ln_gamma(x: f64) -> f64 {
    let mut x = x;
    let mut shift = 0.0;
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse
        * (1.0 / 12.0
            - square
                * (1.0 / 360.0
                    - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + series - shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: f64, expected: f64) {
        let error = (found - expected).abs() / expected.abs().max(1e-9);
        assert!(error < 1e-9, "{found} instead of {expected}");
    }

    // Expected values: scipy 1.17.1, scipy.stats.norm, .t and .binom with 15 digits printed.
    #[test]
    fn agrees_with_scipy() {
        near(normal_cdf(-8.0), 6.22096057427174e-16);
        near(normal_cdf(-1.0), 0.158655253931457);
        near(normal_cdf(1.2), 0.884930329778292);
        near(normal_cdf(3.0), 0.99865010196837);
        near(normal_quantile(0.975), 1.95996398454005);
        near(normal_quantile(0.001), -3.09023230616781);
        near(t_cdf(2.0, 3.0), 0.930337015720578);
        near(t_quantile(0.975, 1.0), 12.7062047361747);
        near(t_quantile(0.975, 4.0), 2.77644510519779);
        near(t_quantile(0.99875, 199.0), 3.06231206963361);
        near(binomial_upper_tail(12.0, 14.0, 0.5), 0.0064697265625);
        near(binomial_upper_tail(60.0, 200.0, 0.25), 0.0624722310564641);
        near(binomial_upper_tail(3.0, 1000.0, 0.01), 0.997320568006208);
    }

    #[test]
    fn edges() {
        assert_eq!(binomial_upper_tail(0.0, 10.0, 0.3), 1.0);
        assert_eq!(binomial_upper_tail(11.0, 10.0, 0.3), 0.0);
        assert_eq!(binomial_upper_tail(3.0, 10.0, 0.0), 0.0);
        assert_eq!(binomial_upper_tail(3.0, 10.0, 1.0), 1.0);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert!(normal_quantile(f64::NAN).is_nan());
        assert!(normal_quantile(0.5).abs() < 1e-12);
    }
}
