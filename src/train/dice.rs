//! What training leaves to chance, the same for the same seed.

use unforget_quant::splitmix::SplitMix64;

/// First weights and the order of rows, from a seed alone.
#[derive(Debug, Clone)]
pub(super) struct Dice(SplitMix64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// Uniform from `-bound` to `bound`.
    pub(super) fn symmetric(&mut self, bound: f32) -> f32 {
        let unit = (self.0.next() >> 40) as f32 / (1_u64 << 24) as f32;
        (2.0 * unit - 1.0) * bound
    }

    /// Uniform below `n`, which is positive. The bias of the remainder is below `n / 2^64`.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.0.next() % n as u64).unwrap_or(0)
    }

    /// `0..n` in an order of its own (Fisher and Yates).
    pub(super) fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for at in (1..n).rev() {
            order.swap(at, self.below(at + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_each_once() {
        let mut order = Dice::new(3).order(100);
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
