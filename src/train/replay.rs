//! Replay: what the base answers to general prompts, and how likely it found each token. Training holds the adapter to
//! that, so that what the base knows stays, without any of the data that it learnt it from.
//!
//! Answers come from the engine, greedily. The distributions come from the same forward pass that training uses, so that
//! an adapter without effect is at a divergence of none, to rounding.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::compute::{Keep, Likely, Lora, Pack, Transformer};
use super::example::to_u32;
use crate::engine::{
    AdapterStack, CancelToken, ChatMessage, ContentHash, Model, Opening, Scorer, ScorerOptions,
    Token,
};
use crate::{Error, Result};

/// Version of the file of a replay.
const VERSION: u32 = 1;
/// Tokens of an answer. Longer ones say little more about how the base speaks.
const MAX_ANSWER: usize = 80;
/// An answer that says the same four tokens more often than this goes in circles: nothing to hold on to.
const MAX_REPEATS: usize = 3;
/// Tokens of a forward pass while distributions are computed.
const PACK_TOKENS: usize = 512;
/// Prompts answered between two reports of progress.
const GROUP: usize = 20;

/// The prompts that ship: one a line, written for this project; none of them is in a suite.
const PROMPTS: &str = include_str!("../../models/replay/prompts.txt");

/// A prompt with the base's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayRow {
    /// What was asked.
    pub prompt: String,
    /// What the base answered.
    pub answer: String,
    /// Both as tokens, in the chat template.
    pub tokens: Vec<u32>,
    /// Index of the answer's first token.
    pub first: usize,
    /// What the base held likely for each token of the answer.
    pub likely: Vec<Likely>,
}

/// The replay of a base.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The answers.
    pub rows: Vec<ReplayRow>,
    /// sha256 of all that is in it.
    pub sha256: ContentHash,
}

/// The first line of the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    version: u32,
    base_sha256: ContentHash,
    prompts_sha256: ContentHash,
    max_answer: usize,
}

impl Replay {
    /// The replay of a model, read from `folder` if it was made before, else made and kept there. `progress` is told how
    /// many prompts of how many are done.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::Engine`] where no answer can be used; [`Error::Io`].
    pub fn of(
        model: &Model,
        transformer: &Transformer,
        folder: &Path,
        cancel: &CancelToken,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self> {
        let header = Header {
            version: VERSION,
            base_sha256: model.sha256()?,
            prompts_sha256: ContentHash::of(PROMPTS.as_bytes()),
            max_answer: MAX_ANSWER,
        };
        let path = header.path(folder);
        if let Some(known) = read(&path, &header) {
            return Ok(known);
        }
        let rows = make(model, transformer, cancel, &mut progress)?;
        if rows.is_empty() {
            return Err(Error::Engine(
                "the base answers none of the replay's prompts with anything that can be used"
                    .to_owned(),
            ));
        }
        write(&path, &header, &rows)?;
        read(&path, &header)
            .ok_or_else(|| Error::Engine(format!("{} does not read back", path.display())))
    }
}

impl Header {
    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!(
            "{}-{}.jsonl",
            self.base_sha256.short(),
            self.prompts_sha256.short()
        ))
    }
}

/// What is in the file; `None` where there is none, it is of something else, or damaged: then it is made again.
fn read(path: &Path, wanted: &Header) -> Option<Replay> {
    let bytes = fs_err::read(path).ok()?;
    let mut lines = BufReader::new(bytes.as_slice()).lines();
    let header: Header = serde_json::from_str(&lines.next()?.ok()?).ok()?;
    if header != *wanted {
        return None;
    }
    let rows = lines
        .map(|line| serde_json::from_str(&line.ok()?).ok())
        .collect::<Option<Vec<ReplayRow>>>()?;
    let whole = |row: &ReplayRow| row.first > 0 && row.first + row.likely.len() == row.tokens.len();
    rows.iter().all(whole).then_some(Replay {
        rows,
        sha256: ContentHash::of(&bytes),
    })
}

/// Written beside and renamed: a replay is whole or not there.
fn write(path: &Path, header: &Header, rows: &[ReplayRow]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut part = tempfile::NamedTempFile::new_in(folder)?;
    let mut out = std::io::BufWriter::new(part.as_file_mut());
    let line = |value: serde_json::Result<String>| value.map_err(std::io::Error::from);
    writeln!(out, "{}", line(serde_json::to_string(header))?)?;
    for row in rows {
        writeln!(out, "{}", line(serde_json::to_string(row))?)?;
    }
    out.flush()?;
    drop(out);
    part.as_file().sync_all()?;
    part.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn make(
    model: &Model,
    transformer: &Transformer,
    cancel: &CancelToken,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<ReplayRow>> {
    let prompts = expand(PROMPTS);
    let options = ScorerOptions {
        n_workers: 2,
        ..ScorerOptions::default()
    };
    let mut scorer = Scorer::new(model, &AdapterStack::base(), &options)?;
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for (done, group) in prompts.chunks(GROUP).enumerate() {
        progress(done * GROUP, prompts.len());
        let questions = group
            .iter()
            .map(|prompt| {
                Ok(Opening {
                    prompt: model.tokenize_chat(&[ChatMessage::user(prompt)])?,
                    guess: Vec::new(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let answers = scorer.answer(&questions, MAX_ANSWER, cancel, |_, _| Ok(()))?;
        let mut new = Vec::new();
        for ((prompt, question), answer) in group.iter().zip(questions).zip(answers) {
            let text = model.detokenize(&answer.tokens)?;
            if text.trim().is_empty()
                || goes_in_circles(&answer.tokens)
                || !seen.insert(text.clone())
            {
                continue;
            }
            let first = question.prompt.len();
            let mut tokens: Vec<u32> = question.prompt.into_iter().map(to_u32).collect();
            tokens.extend(answer.tokens.into_iter().map(to_u32));
            if answer.ended {
                tokens.push(to_u32(super::example::end_of_answer(model)?));
            }
            new.push(ReplayRow {
                prompt: prompt.clone(),
                answer: text,
                tokens,
                first,
                likely: Vec::new(),
            });
        }
        add_distributions(transformer, None, &mut new, cancel)?;
        rows.append(&mut new);
    }
    progress(prompts.len(), prompts.len());
    Ok(rows)
}

/// Fills in what the base, or an adapter on it, held likely, some rows at a time.
pub(super) fn add_distributions(
    transformer: &Transformer,
    lora: Option<&Lora>,
    rows: &mut [ReplayRow],
    cancel: &CancelToken,
) -> Result<()> {
    let mut rest = rows;
    while !rest.is_empty() {
        if cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let mut n_tokens = 0;
        let fitting = rest.iter().take_while(|row| {
            n_tokens += row.tokens.len();
            n_tokens <= PACK_TOKENS
        });
        let n = fitting.count().max(1);
        let (part, after) = rest.split_at_mut(n);
        rest = after;
        let sequences: Vec<&[u32]> = part.iter().map(|row| &*row.tokens).collect();
        let pack = Pack::of(&sequences);
        let trace = transformer.forward(&pack, lora, Keep::Nothing)?;
        for (at, row) in part.iter_mut().enumerate() {
            let scored: Vec<usize> = (row.first..row.tokens.len())
                .map(|index| pack.row(at, index - 1))
                .collect();
            let logits = transformer.logits(&trace, &scored);
            let n_vocab = transformer.base().shape().n_vocab;
            row.likely = logits.chunks_exact(n_vocab).map(Likely::of).collect();
        }
    }
    Ok(())
}

fn goes_in_circles(tokens: &[Token]) -> bool {
    let mut counts = HashMap::new();
    tokens.windows(4).any(|window| {
        let count = counts.entry(window).or_insert(0);
        *count += 1;
        *count > MAX_REPEATS
    })
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
        let all = expand(PROMPTS);
        let mut distinct = all.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(
            all.len() >= 150 && distinct.len() == all.len(),
            "{}",
            all.len()
        );
    }

    #[test]
    fn no_prompt_is_in_a_suite() {
        let suite = include_str!("../../models/suites/general_prompts.jsonl").to_lowercase();
        for prompt in expand(PROMPTS) {
            let quoted = format!("\"{}\"", prompt.to_lowercase());
            assert!(!suite.contains(&quoted), "{prompt}");
        }
    }

    #[test]
    fn circles_are_seen() {
        let tokens = |all: &[i32]| all.iter().map(|&t| Token(t)).collect::<Vec<_>>();
        assert!(!goes_in_circles(&tokens(&[1, 2, 3, 4, 1, 2, 3, 4, 5, 6])));
        assert!(goes_in_circles(&tokens(&[1, 2, 3, 4].repeat(4))));
        assert!(!goes_in_circles(&[]));
    }

    #[test]
    fn a_damaged_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replay.jsonl");
        let header = Header {
            version: VERSION,
            base_sha256: ContentHash::of(b"base"),
            prompts_sha256: ContentHash::of(b"prompts"),
            max_answer: 3,
        };
        let row = ReplayRow {
            prompt: "p".to_owned(),
            answer: "a".to_owned(),
            tokens: vec![1, 2, 3],
            first: 2,
            likely: vec![Likely {
                tokens: vec![3, 1],
                log_probs: vec![-0.123_456_79, -3.25],
                tail: 0.0625,
            }],
        };
        write(&path, &header, std::slice::from_ref(&row)).unwrap();
        assert_eq!(read(&path, &header).unwrap().rows, [row]);
        let other = Header {
            max_answer: 4,
            ..header
        };
        assert_eq!(read(&path, &other), None);
        let header = Header {
            max_answer: 3,
            ..other
        };
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, text.replace("\"first\":2", "\"first\":1")).unwrap();
        assert_eq!(read(&path, &header), None);
    }
}
