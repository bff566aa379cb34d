//! `B A` for a few rows: the multiplication that merging spends its time on.

/// Adds `factor * b a` to `out`. `a` has `rank` rows of `n_in`; `b` and `out` have as many rows as
/// each other, of `rank` and `n_in`.
///
/// Four rows of `a` at a time, so that each value of `out` is read and written once for four
/// multiplications; the inner loop is plain enough for the compiler to use the widest vectors.
pub(super) fn add_product(out: &mut [f32], a: &[f32], b: &[f32], factor: f32, n_in: usize) {
    let rank = a.len().checked_div(n_in).unwrap_or(0);
    if rank == 0 {
        return;
    }
    for (out, b) in out.chunks_exact_mut(n_in).zip(b.chunks_exact(rank)) {
        let mut rows = a.chunks_exact(4 * n_in);
        let mut weights = b.chunks_exact(4);
        for (rows, w) in rows.by_ref().zip(weights.by_ref()) {
            let (a0, rest) = rows.split_at(n_in);
            let (a1, rest) = rest.split_at(n_in);
            let (a2, a3) = rest.split_at(n_in);
            let [w0, w1, w2, w3] = [w[0], w[1], w[2], w[3]].map(|w| w * factor);
            for ((((out, a0), a1), a2), a3) in out.iter_mut().zip(a0).zip(a1).zip(a2).zip(a3) {
                *out += w0 * a0 + w1 * a1 + (w2 * a2 + w3 * a3);
            }
        }
        let rest = rows.remainder().chunks_exact(n_in).zip(weights.remainder());
        for (row, w) in rest {
            let w = w * factor;
            for (out, a) in out.iter_mut().zip(row) {
                *out += w * a;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sum_of_products_for_every_rank() {
        let n_in = 7;
        for rank in 1..=9 {
            let a: Vec<f32> = (0..rank * n_in).map(|i| (i % 5) as f32 - 2.0).collect();
            let b: Vec<f32> = (0..3 * rank).map(|i| (i % 7) as f32 - 3.0).collect();
            let mut out = vec![1.0; 3 * n_in];
            add_product(&mut out, &a, &b, 0.5, n_in);
            for row in 0..3 {
                for col in 0..n_in {
                    let sum: f32 = (0..rank)
                        .map(|r| b[row * rank + r] * a[r * n_in + col])
                        .sum();
                    assert_eq!(out[row * n_in + col], 1.0 + 0.5 * sum, "rank {rank}");
                }
            }
        }
    }
}
