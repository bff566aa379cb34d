//! `exp` in a form that the compiler turns into vectors; that of the standard library is a call for each value.

/// Beyond these `exp` leaves the normal floats.
const LOWEST: f32 = -87.0;
const HIGHEST: f32 = 88.0;

/// `exp(x)` within two units in the last place from -87 to 88; 1.6e-38 below, 1.7e38 above; NaN for NaN.
///
/// `x = n ln 2 + r` with `r` within half of `ln 2`; `exp(r)` by the polynomial of the Cephes library (Moshier, 1984 to
/// 1992, `expf`), `2^n` by writing the exponent.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const COEFFICIENTS: [f32; 6] = [
        1.987_569_2e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    let inside = if x < LOWEST { LOWEST } else { x };
    let inside = if inside > HIGHEST { HIGHEST } else { inside };
    let n = (inside * std::f32::consts::LOG2_E).round_ties_even();
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, inside));
    let polynomial = COEFFICIENTS
        .into_iter()
        .fold(0.0_f32, |sum, c| sum.mul_add(r, c));
    let fraction = polynomial.mul_add(r * r, r) + 1.0;
    // NaN becomes 0 in the cast, and stays NaN in the fraction.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    fraction * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_exact_one() {
        let mut x = -86.9_f32;
        while x < 87.9 {
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) / expected - 1.0).abs();
            assert!(error < 2.4e-7, "{x}: {error}");
            x += 0.0137;
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn beyond_the_floats() {
        assert!(exp(f32::NEG_INFINITY) < 2e-38 && exp(-1000.0) < 2e-38);
        assert!(exp(1000.0) > 1e38 && exp(f32::INFINITY) > 1e38);
        assert!(exp(f32::NAN).is_nan());
    }
}
