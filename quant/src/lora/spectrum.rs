//! Norm and singular values of `B A` from the Gram products of its factors, which are only as large
//! as the rank: `B A` itself is never formed.

use super::delta::Delta;

/// A symmetric matrix of `n` rows, stored whole.
struct Symmetric {
    n: usize,
    values: Vec<f64>,
}

/// Norm and singular values of a product of two factors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spectrum {
    /// The Frobenius norm.
    pub(super) norm: f64,
    /// In no order; those that vanish are about 0. Empty where the rank is above `max_rank`.
    pub(super) singular_values: Vec<f64>,
}

impl Spectrum {
    /// Of `B A`, without `alpha`.
    pub(super) fn of(delta: &Delta, max_rank: usize) -> Self {
        let (gram_a, gram_b) = (gram_of_rows(delta), gram_of_columns(delta));
        // |B A|^2 is the trace of (B^T B)(A A^T).
        let products = gram_a.values.iter().zip(&gram_b.values);
        let norm = products.map(|(a, b)| a * b).sum::<f64>().max(0.0).sqrt();
        if delta.rank > max_rank {
            return Self {
                norm,
                singular_values: Vec::new(),
            };
        }
        // With A A^T = L L^T, the squares of the singular values are the eigenvalues of L^T (B^T B) L.
        let squares = eigenvalues(congruent(&gram_b, &cholesky(&gram_a)));
        let singular_values = squares.into_iter().map(|s| s.max(0.0).sqrt()).collect();
        Self {
            norm,
            singular_values,
        }
    }

    /// The exponential of the entropy of the singular values taken as shares (Roy and Vetterli,
    /// "The effective rank", 2007): from 1 for one direction to the rank for all alike. `None`
    /// where there are none, or all are 0.
    pub(super) fn effective_rank(&self) -> Option<f64> {
        let sum: f64 = self.singular_values.iter().sum();
        if sum <= 0.0 {
            return None;
        }
        let shares = self.singular_values.iter().map(|s| s / sum);
        let entropy: f64 = shares.filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
        Some(entropy.exp())
    }
}

/// `A A^T`.
fn gram_of_rows(delta: &Delta) -> Symmetric {
    let rows: Vec<&[f32]> = delta.a.chunks_exact(delta.n_in.max(1)).collect();
    let mut gram = Symmetric::zero(delta.rank);
    for (i, x) in rows.iter().enumerate() {
        for (j, y) in rows.iter().enumerate().take(i + 1) {
            let products = x.iter().zip(*y).map(|(x, y)| f64::from(*x) * f64::from(*y));
            gram.set(i, j, products.sum());
        }
    }
    gram
}

/// `B^T B`.
fn gram_of_columns(delta: &Delta) -> Symmetric {
    let mut gram = Symmetric::zero(delta.rank);
    for row in delta.b.chunks_exact(delta.rank.max(1)) {
        for (i, &x) in row.iter().enumerate() {
            for (j, &y) in row.iter().enumerate().take(i + 1) {
                gram.values[i * delta.rank + j] += f64::from(x) * f64::from(y);
            }
        }
    }
    for i in 0..gram.n {
        for j in 0..i {
            gram.set(i, j, gram.at(i, j));
        }
    }
    gram
}

impl Symmetric {
    fn zero(n: usize) -> Self {
        Self {
            n,
            values: vec![0.0; n * n],
        }
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.n + j]
    }

    fn set(&mut self, i: usize, j: usize, value: f64) {
        self.values[i * self.n + j] = value;
        self.values[j * self.n + i] = value;
    }
}

/// Lower triangular `L` with `L L^T = m`, row by row. Rows that depend on earlier ones, up to
/// rounding, leave their column empty: `m` may be singular.
fn cholesky(m: &Symmetric) -> Vec<f64> {
    const ROUNDING: f64 = 1e-14;
    let n = m.n;
    let mut l = vec![0.0; n * n];
    for j in 0..n {
        let within = |i: usize, l: &[f64]| -> f64 {
            m.at(i, j) - (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum::<f64>()
        };
        let pivot = within(j, &l);
        if pivot <= m.at(j, j) * ROUNDING {
            continue;
        }
        let root = pivot.sqrt();
        for i in j..n {
            l[i * n + j] = within(i, &l) / root;
        }
    }
    l
}

/// `L^T m L`.
fn congruent(m: &Symmetric, l: &[f64]) -> Symmetric {
    let n = m.n;
    let mut half = vec![0.0; n * n];
    for i in 0..n {
        for k in 0..n {
            let factor = m.at(i, k);
            // Row k of L ends at its diagonal.
            for j in 0..=k {
                half[i * n + j] += factor * l[k * n + j];
            }
        }
    }
    let mut out = Symmetric::zero(n);
    for k in 0..n {
        for i in 0..=k {
            for j in 0..=i {
                out.values[i * n + j] += l[k * n + i] * half[k * n + j];
            }
        }
    }
    for i in 0..n {
        for j in 0..i {
            out.set(i, j, out.at(i, j));
        }
    }
    out
}

/// All eigenvalues: Householder reflections make the matrix tridiagonal, then each eigenvalue is
/// found by bisection, counting with Sturm sequences (Golub and Van Loan, "Matrix Computations",
/// 8.3 and 8.4). Slower than QL, and it cannot fail to converge.
fn eigenvalues(matrix: Symmetric) -> Vec<f64> {
    let n = matrix.n;
    let (diagonal, beside) = tridiagonal(matrix);
    let reach = |i: usize| {
        let left = i.checked_sub(1).map_or(0.0, |i| beside[i].abs());
        left + beside.get(i).map_or(0.0, |b| b.abs())
    };
    let bound = (0..n).fold(0.0_f64, |bound, i| bound.max(diagonal[i].abs() + reach(i)));
    (0..n)
        .map(|index| {
            let (mut low, mut high) = (-bound, bound);
            // Each step gains a bit; a double has 53.
            for _ in 0..60 {
                let middle = f64::midpoint(low, high);
                if count_below(&diagonal, &beside, middle) > index {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            f64::midpoint(low, high)
        })
        .collect()
}

/// How many eigenvalues are below `x`: the negative terms of the Sturm sequence.
fn count_below(diagonal: &[f64], beside: &[f64], x: f64) -> usize {
    let mut term = 1.0_f64;
    let mut count = 0;
    for (i, d) in diagonal.iter().enumerate() {
        let previous = i.checked_sub(1).map_or(0.0, |i| beside[i] * beside[i]);
        term = d - x - previous / if term == 0.0 { f64::MIN_POSITIVE } else { term };
        count += usize::from(term < 0.0);
    }
    count
}

/// Diagonal and the values beside it of a tridiagonal matrix with the same eigenvalues.
fn tridiagonal(mut m: Symmetric) -> (Vec<f64>, Vec<f64>) {
    let n = m.n;
    let mut beside = Vec::with_capacity(n.saturating_sub(1));
    for k in 0..n.saturating_sub(1) {
        let mut v: Vec<f64> = (k + 1..n).map(|i| m.at(i, k)).collect();
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let image = if v[0] > 0.0 { -length } else { length };
        beside.push(image);
        v[0] -= image;
        let square: f64 = v.iter().map(|x| x * x).sum();
        if square == 0.0 {
            continue;
        }
        reflect(&mut m, k + 1, &v, square);
    }
    ((0..n).map(|i| m.at(i, i)).collect(), beside)
}

/// Reflects the block from `first` on from both sides by the plane that `v` is normal to.
fn reflect(m: &mut Symmetric, first: usize, v: &[f64], square: f64) {
    let n = m.n;
    let block = |i: usize| i * n + first..(i + 1) * n;
    let mut p: Vec<f64> = (first..n)
        .map(|i| {
            let row = &m.values[block(i)];
            row.iter().zip(v).map(|(a, v)| a * v).sum::<f64>() * 2.0 / square
        })
        .collect();
    let half = p.iter().zip(v).map(|(p, v)| p * v).sum::<f64>() / square;
    p.iter_mut().zip(v).for_each(|(p, v)| *p -= half * v);
    for (i, (vi, pi)) in v.iter().zip(&p).enumerate() {
        let row = &mut m.values[block(first + i)];
        for (value, (vj, pj)) in row.iter_mut().zip(v.iter().zip(&p)) {
            *value -= vi * pj + pi * vj;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delta(a: Vec<f32>, b: Vec<f32>, rank: usize) -> Delta {
        Delta {
            n_in: a.len() / rank,
            n_out: b.len() / rank,
            a,
            b,
            rank,
            alpha: 1.0,
        }
    }

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values
    }

    #[test]
    fn singular_values_of_a_product_that_shows_them() {
        // Rows of A and columns of B are orthogonal: lengths multiply.
        let a = vec![2.0, 0.0, 0.0, 0.0, 3.0, 0.0];
        let b = vec![0.0, 5.0, 7.0, 0.0];
        let spectrum = Spectrum::of(&delta(a, b, 2), 64);
        let found = sorted(spectrum.singular_values.clone());
        assert!((found[0] - 14.0).abs() < 1e-9 && (found[1] - 15.0).abs() < 1e-9);
        assert!((spectrum.norm - (14.0_f64.powi(2) + 15.0_f64.powi(2)).sqrt()).abs() < 1e-9);
        let (p, q) = (14.0 / 29.0_f64, 15.0 / 29.0_f64);
        let expected = (-p * p.ln() - q * q.ln()).exp();
        assert!((spectrum.effective_rank().unwrap() - expected).abs() < 1e-9);
    }

    #[test]
    fn rows_that_repeat_add_no_rank() {
        let a = vec![1.0, 2.0, 2.0, 4.0, -1.0, -2.0];
        let b = vec![1.0, 0.5, 3.0, 2.0, 1.0, 1.0];
        let spectrum = Spectrum::of(&delta(a, b, 3), 64);
        assert!((spectrum.effective_rank().unwrap() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn nothing_has_no_effective_rank() {
        let nothing = Spectrum::of(&delta(vec![1.0, 2.0], vec![0.0, 0.0, 0.0], 1), 64);
        assert_eq!((nothing.norm, nothing.effective_rank()), (0.0, None));
        let above = Spectrum::of(&delta(vec![1.0; 8], vec![1.0; 8], 4), 3);
        assert!(above.norm > 0.0 && above.effective_rank().is_none());
    }

    proptest! {
        /// The singular values have the moments of `B A`, which is formed here: with M = (B A)(B A)^T,
        /// the sums of their squares, fourth and sixth powers are the traces of M, M^2 and M^3.
        #[test]
        fn moments_agree_with_the_product(
            rank in 1..7_usize,
            n_in in 1..9_usize,
            n_out in 1..9_usize,
            seed in any::<u32>(),
        ) {
            let noise = |n: usize, shift: f64| -> Vec<f32> {
                (0..n).map(|i| ((i as f64 + shift + f64::from(seed)) * 12.9898).sin() as f32).collect()
            };
            let delta = delta(noise(rank * n_in, 0.0), noise(n_out * rank, 500.0), rank);
            let entry = |row: usize, col: usize| -> f64 {
                (0..rank).map(|r| f64::from(delta.b[row * rank + r]) * f64::from(delta.a[r * n_in + col])).sum()
            };
            let square = |x: &[f64], y: &[f64]| -> Vec<f64> {
                (0..n_out * n_out).map(|at| {
                    let (i, j) = (at / n_out, at % n_out);
                    (0..n_out).map(|k| x[i * n_out + k] * y[k * n_out + j]).sum()
                }).collect()
            };
            let trace = |x: &[f64]| -> f64 { (0..n_out).map(|i| x[i * n_out + i]).sum() };
            let m: Vec<f64> = (0..n_out * n_out).map(|at| {
                (0..n_in).map(|col| entry(at / n_out, col) * entry(at % n_out, col)).sum()
            }).collect();
            let m2 = square(&m, &m);
            let m3 = square(&m2, &m);
            let spectrum = Spectrum::of(&delta, 64);
            for (power, expected) in [(2, trace(&m)), (4, trace(&m2)), (6, trace(&m3))] {
                let found: f64 = spectrum.singular_values.iter().map(|s| s.powi(power)).sum();
                prop_assert!((found - expected).abs() <= 1e-9 * expected.max(1.0), "{power}: {found} {expected}");
            }
            prop_assert!((spectrum.norm.powi(2) - trace(&m)).abs() <= 1e-9 * trace(&m).max(1.0));
        }
    }
}
