//! Greedy answers, many at a time, each along a guess as far as that holds.

use super::round::{MIN_SHARED, SHARED, Step, check, execute, run_round};
use super::worker::Worker;
use super::{RowAt, ScoreItem};
use crate::engine::common_prefix::common_prefix;
use crate::engine::divergence;
use crate::engine::model::Model;
use crate::error::{Error, Result};
use crate::llama::{CancelToken, Token};

/// A prompt to answer, with a guess how the answer goes. Prompt and guess are computed in one pass; the answer goes on by
/// itself from the first token that the guess has not. The answer is the same whatever the guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// At least one token.
    pub prompt: Vec<Token>,
    /// May be empty.
    pub guess: Vec<Token>,
}

/// A greedy answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GreedyAnswer {
    /// Its tokens, without the one that ended it.
    pub tokens: Vec<Token>,
    /// Whether the model ended it, and not the limit.
    pub ended: bool,
}

impl GreedyAnswer {
    /// What the likeliest tokens at each place of a guess, and after it, make of an answer.
    fn along(guess: &[Token], tops: &[Token], model: &Model) -> Self {
        let mut answer = Self::default();
        for (i, &top) in tops.iter().enumerate() {
            answer.take(top, model);
            if answer.ended || guess.get(i) != Some(&top) {
                break;
            }
        }
        answer
    }

    fn take(&mut self, token: Token, model: &Model) {
        if model.engine().is_end_of_generation(token) {
            self.ended = true;
        } else {
            self.tokens.push(token);
        }
    }

    fn is_open(&self, max_tokens: usize) -> bool {
        !self.ended && self.tokens.len() < max_tokens
    }
}

impl Worker {
    /// See [`super::Scorer::answer`].
    pub(super) fn answer(
        &mut self,
        openings: &[Opening],
        max_tokens: usize,
        cancel: &CancelToken,
        visit: &mut dyn FnMut(RowAt, &[f32]) -> Result<()>,
    ) -> Result<Vec<GreedyAnswer>> {
        let mut answers = Vec::with_capacity(openings.len());
        while answers.len() < openings.len() {
            let start = answers.len();
            let rest = &openings[start..];
            let group = &rest[..self.together(rest, max_tokens)?];
            let done = self.answer_group(group, max_tokens, cancel, &mut |at, row| {
                visit(at.after(start), row)
            });
            match done {
                Ok(more) => {
                    self.drop_sequences(group.len());
                    answers.extend(more);
                }
                Err(error) => {
                    // Part of a batch may be in the cache.
                    self.forget();
                    return Err(error);
                }
            }
        }
        Ok(answers)
    }

    /// How many of the first are answered together: at least one, and as evenly as can be, since a few answers take as
    /// many steps as many.
    fn together(&self, openings: &[Opening], max_tokens: usize) -> Result<usize> {
        let first = openings[0].prompt.as_slice();
        let (mut common, mut own) = (first.len(), 0);
        let cells = |common: usize, n: usize, own: usize| match common {
            ..MIN_SHARED => own,
            _ => own - (n - 1) * common,
        };
        let fit = openings
            .iter()
            .take(self.options.n_seq as usize - 1)
            .enumerate()
            .take_while(|(i, opening)| {
                // The last token of a prompt is never shared: its row is wanted.
                let inner = &opening.prompt[..opening.prompt.len().saturating_sub(1)];
                common = common.min(common_prefix(first, inner));
                own += opening.prompt.len() + max_tokens;
                cells(common, i + 1, own) <= self.options.n_ctx as usize
            })
            .count();
        if fit == 0 {
            return Err(Error::ContextFull {
                n_tokens: own,
                n_ctx: self.options.n_ctx as usize,
            });
        }
        Ok(openings.len().div_ceil(openings.len().div_ceil(fit)))
    }

    fn answer_group(
        &mut self,
        openings: &[Opening],
        max_tokens: usize,
        cancel: &CancelToken,
        visit: &mut dyn FnMut(RowAt, &[f32]) -> Result<()>,
    ) -> Result<Vec<GreedyAnswer>> {
        // The row of the last token that may be guessed is about one too many.
        let guess = |opening: &Opening| opening.guess.len().min(max_tokens.saturating_sub(1));
        let items: Vec<ScoreItem> = openings
            .iter()
            .map(|opening| {
                let guess = &opening.guess[..guess(opening)];
                let whole = [opening.prompt.as_slice(), guess].concat();
                ScoreItem::text(whole, opening.prompt.len())
            })
            .collect();
        items
            .iter()
            .try_for_each(|item| check(item, &self.options))?;
        let mut tops = vec![Vec::new(); openings.len()];
        let refs: Vec<&ScoreItem> = items.iter().collect();
        run_round(&mut [&mut *self], &refs, 0, cancel, &mut |mut at, rows| {
            at.index = (at.index + 1).saturating_sub(openings[at.item].prompt.len());
            visit(at, rows[0])?;
            tops[at.item].push(likeliest(at, rows[0])?);
            Ok(())
        })?;
        let model = self.model.clone();
        let mut answers: Vec<GreedyAnswer> = openings
            .iter()
            .zip(&tops)
            .map(|(opening, tops)| {
                GreedyAnswer::along(&opening.guess[..guess(opening)], tops, &model)
            })
            .collect();
        for (i, answer) in answers.iter().enumerate() {
            // The last token of an answer is chosen, but not computed yet; what was guessed beyond it is forgotten.
            let known = openings[i].prompt.len() + answer.tokens.len().saturating_sub(1);
            if answer.is_open(max_tokens) && known < items[i].prefix.len() {
                self.cut(sequence(i), known)?;
            }
        }
        while let Some(step) = next_step(openings, &answers, max_tokens) {
            execute(&mut [&mut *self], &step, cancel, &mut |at, rows| {
                visit(at, rows[0])?;
                answers[at.item].take(likeliest(at, rows[0])?, &model);
                Ok(())
            })?;
        }
        Ok(answers)
    }
}

/// The sequence of the `item`-th of a group.
fn sequence(item: usize) -> u32 {
    SHARED + 1 + u32::try_from(item).unwrap_or(u32::MAX)
}

/// One more token of each answer that goes on; `None` when none does.
fn next_step(openings: &[Opening], answers: &[GreedyAnswer], max_tokens: usize) -> Option<Step> {
    let mut step = Step::default();
    for (item, (opening, answer)) in openings.iter().zip(answers).enumerate() {
        let Some(&last) = answer.tokens.last() else {
            continue;
        };
        if answer.is_open(max_tokens) {
            let index = answer.tokens.len();
            let at = RowAt {
                item,
                branch: Some(0),
                index,
            };
            let position = opening.prompt.len() + index - 1;
            step.push(last, position, sequence(item), Some(at));
        }
    }
    (!step.tokens.is_empty()).then_some(step)
}

fn likeliest(at: RowAt, row: &[f32]) -> Result<Token> {
    let top = divergence::top(row).ok_or_else(|| Error::NonFinite {
        place: format!("item {}, token {}", at.item, at.index),
    })?;
    Ok(Token(i32::try_from(top).unwrap_or(-1)))
}
