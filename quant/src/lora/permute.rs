//! The row order of q and k weights. Hugging Face models rotate the first half of a head against
//! the second; llama.cpp's `llama` architecture rotates neighbours. Its converter reorders the
//! rows of the base weights accordingly, so the rows of `lora_B`, which become rows of the weight,
//! must follow.

/// Reorders `rows` (each `row_bytes` long, `n_heads` heads of equal size) from halves to
/// neighbours: row `2 j + s` of a head comes from row `s * half + j`. `None` where the rows do not
/// divide into heads with an even number of rows.
pub(super) fn interleave(rows: &[u8], row_bytes: usize, n_heads: usize) -> Option<Vec<u8>> {
    let n_rows = rows.len().checked_div(row_bytes)?;
    let head = n_rows.checked_div(n_heads)?;
    let half = head / 2;
    if half == 0 || half * 2 * n_heads * row_bytes != rows.len() {
        return None;
    }
    let mut reordered = Vec::with_capacity(rows.len());
    for row in 0..n_rows {
        let (first, within) = (row - row % head, row % head);
        let source = first + (within % 2) * half + within / 2;
        reordered.extend_from_slice(rows.get(source * row_bytes..(source + 1) * row_bytes)?);
    }
    Some(reordered)
}

/// Reorders `rows` of `row` values from neighbours back to halves: undoes [`interleave`].
pub(super) fn halve(rows: &[f32], row: usize, n_heads: usize) -> Option<Vec<f32>> {
    let n_rows = rows.len().checked_div(row)?;
    let head = n_rows.checked_div(n_heads)?;
    let half = head / 2;
    if half == 0 || half * 2 * n_heads * row != rows.len() {
        return None;
    }
    let mut reordered = Vec::with_capacity(rows.len());
    for at in 0..n_rows {
        let (first, within) = (at - at % head, at % head);
        let source = first + (within % half) * 2 + within / half;
        reordered.extend_from_slice(rows.get(source * row..(source + 1) * row)?);
    }
    Some(reordered)
}

/// Exchanges rows and columns of a matrix of `n_rows` rows, whose values are `value_bytes` long.
pub(super) fn transpose(matrix: &[u8], value_bytes: usize, n_rows: usize) -> Vec<u8> {
    let row_bytes = matrix.len().checked_div(n_rows).unwrap_or(0).max(1);
    let n_cols = row_bytes.checked_div(value_bytes).unwrap_or(0);
    let mut out = Vec::with_capacity(matrix.len());
    for col in 0..n_cols {
        for row in matrix.chunks_exact(row_bytes) {
            let value = row.get(col * value_bytes..(col + 1) * value_bytes);
            out.extend_from_slice(value.unwrap_or_default());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_of_six_rows() {
        let rows = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15];
        assert_eq!(
            interleave(&rows, 1, 2).unwrap(),
            [0, 3, 1, 4, 2, 5, 10, 13, 11, 14, 12, 15]
        );
        assert_eq!(interleave(&rows[..6], 2, 1), None, "three rows");
        assert_eq!(interleave(&rows, 1, 5), None);
        assert_eq!(interleave(&rows, 1, 0), None);
        assert_eq!(interleave(&rows, 0, 1), None);
    }

    #[test]
    fn and_back() {
        let rows: Vec<f32> = (0..24).map(|n| n as f32).collect();
        let bytes: Vec<u8> = rows.iter().flat_map(|v| v.to_le_bytes()).collect();
        let there = interleave(&bytes, 8, 2).unwrap();
        let there: Vec<f32> = there
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        assert_ne!(there, rows);
        assert_eq!(halve(&there, 2, 2).unwrap(), rows);
        assert_eq!(halve(&rows, 2, 5), None);
        assert_eq!(halve(&rows, 0, 1), None);
    }

    #[test]
    fn a_matrix_turned_twice_is_itself() {
        let matrix = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6];
        let turned = transpose(&matrix, 2, 2);
        assert_eq!(turned, [1, 1, 4, 4, 2, 2, 5, 5, 3, 3, 6, 6]);
        assert_eq!(transpose(&turned, 2, 3), matrix);
        assert!(transpose(&[], 4, 0).is_empty());
    }

    /// Rotary embedding as Hugging Face defines it: `x cos + rotate_half(x) sin`.
    fn rotate_halves(x: &[f64], angles: &[f64]) -> Vec<f64> {
        let half = x.len() / 2;
        (0..x.len())
            .map(|i| {
                let turned = if i < half { -x[i + half] } else { x[i - half] };
                x[i] * angles[i % half].cos() + turned * angles[i % half].sin()
            })
            .collect()
    }

    /// Rotary embedding as ggml's normal mode defines it: neighbours form a complex number.
    fn rotate_neighbours(x: &[f64], angles: &[f64]) -> Vec<f64> {
        x.chunks(2)
            .zip(angles)
            .flat_map(|(pair, angle)| {
                let (sin, cos) = angle.sin_cos();
                [pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos]
            })
            .collect()
    }

    fn reorder(x: &[f64], n_heads: usize) -> Vec<f64> {
        let bytes: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
        let bytes = interleave(&bytes, 8, n_heads).unwrap();
        let chunks = bytes.as_chunks().0.iter();
        chunks.map(|b| f64::from_le_bytes(*b)).collect()
    }

    proptest! {
        /// What the order is for: attention scores between any two positions stay the same when
        /// the reordered heads are rotated by neighbours instead of by halves.
        #[test]
        fn scores_survive_the_change_of_rotation(
            half in 1..9_usize,
            n_heads in 1..4_usize,
            seed in any::<u32>(),
            positions in (0..50_i32, 0..50_i32),
        ) {
            let head = 2 * half;
            let noise = |i: usize| ((i as f64 + f64::from(seed)) * 12.9898).sin();
            let q: Vec<f64> = (0..n_heads * head).map(noise).collect();
            let k: Vec<f64> = (0..n_heads * head).map(|i| noise(i + 1000)).collect();
            let angles = |position: i32| -> Vec<f64> {
                (0..half)
                    .map(|i| f64::from(position) * 10000_f64.powf(-(i as f64) / half as f64))
                    .collect()
            };
            let (at_q, at_k) = (angles(positions.0), angles(positions.1));
            let (q2, k2) = (reorder(&q, n_heads), reorder(&k, n_heads));
            for h in 0..n_heads {
                let span = h * head..(h + 1) * head;
                let dot = |a: Vec<f64>, b: Vec<f64>| -> f64 {
                    a.iter().zip(&b).map(|(a, b)| a * b).sum()
                };
                let original = dot(
                    rotate_halves(&q[span.clone()], &at_q),
                    rotate_halves(&k[span.clone()], &at_k),
                );
                let reordered = dot(
                    rotate_neighbours(&q2[span.clone()], &at_q),
                    rotate_neighbours(&k2[span], &at_k),
                );
                prop_assert!((original - reordered).abs() < 1e-9);
            }
        }
    }
}
