//! A row as tokens, with what of it is learnt: the assistant's tokens, and the one that ends each answer.

use super::rows::Row;
use crate::engine::{ChatMessage, Model, Role, Token};
use crate::{Error, Result};

/// A sequence to learn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The line of its row.
    pub line: usize,
    /// All tokens.
    pub tokens: Vec<u32>,
    /// Indices of the tokens that are learnt; none is 0.
    pub learnt: Vec<usize>,
}

/// Rows that became examples, and those that are too long.
#[derive(Debug, Clone, Default)]
pub struct Examples {
    /// What is trained on.
    pub examples: Vec<Example>,
    /// Lines of the rows that were left out, with their tokens.
    pub too_long: Vec<(usize, usize)>,
}

impl Examples {
    /// Renders rows by the model's own template. Rows of more than `seq_len` tokens are left out and listed: half an
    /// answer would teach to stop half way.
    ///
    /// # Errors
    /// As [`Model::tokenize_chat`]; [`Error::InvalidArgument`] where every row is too long.
    pub fn of(model: &Model, rows: &[Row], seq_len: usize) -> Result<Self> {
        let end = end_of_answer(model)?;
        let mut found = Self::default();
        for row in rows {
            let example = example(model, row, end)?;
            match example.tokens.len() {
                n if n > seq_len => found.too_long.push((row.line, n)),
                _ => found.examples.push(example),
            }
        }
        match (found.examples.as_slice(), found.too_long.first()) {
            ([], Some((line, n))) => Err(Error::InvalidArgument {
                what: "sequence length",
                value: seq_len.to_string(),
                expected: format!("room for a row: the one of line {line} has {n} tokens"),
            }),
            _ => Ok(found),
        }
    }
}

/// The template is asked for the chat up to each answer, so that a row is trained exactly as it is prompted later. Where
/// it shows earlier answers otherwise than they were given, only the later ones are learnt.
fn example(model: &Model, row: &Row, end: Token) -> Result<Example> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut learnt = Vec::new();
    for (index, message) in row.messages.iter().enumerate() {
        if message.role != Role::Assistant {
            continue;
        }
        let before = model.tokenize_chat(&row.messages[..index])?;
        if !before.starts_with(&tokens) {
            learnt.clear();
        }
        tokens = before;
        let start = tokens.len();
        tokens.extend(model.tokenize_text(&message.content)?);
        tokens.push(end);
        learnt.extend(start.max(1)..tokens.len());
    }
    Ok(Example {
        line: row.line,
        tokens: tokens.into_iter().map(to_u32).collect(),
        learnt,
    })
}

/// The token that ends the assistant's turn: the first that ends generation in what the template writes after an answer.
///
/// # Errors
/// [`Error::Template`] where there is none.
pub(super) fn end_of_answer(model: &Model) -> Result<Token> {
    const ANSWER: &str = "Yes.";
    let chat = [ChatMessage::user("Well?"), ChatMessage::assistant(ANSWER)];
    let rendered = model.chat_template()?.render(&chat)?;
    let after = rendered.rsplit_once(ANSWER).map_or("", |(_, after)| after);
    let written = model.tokenize_prompt(after)?;
    written
        .into_iter()
        .filter(|&token| Some(token) != model.bos() || model.bos() == model.eos())
        .find(|&token| model.is_end_of_generation(token))
        .or_else(|| model.eos())
        .ok_or_else(|| {
            Error::Template("nothing in it ends an answer, so the end cannot be learnt".to_owned())
        })
}

pub(super) fn to_u32(token: Token) -> u32 {
    u32::try_from(token.0).unwrap_or(0)
}
