//! Where the last tokens of a text came before in it.

use std::collections::HashMap;

use crate::llama::Token;

/// Tokens that must have come before in the same order. Two of them are often chance; more are found too late.
const MATCH: usize = 3;

/// A text with an index of its runs of tokens.
#[derive(Debug)]
pub(super) struct Lookup {
    text: Vec<Token>,
    /// Where the last run of these tokens ended, the end of the text left out.
    ends: HashMap<[i32; MATCH], usize>,
}

impl Lookup {
    pub(super) fn new(text: &[Token]) -> Self {
        let mut lookup = Self {
            text: Vec::with_capacity(2 * text.len()),
            ends: HashMap::with_capacity(text.len()),
        };
        text.iter().for_each(|&token| lookup.push(token));
        lookup
    }

    /// Adds a token to the text.
    pub(super) fn push(&mut self, token: Token) {
        // The run that ended here has something after it now.
        if let Some(run) = self.last_run() {
            self.ends.insert(run, self.text.len());
        }
        self.text.push(token);
    }

    fn last_run(&self) -> Option<[i32; MATCH]> {
        let run: &[Token; MATCH] = self.text.last_chunk()?;
        Some(run.map(|token| token.0))
    }

    /// What came after the last tokens of the text when they came before: `length` tokens or none. Where the text repeats
    /// itself, the draft goes on repeating.
    pub(super) fn draft(&self, length: usize) -> Vec<Token> {
        let found = self.last_run().and_then(|run| self.ends.get(&run));
        let Some(&start) = found else {
            return Vec::new();
        };
        let period = self.text.len() - start;
        (0..length).map(|i| self.text[start + i % period]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(ids: &[i32]) -> Vec<Token> {
        ids.iter().copied().map(Token).collect()
    }

    #[test]
    fn it_goes_on_as_it_did_the_last_time() {
        let lookup = Lookup::new(&tokens(&[1, 2, 3, 4, 5, 1, 2, 3, 6, 7, 8, 9, 1, 2, 3]));
        assert_eq!(lookup.draft(4), tokens(&[6, 7, 8, 9]));
        assert!(lookup.draft(0).is_empty());
    }

    #[test]
    fn nothing_is_drafted_where_nothing_repeats() {
        for text in [&[][..], &[1], &[1, 2, 3], &[1, 2, 3, 4, 9, 2, 3]] {
            assert!(Lookup::new(&tokens(text)).draft(3).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn a_repetition_goes_on() {
        let mut lookup = Lookup::new(&tokens(&[7, 1, 2, 1, 2]));
        assert!(lookup.draft(3).is_empty());
        lookup.push(Token(1));
        assert_eq!(lookup.draft(5), tokens(&[2, 1, 2, 1, 2]));
    }
}
