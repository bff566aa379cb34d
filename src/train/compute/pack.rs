//! Several sequences, one after the other.

/// Tokens of several sequences. Each sequence begins at position 0 and sees only itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pack {
    tokens: Vec<u32>,
    positions: Vec<usize>,
    lengths: Vec<usize>,
}

impl Pack {
    /// Appends a sequence and says in which row of the pack it begins. An empty one changes nothing.
    pub fn push(&mut self, tokens: &[u32]) -> usize {
        let start = self.tokens.len();
        if !tokens.is_empty() {
            self.tokens.extend_from_slice(tokens);
            self.positions.extend(0..tokens.len());
            self.lengths.push(tokens.len());
        }
        start
    }

    /// All tokens.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The position of each token in its sequence.
    pub(super) fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// Tokens of the longest sequence.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0)
    }

    /// Cuts rows of `width` values into the parts of the sequences.
    pub(super) fn cut<'a>(&self, mut rows: &'a [f32], width: usize) -> Vec<&'a [f32]> {
        let mut parts = Vec::with_capacity(self.lengths.len());
        for length in &self.lengths {
            let (part, rest) = rows.split_at(length * width);
            parts.push(part);
            rows = rest;
        }
        parts
    }

    /// As [`Self::cut`], to write.
    pub(super) fn cut_mut<'a>(&self, mut rows: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
        let mut parts = Vec::with_capacity(self.lengths.len());
        for length in &self.lengths {
            let (part, rest) = rows.split_at_mut(length * width);
            parts.push(part);
            rows = rest;
        }
        parts
    }
}
