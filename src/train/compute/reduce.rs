//! Sums and maxima of slices in lanes: one running value would wait for itself at every addition.

/// Values at a time: a vector of 512 bits.
const LANES: usize = 16;

/// `sum a b`.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// The largest value; negative infinity of none. NaN is passed over.
pub(super) fn max(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut tops = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            tops[i] = if chunk[i] > tops[i] {
                chunk[i]
            } else {
                tops[i]
            };
        }
    }
    let tops = tops.iter().chain(rest);
    tops.copied().fold(f32::NEG_INFINITY, f32::max)
}

/// `sum f(value)`, added up in double precision.
pub(super) fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            sums[i] += f64::from(f(chunk[i]));
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&v| f64::from(f(v))).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_whole_vectors_and_of_what_is_left() {
        for n in [0_u16, 1, 16, 37] {
            let values: Vec<f32> = (0..n).map(f32::from).collect();
            let n = f32::from(n);
            let expected = n * (n - 1.0) * (2.0 * n - 1.0) / 6.0;
            assert!((dot(&values, &values) - expected).abs() < 1e-2);
            assert!((sum(&values, |v| 2.0 * v) - f64::from(n * (n - 1.0))).abs() < 1e-6);
            let top = if n > 0.0 { n - 1.0 } else { f32::NEG_INFINITY };
            assert_eq!(max(&values), top);
        }
        assert!(sum(&[f32::NAN; 20], |v| v).is_nan());
    }
}
