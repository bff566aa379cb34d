//! Several sequences, one after the other.

use std::ops::Range;

/// Tokens of several sequences. Each begins at position 0 and sees only itself.
///
/// What all of them begin with, such as a template's system message, stands once, in front: each token of it has the same
/// values in every sequence, and its gradient is the sum of theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pack {
    tokens: Vec<u32>,
    positions: Vec<usize>,
    /// Tokens that stand once for all.
    shared: usize,
    /// Where the own tokens of each sequence begin, and at the end how many there are in all.
    starts: Vec<usize>,
}

/// Rows of the pack that see each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// At least one.
    pub(super) own: Range<usize>,
    /// Rows from the first that come before them.
    pub(super) before: usize,
}

impl Pack {
    /// Puts sequences together.
    #[must_use]
    pub fn of(sequences: &[&[u32]]) -> Self {
        let shared = shared(sequences);
        let mut pack = Self {
            shared,
            ..Self::default()
        };
        if let Some(first) = sequences.first() {
            pack.append(&first[..shared], 0);
        }
        for sequence in sequences {
            pack.starts.push(pack.tokens.len());
            pack.append(&sequence[shared..], shared);
        }
        pack.starts.push(pack.tokens.len());
        pack
    }

    fn append(&mut self, tokens: &[u32], position: usize) {
        self.tokens.extend_from_slice(tokens);
        self.positions.extend((position..).take(tokens.len()));
    }

    /// All tokens that are computed.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The row of a sequence's token.
    #[must_use]
    pub fn row(&self, sequence: usize, index: usize) -> usize {
        match index.checked_sub(self.shared) {
            Some(own) => self.starts[sequence] + own,
            None => index,
        }
    }

    /// The position of each token in its sequence.
    pub(super) fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// Tokens of the longest sequence.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.positions
            .iter()
            .max()
            .map_or(0, |position| position + 1)
    }

    /// What is shared, if there is any, then each sequence's own rows: together all rows, in order.
    pub(super) fn parts(&self) -> Vec<Part> {
        let shared = Part {
            own: 0..self.shared,
            before: 0,
        };
        let own = self.starts.windows(2).map(|ends| Part {
            own: ends[0]..ends[1],
            before: self.shared,
        });
        let parts = std::iter::once(shared).chain(own);
        parts.filter(|part| !part.own.is_empty()).collect()
    }
}

/// Tokens that two sequences or more begin with, all of them; each keeps one of its own.
fn shared(sequences: &[&[u32]]) -> usize {
    let [first, others @ ..] = sequences else {
        return 0;
    };
    let common = |other: &&[u32]| {
        let pairs = first.iter().zip(*other);
        let same = pairs.take_while(|(a, b)| a == b).count();
        same.min(first.len().min(other.len()).saturating_sub(1))
    };
    others.iter().map(common).min().unwrap_or(0)
}

impl Part {
    /// The own rows, of `width` values.
    pub(super) fn own<'a>(&self, rows: &'a [f32], width: usize) -> &'a [f32] {
        &rows[self.own.start * width..self.own.end * width]
    }

    /// The rows before and the own ones.
    pub(super) fn all(&self, rows: &[f32], width: usize) -> Vec<f32> {
        let before = &rows[..self.before * width];
        [before, self.own(rows, width)].concat()
    }

    /// Adds `values` of the rows before and the own ones to `rows`.
    pub(super) fn add_all(&self, rows: &mut [f32], values: &[f32], width: usize) {
        let (before, own) = values.split_at(self.before * width);
        let add = |to: &mut [f32], from: &[f32]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        add(&mut rows[..self.before * width], before);
        add(&mut rows[self.own.start * width..self.own.end * width], own);
    }
}

/// Cuts rows of `width` values into the own ones of each part.
pub(super) fn cut_mut<'a>(
    parts: &[Part],
    mut rows: &'a mut [f32],
    width: usize,
) -> Vec<&'a mut [f32]> {
    let mut cut = Vec::with_capacity(parts.len());
    for part in parts {
        let (own, rest) = rows.split_at_mut(part.own.len() * width);
        cut.push(own);
        rows = rest;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_begin_with_stands_once() {
        let pack = Pack::of(&[&[1, 2, 3, 4], &[1, 2, 5], &[1, 2, 3]]);
        assert_eq!(pack.tokens(), [1, 2, 3, 4, 5, 3]);
        assert_eq!(pack.positions(), [0, 1, 2, 3, 2, 2]);
        assert_eq!(pack.longest(), 4);
        let rows = |sequence, n| (0..n).map(|i| pack.row(sequence, i)).collect::<Vec<_>>();
        assert_eq!(rows(0, 4), [0, 1, 2, 3]);
        assert_eq!(rows(1, 3), [0, 1, 4]);
        assert_eq!(rows(2, 3), [0, 1, 5]);
        let parts = pack.parts();
        let own: Vec<_> = parts.iter().map(|p| (p.own.clone(), p.before)).collect();
        assert_eq!(own, [(0..2, 0), (2..4, 2), (4..5, 2), (5..6, 2)]);
    }

    #[test]
    fn each_keeps_a_token_of_its_own() {
        assert_eq!(Pack::of(&[&[7, 8], &[7, 8]]).tokens(), [7, 8, 8]);
        assert_eq!(Pack::of(&[&[7, 8], &[9]]).tokens(), [7, 8, 9]);
        let one = Pack::of(&[&[7, 8]]);
        assert_eq!((one.parts().len(), one.row(0, 1)), (1, 1));
        let none = Pack::of(&[&[], &[7]]);
        assert_eq!((none.tokens(), none.parts().len()), (&[7][..], 1));
        assert!(Pack::of(&[]).parts().is_empty());
    }
}
