//! Prompt and continuation as tokens, split as lm-eval splits them.

use crate::Result;
use crate::engine::{Model, ScoreItem, Token};

/// Tokens of a prompt with a continuation; those from `start` on are the continuation's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    pub tokens: Vec<Token>,
    /// At least 1, and before the end.
    pub start: usize,
}

/// Encodes a prompt with its continuation as lm-eval's `_encode_pair` does: white space at the prompt's end belongs to
/// the continuation, and what the continuation's tokens are is found by encoding the prompt alone. Between a prompt and a
/// continuation that have no white space between them stands one space.
pub fn continuation(model: &Model, prompt: &str, text: &str) -> Result<Whole> {
    let context = prompt.trim_end();
    let space = &prompt[context.len()..];
    let needs_space = space.is_empty() && !text.starts_with(char::is_whitespace);
    let space = if needs_space { " " } else { space };
    let mut tokens = model.tokenize(&format!("{context}{space}{text}"))?;
    let mut start = model.tokenize(context)?.len();
    if start == 0 {
        // Nothing to condition on: the beginning of a text, or else its first token given twice.
        let first = model.bos().or_else(|| tokens.first().copied());
        tokens.splice(0..0, first);
        start = 1;
    }
    let start = start.min(tokens.len().saturating_sub(1)).max(1);
    Ok(Whole { tokens, start })
}

/// Several continuations of one prompt as an item to score: what they begin with is its prefix.
pub fn branching(wholes: &[Whole]) -> ScoreItem {
    let Some((first, rest)) = wholes.split_first() else {
        return ScoreItem::branching(Vec::new(), Vec::new());
    };
    let mut common = first.start.min(first.tokens.len() - 1);
    for whole in rest {
        let same = first.tokens.iter().zip(&whole.tokens);
        let same = same.take_while(|(a, b)| a == b).count();
        common = common.min(same).min(whole.start);
    }
    let branches = wholes.iter().map(|whole| whole.tokens[common..].to_vec());
    ScoreItem::branching(first.tokens[..common].to_vec(), branches.collect())
}

/// Which token of `whole` a row of its item is about, given the length of the item's prefix.
pub fn target(whole: &Whole, prefix: usize, branch: Option<usize>, index: usize) -> Option<Token> {
    let place = match branch {
        None => index + 1,
        Some(_) => prefix + index + 1,
    };
    (place >= whole.start).then(|| whole.tokens.get(place).copied())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(tokens: &[i32], start: usize) -> Whole {
        Whole {
            tokens: tokens.iter().map(|&token| Token(token)).collect(),
            start,
        }
    }

    #[test]
    fn what_choices_share_is_the_prefix() {
        let wholes = [whole(&[1, 2, 3, 4], 3), whole(&[1, 2, 3, 5, 6], 3)];
        let item = branching(&wholes);
        assert_eq!(item.prefix.len(), 3);
        assert_eq!(item.branches[1], [Token(5), Token(6)]);
        assert_eq!(target(&wholes[0], 3, None, 2), Some(Token(4)));
        assert_eq!(target(&wholes[1], 3, Some(1), 0), Some(Token(6)));
        assert_eq!(target(&wholes[1], 3, Some(1), 1), None);
    }

    #[test]
    fn a_prompt_that_merges_with_its_continuation_is_not_scored() {
        // The second's prompt ends in another token: it goes into the branches, unscored.
        let wholes = [whole(&[1, 2, 3], 2), whole(&[1, 9, 3], 2)];
        let item = branching(&wholes);
        assert_eq!((item.prefix.len(), item.branches[0].len()), (1, 2));
        assert_eq!(target(&wholes[0], 1, None, 0), None);
        assert_eq!(target(&wholes[0], 1, Some(0), 0), Some(Token(3)));
    }
}
