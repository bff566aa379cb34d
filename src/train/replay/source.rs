//! Where a replay comes from, and the rows that come of it, before their distributions are known.

use serde::{Deserialize, Serialize};

use super::ReplayRow;
use crate::Result;
use crate::engine::{
    AdapterStack, CancelToken, ChatMessage, ContentHash, Model, Opening, Scorer, ScorerOptions,
};
use crate::train::example::{end_of_answer, to_u32};

/// The prompts that ship: one a line, written for this project; none of them is in a suite.
const PROMPTS: &str = include_str!("../../../models/replay/prompts.txt");
/// Beginnings of plain text, likewise.
const OPENINGS: &str = include_str!("../../../models/replay/openings.txt");
/// Tokens of an answer. Longer ones say little more about how the base speaks.
const MAX_ANSWER: usize = 80;
/// Tokens that an opening is gone on with. A small model that answers greedily goes in circles soon after.
const MAX_CONTINUATION: usize = 48;
/// Tokens of a paragraph of the user's: about as many as an answer with its prompt.
const MAX_PARAGRAPH: usize = 96;
/// Paragraphs of the user's, taken evenly from the text: as many as there are answers, so that neither is drowned.
const MAX_PARAGRAPHS: usize = 200;
/// Fewer tokens of prose say nothing.
const LEAST_PROSE: usize = 8;
/// Texts that are answered between two reports of progress.
const GROUP: usize = 20;

/// What a row of a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The base's answer to a prompt.
    Answer,
    /// Plain text that the base goes on with.
    Continuation,
    /// The user's own general text.
    General,
    /// An answer of an earlier version of the adapter.
    Earlier,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Answer => "answers",
            Self::Continuation => "continuations",
            Self::General => "general",
            Self::Earlier => "earlier",
        }
    }
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// General prompts that ship: the base answers them in its template.
    Prompts,
    /// Beginnings of plain text that ship: the base goes on with them.
    Openings,
    /// Plain text of the user's, paragraphs with an empty line between them: what the base holds likely in it.
    General(String),
}

impl Source {
    /// What is made of it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Prompts => Kind::Answer,
            Self::Openings => Kind::Continuation,
            Self::General(_) => Kind::General,
        }
    }

    pub(super) fn sha256(&self) -> ContentHash {
        ContentHash::of(match self {
            Self::Prompts => PROMPTS.as_bytes(),
            Self::Openings => OPENINGS.as_bytes(),
            Self::General(text) => text.as_bytes(),
        })
    }

    /// The most tokens that are new in a row.
    pub(super) fn max_tokens(&self) -> usize {
        match self {
            Self::Prompts => MAX_ANSWER,
            Self::Openings => MAX_CONTINUATION,
            Self::General(_) => MAX_PARAGRAPH,
        }
    }

    /// Fewer new tokens are of no use.
    pub(super) fn least_tokens(&self) -> usize {
        match self {
            Self::Prompts => 1,
            Self::Openings | Self::General(_) => LEAST_PROSE,
        }
    }

    /// Rows without distributions, with their new tokens. `progress` is told how many of how many are done.
    pub(super) fn rows(
        &self,
        model: &Model,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<(ReplayRow, usize)>> {
        match self {
            Self::General(text) => paragraphs(model, text),
            Self::Prompts | Self::Openings => self.continued(model, cancel, progress),
        }
    }

    /// The base goes on with each text.
    fn continued(
        &self,
        model: &Model,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<(ReplayRow, usize)>> {
        let is_chat = self.kind() == Kind::Answer;
        let texts = expand(if is_chat { PROMPTS } else { OPENINGS });
        let options = ScorerOptions {
            n_workers: 2,
            ..ScorerOptions::default()
        };
        let mut scorer = Scorer::new(model, &AdapterStack::base(), &options)?;
        let mut rows = Vec::new();
        for group in texts.chunks(GROUP) {
            progress(rows.len(), texts.len());
            let opening = |text: &String| {
                let prompt = match is_chat {
                    true => model.tokenize_chat(&[ChatMessage::user(text)])?,
                    false => model.tokenize(text)?,
                };
                let guess = Vec::new();
                Ok(Opening { prompt, guess })
            };
            let openings = group.iter().map(opening).collect::<Result<Vec<_>>>()?;
            let answers = scorer.answer(&openings, self.max_tokens(), cancel, |_, _| Ok(()))?;
            for ((text, opening), answer) in group.iter().zip(openings).zip(answers) {
                let n_prompt = opening.prompt.len();
                let mut tokens = opening.prompt;
                tokens.extend(&answer.tokens);
                let mut n_new = answer.tokens.len();
                if is_chat && answer.ended {
                    tokens.push(end_of_answer(model)?);
                    n_new += 1;
                }
                let row = ReplayRow {
                    kind: self.kind(),
                    prompt: text.clone(),
                    answer: model.detokenize(&answer.tokens)?,
                    tokens: tokens.into_iter().map(to_u32).collect(),
                    // How plain text is read matters as much as how it is gone on with.
                    first: if is_chat { n_prompt } else { 1 },
                    likely: Vec::new(),
                };
                rows.push((row, n_new));
            }
        }
        progress(texts.len(), texts.len());
        Ok(rows)
    }
}

/// The paragraphs of a text, each as far as it is of use.
fn paragraphs(model: &Model, text: &str) -> Result<Vec<(ReplayRow, usize)>> {
    let all = split(text);
    let every = all.len().div_ceil(MAX_PARAGRAPHS).max(1);
    let some = all.into_iter().step_by(every);
    some.map(|paragraph| {
        let mut tokens = model.tokenize(&paragraph)?;
        tokens.truncate(MAX_PARAGRAPH);
        let n_new = tokens.len();
        let row = ReplayRow {
            kind: Kind::General,
            prompt: String::new(),
            answer: model.detokenize(&tokens)?,
            tokens: tokens.into_iter().map(to_u32).collect(),
            first: 1,
            likely: Vec::new(),
        };
        Ok((row, n_new))
    })
    .collect()
}

/// Paragraphs, the lines of each joined.
fn split(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let paragraphs = lines.split(|line| line.is_empty());
    let joined = paragraphs.map(|lines| lines.join(" "));
    joined.filter(|text| !text.is_empty()).collect()
}

/// A line with `{a|b|c}` stands for one prompt for each choice; lines that begin with `#` are remarks.
fn expand(text: &str) -> Vec<String> {
    let mut prompts = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let choices = line
            .split_once('{')
            .and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
        match choices {
            Some((before, (choices, after))) => {
                prompts.extend(
                    choices
                        .split('|')
                        .map(|one| format!("{before}{one}{after}")),
                );
            }
            None => prompts.push(line.to_owned()),
        }
    }
    prompts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_expand() {
        assert_eq!(
            expand("# no\nWhat is {a|b c}?\n\nHello"),
            ["What is a?", "What is b c?", "Hello"]
        );
        for (text, least) in [(PROMPTS, 150), (OPENINGS, 60)] {
            let all = expand(text);
            let mut distinct = all.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let n = all.len();
            assert!(n >= least && distinct.len() == n, "{n}");
        }
    }

    #[test]
    fn no_prompt_is_in_a_suite() {
        let suite = include_str!("../../../models/suites/general_prompts.jsonl").to_lowercase();
        for prompt in expand(PROMPTS) {
            let quoted = format!("\"{}\"", prompt.to_lowercase());
            assert!(!suite.contains(&quoted), "{prompt}");
        }
    }

    #[test]
    fn paragraphs_are_what_stands_between_empty_lines() {
        let text = "one\ntwo \n \n\r\n three\r\nfour\n\n\n";
        assert_eq!(split(text), ["one two", "three four"]);
        assert!(split(" \n\n").is_empty());
    }
}
