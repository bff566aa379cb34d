//! Unit vectors as int8 codes: what the walk compares.
//!
//! One scale for all, so that sums of products compare as they are. It is chosen so that all but one number in ten
//! thousand fit; what does not is cut off at the end of the scale. Exact scores come from the vectors themselves.

use super::kernel::{LANE, OFFSET, QueryCodes};

/// Largest code; as far below zero as above, so that a number and its negative have codes of one size.
const MAX_CODE: f32 = 127.0;

/// Share of numbers that may be beyond the scale.
const BEYOND: u64 = 10_000;

/// Steps of the histogram that the scale is read from; numbers of unit vectors are within -1 and 1.
const STEPS: usize = 4096;

/// Sizes of the numbers that are to be put into codes.
#[derive(Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    pub fn new() -> Self {
        Self {
            counts: vec![0; STEPS],
        }
    }

    pub fn add(&mut self, numbers: impl Iterator<Item = f32>) {
        for number in numbers {
            // Saturates: beyond 1 is the last step. Numbers here are finite.
            let step = (number.abs() * STEPS as f32) as usize;
            if let Some(count) = self.counts.get_mut(step.min(STEPS - 1)) {
                *count += 1;
            }
        }
    }

    /// The scale for these numbers.
    pub fn scale(&self) -> Scale {
        let all: u64 = self.counts.iter().sum();
        let mut beyond = all / BEYOND;
        let mut step = STEPS;
        for (at, &count) in self.counts.iter().enumerate().rev() {
            step = at + 1;
            if count > beyond {
                break;
            }
            beyond -= count;
        }
        Scale(MAX_CODE * STEPS as f32 / step as f32)
    }
}

/// How many codes one is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale(pub f32);

impl Scale {
    /// Whether it can be used: what a damaged file says need not be.
    pub fn is_sound(self) -> bool {
        self.0.is_finite() && self.0 > 0.0
    }

    fn code(self, number: f32) -> i8 {
        // In range, so nothing is lost but the fraction.
        (number * self.0).round().clamp(-MAX_CODE, MAX_CODE) as i8
    }

    /// Appends the row of `vector`, filled up to a whole number of lanes.
    pub fn append(self, vector: impl Iterator<Item = f32>, rows: &mut Vec<u8>) {
        rows.extend(vector.map(|number| self.code(number).cast_unsigned() ^ OFFSET));
        rows.resize(rows.len().next_multiple_of(LANE), OFFSET);
    }

    /// Puts `vector` into `query`.
    pub fn query(self, vector: &[f32], query: &mut QueryCodes) {
        query.set(vector.iter().map(|&number| self.code(number)));
    }
}

/// Bytes of a row for vectors of this length.
pub(super) fn stride(dimension: usize) -> usize {
    dimension.next_multiple_of(LANE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_fits_all_but_few() {
        let mut histogram = Histogram::new();
        histogram.add((0..20_000u16).map(|i| f32::from(i % 100) / 400.0));
        histogram.add([0.9, -0.9].into_iter());
        let Scale(scale) = histogram.scale();
        assert!((scale * 99.0 / 400.0 - 127.0).abs() < 1.0, "{scale}");
        assert_eq!(Scale(scale).code(-0.9), -127);
    }

    #[test]
    fn nothing_at_all_has_a_scale() {
        assert!(Histogram::new().scale().is_sound());
    }

    #[test]
    fn rows_are_filled_up() {
        let mut rows = Vec::new();
        Scale(127.0).append([1.0, -1.0, 0.0].into_iter(), &mut rows);
        assert_eq!(rows.len(), stride(3));
        assert_eq!(rows[..4], [255, 1, 128, 128]);
    }
}
