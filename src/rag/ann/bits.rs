//! A set of small numbers as bits.

/// Numbers below a limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::rag) struct Bits(Vec<u64>);

impl Bits {
    /// None of the numbers below `limit`.
    pub fn none(limit: usize) -> Self {
        Self(vec![0; limit.div_ceil(64)])
    }

    /// All of the numbers below `limit`.
    pub fn all(limit: usize) -> Self {
        let mut bits = Self(vec![u64::MAX; limit.div_ceil(64)]);
        if let Some(last) = bits.0.last_mut()
            && !limit.is_multiple_of(64)
        {
            *last = (1 << (limit % 64)) - 1;
        }
        bits
    }

    /// Empties the set and sets its limit.
    pub fn reset(&mut self, limit: usize) {
        self.0.clear();
        self.0.resize(limit.div_ceil(64), 0);
    }

    /// Whether `number` is in the set; nothing from the limit on is.
    #[inline]
    pub fn has(&self, number: u32) -> bool {
        let word = self.0.get(number as usize / 64);
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Adds `number`; false when it was there, or is not below the limit.
    #[inline]
    pub fn add(&mut self, number: u32) -> bool {
        let bit = 1u64 << (number % 64);
        self.0.get_mut(number as usize / 64).is_some_and(|word| {
            let new = *word & bit == 0;
            *word |= bit;
            new
        })
    }

    /// Takes `number` out; false when it was not in.
    pub fn remove(&mut self, number: u32) -> bool {
        let bit = 1u64 << (number % 64);
        self.0.get_mut(number as usize / 64).is_some_and(|word| {
            let had = *word & bit != 0;
            *word &= !bit;
            had
        })
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0u32..)
            .step_by(64)
            .zip(&self.0)
            .flat_map(|(first, &word)| {
                let mut left = word;
                std::iter::from_fn(move || {
                    let bit = (left != 0).then(|| left.trailing_zeros())?;
                    left &= left - 1;
                    Some(first + bit)
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_set() {
        let mut bits = Bits::none(130);
        assert!(bits.add(3) && bits.add(64) && bits.add(129));
        assert!(!bits.add(64), "twice");
        assert!(!bits.add(192), "beyond");
        assert!(bits.remove(64) && !bits.remove(64));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [3, 129]);
        assert!(bits.has(3) && !bits.has(4) && !bits.has(1_000));
        for limit in [0, 1, 63, 64, 65] {
            assert_eq!(Bits::all(limit).count(), limit);
        }
    }
}
