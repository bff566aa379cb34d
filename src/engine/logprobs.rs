//! Log-probabilities of chosen tokens and of their likeliest alternatives.

use super::divergence::Normalizer;
use super::model::Model;
use crate::llama::Token;

/// A token with its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub token: Token,
    /// Its bytes; a token can end inside a character.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability, before temperature and filters; `None` for the first token of a prompt.
    pub logprob: Option<f64>,
    /// The likeliest tokens at its place, the likeliest first.
    pub top: Vec<Alternative>,
}

/// A token that could have been chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// The token.
    pub token: Token,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f64,
}

impl TokenLogprob {
    /// A token without a probability: the first of a prompt, which follows nothing.
    pub(super) fn first(model: &Model, token: Token) -> Self {
        Self {
            token,
            bytes: model.token_bytes(token),
            logprob: None,
            top: Vec::new(),
        }
    }

    /// What `logits` say of `token`, with the `n_top` likeliest. `None` if a logit is not finite.
    pub(super) fn of(model: &Model, logits: &[f32], token: Token, n_top: usize) -> Option<Self> {
        let normalizer = Normalizer::of(logits)?;
        let index = usize::try_from(token.0).ok()?;
        Some(Self {
            token,
            bytes: model.token_bytes(token),
            logprob: Some(normalizer.log_probability(*logits.get(index)?)),
            top: likeliest(logits, n_top)
                .into_iter()
                .map(|(token, logit)| Alternative {
                    token,
                    bytes: model.token_bytes(token),
                    logprob: normalizer.log_probability(logit),
                })
                .collect(),
        })
    }
}

/// The `n` largest logits with their tokens, the largest first; of equals the first.
fn likeliest(logits: &[f32], n: usize) -> Vec<(Token, f32)> {
    let mut best: Vec<(Token, f32)> = Vec::with_capacity(n + 1);
    for (id, &logit) in (0i32..).zip(logits) {
        if best.len() == n && best.last().is_none_or(|&(_, least)| logit <= least) {
            continue;
        }
        let at = best.partition_point(|&(_, other)| other >= logit);
        best.insert(at, (Token(id), logit));
        best.truncate(n);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_in_order() {
        let ids = |n| -> Vec<i32> {
            likeliest(&[0.5, 3.0, -1.0, 3.0, 2.0], n)
                .into_iter()
                .map(|(token, _)| token.0)
                .collect()
        };
        assert_eq!(ids(3), [1, 3, 4]);
        assert_eq!(ids(0), [0i32; 0]);
        assert_eq!(ids(9), [1, 3, 4, 0, 2]);
    }
}
