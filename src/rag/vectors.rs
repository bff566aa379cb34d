//! Unit vectors in memory, and the exact search over them.
//!
//! Rows of one dense matrix, in the order of their chunk ids. Which rows to look at is `index`'s.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A row with its cosine to a query. Greater is better: by score, then by the smaller row (and so the older chunk), so
/// that every ranking is total and the same each time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored {
    pub row: u32,
    pub score: f32,
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = self.score.total_cmp(&other.score);
        by_score.then_with(|| other.row.cmp(&self.row))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scored {}

/// The best `limit` of what is offered.
#[derive(Debug)]
pub(super) struct Best {
    heap: BinaryHeap<Reverse<Scored>>,
    limit: usize,
}

impl Best {
    pub fn of(limit: usize) -> Self {
        Self {
            heap: BinaryHeap::with_capacity(limit.saturating_add(1).min(4096)),
            limit,
        }
    }

    /// How many are kept.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The least score that is kept, once as many are kept as are wanted.
    pub fn worst(&self) -> Option<f32> {
        let full = self.heap.len() >= self.limit;
        self.heap.peek().filter(|_| full).map(|worst| worst.0.score)
    }

    /// Takes `scored` if it is good enough, and says whether it was.
    pub fn offer(&mut self, scored: Scored) -> bool {
        if self.heap.len() < self.limit {
            self.heap.push(Reverse(scored));
            return true;
        }
        match self.heap.peek_mut() {
            Some(mut worst) if worst.0 < scored => {
                *worst = Reverse(scored);
                true
            }
            _ => false,
        }
    }

    /// Best first.
    pub fn into_sorted(self) -> Vec<Scored> {
        let ascending = self.heap.into_sorted_vec();
        ascending
            .into_iter()
            .map(|Reverse(scored)| scored)
            .collect()
    }
}

/// Unit vectors by ascending chunk id.
#[derive(Debug, Clone, Default)]
pub(super) struct Vectors {
    dimension: usize,
    ids: Vec<i64>,
    data: Vec<f32>,
}

impl Vectors {
    pub fn new(dimension: usize) -> Self {
        Self {
            dimension,
            ids: Vec::new(),
            data: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// The vector of `row`; empty where there is no such row.
    pub fn row(&self, row: u32) -> &[f32] {
        let start = row as usize * self.dimension;
        self.data.get(start..start + self.dimension).unwrap_or(&[])
    }

    /// The id of `row`.
    pub fn id(&self, row: u32) -> Option<i64> {
        self.ids.get(row as usize).copied()
    }

    /// The row of `id`.
    pub fn find(&self, id: i64) -> Option<u32> {
        let row = self.ids.binary_search(&id).ok()?;
        u32::try_from(row).ok()
    }

    /// Adds a row. False when its id is not above all others, its length is wrong, it is not finite, or there are as
    /// many rows as a `u32` counts.
    pub fn push(&mut self, id: i64, bytes: &[u8]) -> bool {
        let ascending = self.ids.last().is_none_or(|&last| last < id);
        let countable = u32::try_from(self.ids.len() + 1).is_ok();
        if !ascending || !countable || bytes.len() != self.dimension * size_of::<f32>() {
            return false;
        }
        let start = self.data.len();
        self.data.extend(floats(bytes));
        let finite = self.data.iter().skip(start).all(|x| x.is_finite());
        if finite {
            self.ids.push(id);
        } else {
            self.data.truncate(start);
        }
        finite
    }

    /// Takes the rows of `ids` out, which ascend.
    pub fn remove(&mut self, ids: &[i64]) {
        let mut kept = Self::new(self.dimension);
        for (row, &id) in (0u32..).zip(&self.ids) {
            if ids.binary_search(&id).is_err() {
                kept.ids.push(id);
                kept.data.extend_from_slice(self.row(row));
            }
        }
        *self = kept;
    }

    /// Offers each of `rows` to `best`.
    pub fn scan(&self, query: &[f32], rows: impl Iterator<Item = u32>, best: &mut Best) {
        for row in rows {
            let score = dot(query, self.row(row));
            best.offer(Scored { row, score });
        }
    }
}

/// Independent sums of [`dot`]: enough to fill two vector registers of eight lanes, so that the compiler vectorizes.
const LANES: usize = 16;

/// Inner product; of unit vectors the cosine.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_lanes.remainder().iter().zip(b_lanes.remainder());
    let rest: f32 = rest.map(|(x, y)| x * y).sum();
    for (a, b) in a_lanes.zip(b_lanes) {
        for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// A vector as its row holds it: f32, little-endian.
pub(super) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The other way; bytes after the last whole number are left out.
pub(super) fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| f32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_equals_the_plain_sum() {
        let a: Vec<f32> = (0..391u16).map(|i| f32::from(i % 7) - 3.0).collect();
        let b: Vec<f32> = (0..391u16).map(|i| f32::from(i % 5) * 0.5).collect();
        let plain: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
        assert!((dot(&a, &b) - plain).abs() < 1e-3);
    }

    #[test]
    fn equal_scores_come_in_order_of_rows() {
        let mut best = Best::of(3);
        for row in [5, 1, 4, 2, 3] {
            best.offer(Scored { row, score: 0.5 });
        }
        let rows: Vec<u32> = best.into_sorted().iter().map(|scored| scored.row).collect();
        assert_eq!(rows, [1, 2, 3]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let mut vectors = Vectors::new(2);
        assert!(vectors.push(1, &to_bytes(&[1.0, 0.0])));
        assert!(!vectors.push(1, &to_bytes(&[1.0, 0.0])), "same id");
        assert!(!vectors.push(2, &to_bytes(&[1.0])), "short");
        assert!(!vectors.push(2, &to_bytes(&[f32::NAN, 0.0])), "not finite");
        assert!(vectors.push(3, &to_bytes(&[0.0, 1.0])));
        vectors.remove(&[1, 2]);
        assert_eq!((vectors.ids(), vectors.row(0)), (&[3][..], &[0.0, 1.0][..]));
        assert_eq!(vectors.row(9), &[] as &[f32]);
    }
}
