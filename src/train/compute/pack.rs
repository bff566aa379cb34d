//! Several sequences, one after the other.

use std::ops::Range;

/// Tokens of several sequences. Each begins at position 0 and sees only itself.
///
/// What several of them begin with, such as a template's system message, stands once, in front of them: each token of it
/// has the same values in every sequence, and its gradient is the sum of theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pack {
    tokens: Vec<u32>,
    positions: Vec<usize>,
    /// In the order of their rows.
    parts: Vec<Part>,
    /// Of each sequence, the rows that it shares and its own.
    places: Vec<(Range<usize>, Range<usize>)>,
}

/// Rows of the pack that see each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// At least one.
    pub(super) own: Range<usize>,
    /// Rows that come before them in their sequence.
    pub(super) before: Range<usize>,
}

/// Sequences that begin alike.
struct Group {
    members: Vec<usize>,
    /// Tokens that all of them begin with.
    shared: usize,
}

impl Pack {
    /// Puts sequences together.
    #[must_use]
    pub fn of(sequences: &[&[u32]]) -> Self {
        let mut pack = Self {
            places: vec![(0..0, 0..0); sequences.len()],
            ..Self::default()
        };
        for Group { members, shared } in groups(sequences) {
            let first = members.first().map_or(&[][..], |&first| sequences[first]);
            let nothing = pack.tokens.len()..pack.tokens.len();
            let common = pack.append(&first[..shared], 0, nothing);
            for member in members {
                let own = &sequences[member][shared..];
                let own = pack.append(own, shared, common.clone());
                pack.places[member] = (common.clone(), own);
            }
        }
        pack
    }

    /// The rows of `tokens`, which come after `before`.
    fn append(&mut self, tokens: &[u32], position: usize, before: Range<usize>) -> Range<usize> {
        let own = self.tokens.len()..self.tokens.len() + tokens.len();
        self.tokens.extend_from_slice(tokens);
        self.positions.extend((position..).take(tokens.len()));
        if !own.is_empty() {
            let own = own.clone();
            self.parts.push(Part { own, before });
        }
        own
    }

    /// All tokens that are computed.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The row of a sequence's token.
    #[must_use]
    pub fn row(&self, sequence: usize, index: usize) -> usize {
        let (shared, own) = &self.places[sequence];
        match index.checked_sub(shared.len()) {
            Some(index) => own.start + index,
            None => shared.start + index,
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

    /// What is shared, and each sequence's own rows: together all rows, in order.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// Shares out sequences so that few tokens are computed: each joins the group where most is saved by it, if anything is.
fn groups(sequences: &[&[u32]]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, sequence) in sequences.iter().enumerate() {
        // What stands once instead of in each of `n` is saved `n - 1` times.
        let joined = |group: &Group| {
            let shared = group
                .shared
                .min(common(sequences[group.members[0]], sequence));
            let n = group.members.len();
            let (before, after) = ((n - 1) * group.shared, n * shared);
            (after.saturating_sub(before), shared)
        };
        let best = groups.iter_mut().map(|group| (joined(group), group));
        match best.max_by_key(|((saved, _), _)| *saved) {
            Some(((1.., shared), group)) => {
                group.members.push(index);
                group.shared = shared;
            }
            _ => groups.push(Group {
                members: vec![index],
                shared: usize::MAX,
            }),
        }
    }
    for group in &mut groups {
        if group.members.len() < 2 {
            group.shared = 0;
        }
    }
    groups
}

/// Tokens that both begin with; each keeps one of its own.
fn common(a: &[u32], b: &[u32]) -> usize {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    same.min(a.len().min(b.len()).saturating_sub(1))
}

impl Part {
    /// The own rows, of `width` values.
    pub(super) fn own<'a>(&self, rows: &'a [f32], width: usize) -> &'a [f32] {
        &rows[self.own.start * width..self.own.end * width]
    }

    /// The rows before and the own ones.
    pub(super) fn all(&self, rows: &[f32], width: usize) -> Vec<f32> {
        let before = &rows[self.before.start * width..self.before.end * width];
        [before, self.own(rows, width)].concat()
    }

    /// Adds `values` of the rows before and the own ones to `rows`.
    pub(super) fn add_all(&self, rows: &mut [f32], values: &[f32], width: usize) {
        let (before, own) = values.split_at(self.before.len() * width);
        let add = |to: &mut [f32], from: &[f32]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        let mut add_at =
            |at: &Range<usize>, from| add(&mut rows[at.start * width..at.end * width], from);
        add_at(&self.before, before);
        add_at(&self.own, own);
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
        let own: Vec<_> = parts
            .iter()
            .map(|p| (p.own.clone(), p.before.clone()))
            .collect();
        assert_eq!(
            own,
            [(0..2, 0..0), (2..4, 0..2), (4..5, 0..2), (5..6, 0..2)]
        );
    }

    #[test]
    fn what_begins_otherwise_leaves_the_others_their_beginning() {
        let pack = Pack::of(&[
            &[1, 2, 3, 4],
            &[1, 9],
            &[1, 2, 3, 5],
            &[8, 1],
            &[8, 2],
            &[7],
        ]);
        // The second has joined the first before the third, which would have had more in common with it, came.
        assert_eq!(pack.tokens(), [1, 2, 3, 4, 9, 2, 3, 5, 8, 1, 2, 7]);
        let chats = Pack::of(&[&[1, 2, 3, 4], &[1, 2, 3, 5], &[1, 9], &[1, 2, 3, 6]]);
        assert_eq!(chats.tokens(), [1, 2, 3, 4, 5, 6, 1, 9]);
        let rows = |sequence, n| (0..n).map(|i| chats.row(sequence, i)).collect::<Vec<_>>();
        assert_eq!(rows(3, 4), [0, 1, 2, 5]);
        assert_eq!(rows(2, 2), [6, 7]);
        assert_eq!(chats.positions(), [0, 1, 2, 3, 3, 3, 0, 1]);
        let before: Vec<_> = chats
            .parts()
            .iter()
            .map(|part| part.before.clone())
            .collect();
        assert_eq!(before, [0..0, 0..3, 0..3, 0..3, 6..6]);
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
