//! Which bytes of which document support an answer: citations that do not depend on the model writing them.
//!
//! A small model seldom numbers its sources, and numbers them wrongly when it does. So each sentence of the answer is a
//! claim that is compared with each passage (`support`): by the words they share and, where an embedder is at hand, by
//! their meaning. A number that the model wrote is kept where such a passage exists, and dropped where not. Every answer
//! is treated the same way each time.

use std::ops::Range;

use serde::Serialize;

use super::embed::Embed;
use super::meaning::Meaning;
use super::position::Position;
use super::prompt::Passage;
use super::relevance::NOTHING_FOUND;
use super::sentence::sentences;
use super::support::{Source, Support, words_of};
use crate::Result;

/// Longest run of digits that is taken for the number of a passage.
const MAX_DIGITS: usize = 3;

/// Bytes of a document that support the answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Citation {
    /// The number of the passage, as in the text.
    pub n: usize,
    /// Number of the document.
    pub document: i64,
    /// Absolute path of the file.
    pub path: String,
    /// sha256 of the file as it was read, in hexadecimal: the version that the answer saw.
    pub sha256: String,
    /// First byte in the file.
    pub start: usize,
    /// One past the last byte in the file.
    pub end: usize,
    /// Page and line, and what `start` and `end` are bytes of.
    #[serde(flatten)]
    pub position: Position,
    /// Cosine of the passage to the question.
    pub score: f32,
    /// What the bytes say: the sentences that support the answer.
    pub text: String,
}

/// A sentence of an answer that says something.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// First byte in the answer's text.
    pub start: usize,
    /// One past the last byte in the answer's text, its numbers not included.
    pub end: usize,
    /// What it says.
    pub text: String,
    /// The passages that it is cited to.
    pub passages: Vec<usize>,
    /// How well the best of them, or of all where it is cited to none, supports it.
    pub support: Support,
    /// Whether that is enough.
    pub supported: bool,
}

/// An answer with its citations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cited {
    /// The answer, with `[n]` behind each sentence that has a source.
    pub text: String,
    /// One for each passage that is cited, by number.
    pub citations: Vec<Citation>,
    /// The sentences with content, in order. A refusal to answer is none.
    pub claims: Vec<Claim>,
    /// Whether there are claims, and a passage supports each of them.
    pub grounded: bool,
    /// The answer without any numbers of sources.
    pub(super) bare: String,
}

/// Ties the sentences of `answer` to `passages`, by words alone.
#[must_use]
pub fn cite(answer: &str, passages: &[Passage]) -> Cited {
    let sources: Vec<Source<'_>> = passages.iter().map(Source::of).collect();
    Draft::of(answer, passages).cited(&sources, None)
}

/// [`cite`], by meaning too.
///
/// # Errors
///
/// What the embedder says.
pub fn cite_by_meaning(
    answer: &str,
    passages: &[Passage],
    embedder: &mut dyn Embed,
) -> Result<Cited> {
    let sources: Vec<Source<'_>> = passages.iter().map(Source::of).collect();
    let draft = Draft::of(answer, passages);
    let claims: Vec<&str> = draft.sentences().collect();
    let meaning = Meaning::read(&claims, &sources, embedder)?;
    Ok(draft.cited(&sources, Some(&meaning)))
}

/// An answer without its marks, and the passages that its sentences named.
struct Draft {
    text: String,
    sentences: Vec<(Range<usize>, Vec<usize>)>,
}

impl Draft {
    fn of(answer: &str, passages: &[Passage]) -> Self {
        let (text, marks) = take_marks(answer.trim(), passages);
        let ranges = sentences(&text).into_iter();
        let mut sentences: Vec<_> = ranges.map(|range| (range, Vec::new())).collect();
        for (at, n) in marks {
            let owner = sentences
                .partition_point(|(range, _)| range.start < at)
                .saturating_sub(1);
            if let Some((_, numbers)) = sentences.get_mut(owner)
                && !numbers.contains(&n)
            {
                numbers.push(n);
            }
        }
        Self { text, sentences }
    }

    fn sentences(&self) -> impl Iterator<Item = &str> {
        let ranges = self.sentences.iter();
        ranges.map(|(range, _)| self.text.get(range.clone()).unwrap_or(""))
    }

    fn cited(&self, sources: &[Source<'_>], meaning: Option<&Meaning>) -> Cited {
        let mut ledger = Ledger::default();
        let mut text = String::with_capacity(self.text.len());
        let mut copied = 0;
        for (nth, (range, own)) in self.sentences.iter().enumerate() {
            let sentence = self.text.get(range.clone()).unwrap_or("");
            let cosine = |source| meaning.and_then(|meaning| meaning.cosine(nth, source));
            text.push_str(self.text.get(copied..range.start).unwrap_or(""));
            let start = text.len();
            let cited = ledger.enter(start, sentence, own, sources, &cosine);
            text.push_str(sentence);
            text.extend(cited.iter().map(|n| format!(" [{n}]")));
            copied = range.end;
        }
        text.push_str(self.text.get(copied..).unwrap_or(""));
        ledger.into_cited(text, self.text.clone(), sources)
    }
}

/// Removes `[1]`, `[1, 2]` from `answer`; returns them as the place in what is left and the number, where such a
/// passage exists.
fn take_marks(answer: &str, passages: &[Passage]) -> (String, Vec<(usize, usize)>) {
    let mut clean = String::with_capacity(answer.len());
    let mut marks = Vec::new();
    let mut rest = answer;
    while let Some(open) = rest.find('[') {
        let (before, after) = rest.split_at(open);
        clean.push_str(before);
        match parse_mark(after) {
            Some((numbers, length)) => {
                clean.truncate(clean.trim_end_matches([' ', '\t']).len());
                let known = |n: &usize| passages.iter().any(|passage| passage.n == *n);
                marks.extend(numbers.into_iter().filter(known).map(|n| (clean.len(), n)));
                rest = after.get(length..).unwrap_or("");
                if clean.is_empty() {
                    rest = rest.trim_start();
                }
            }
            None => {
                clean.push('[');
                rest = after.get(1..).unwrap_or("");
            }
        }
    }
    clean.push_str(rest);
    clean.truncate(clean.trim_end().len());
    (clean, marks)
}

/// The numbers of a mark that `text` starts with, and its length.
fn parse_mark(text: &str) -> Option<(Vec<usize>, usize)> {
    let inside = text.strip_prefix('[')?;
    let (inside, _) = inside.split_once(']')?;
    let numbers = inside.split(',').map(|part| {
        let part = part.trim();
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        (digits && part.len() <= MAX_DIGITS)
            .then(|| part.parse().ok())
            .flatten()
    });
    Some((numbers.collect::<Option<_>>()?, inside.len() + 2))
}

/// What has been cited so far.
#[derive(Default)]
struct Ledger {
    /// Number of a passage with the bytes of its text that support something.
    cited: Vec<(usize, Range<usize>)>,
    claims: Vec<Claim>,
}

/// How well a source supports a claim, and with which bytes of its text.
struct Found<'a> {
    passage: &'a Passage,
    support: Support,
    bytes: Range<usize>,
}

impl Ledger {
    /// Enters one sentence, which starts at byte `start`, with the numbers that the model gave it; returns those it ends
    /// up with.
    fn enter(
        &mut self,
        start: usize,
        sentence: &str,
        own: &[usize],
        sources: &[Source<'_>],
        cosine: &dyn Fn(usize) -> Option<f64>,
    ) -> Vec<usize> {
        let words = words_of(sentence);
        let found: Vec<Found<'_>> = sources
            .iter()
            .enumerate()
            .map(|(nth, source)| {
                let (lexical, bytes) = source.lexical(&words);
                Found {
                    passage: source.passage,
                    support: Support {
                        lexical,
                        embedding: cosine(nth),
                    },
                    bytes,
                }
            })
            .collect();
        let named: Vec<&Found<'_>> = found
            .iter()
            .filter(|found| own.contains(&found.passage.n))
            .collect();
        for found in &named {
            let whole = 0..found.passage.hit.text.len();
            let good = found.support.holds();
            self.mark(
                found.passage.n,
                if good { found.bytes.clone() } else { whole },
            );
        }
        let refuses = is_refusal(sentence);
        let best = match named.is_empty() {
            true => best(found.iter()),
            false => best(named.iter().copied()),
        };
        let supported =
            !refuses && !words.is_empty() && best.is_some_and(|best| best.support.holds());
        let mut numbers = own.to_vec();
        if let Some(best) = best
            && numbers.is_empty()
            && supported
        {
            numbers.push(best.passage.n);
            self.mark(best.passage.n, best.bytes.clone());
        }
        if !words.is_empty() && !refuses {
            self.claims.push(Claim {
                start,
                end: start + sentence.len(),
                text: sentence.to_owned(),
                passages: numbers.clone(),
                support: best.map_or_else(Support::default, |best| best.support),
                supported,
            });
        }
        numbers
    }

    /// Widens what is cited of passage `n` to `bytes`.
    fn mark(&mut self, n: usize, bytes: Range<usize>) {
        match self.cited.iter_mut().find(|(cited, _)| *cited == n) {
            Some((_, range)) => *range = range.start.min(bytes.start)..range.end.max(bytes.end),
            None => self.cited.push((n, bytes)),
        }
    }

    fn into_cited(mut self, text: String, bare: String, sources: &[Source<'_>]) -> Cited {
        self.cited.sort_by_key(|(n, _)| *n);
        let citations = self.cited.into_iter().filter_map(|(n, bytes)| {
            let hit = &sources
                .iter()
                .find(|source| source.passage.n == n)?
                .passage
                .hit;
            let text = hit.text.get(bytes.clone())?.to_owned();
            let (bytes, position) = hit.position.narrow(hit.start..hit.end, &hit.text, bytes);
            Some(Citation {
                n,
                document: hit.document,
                path: hit.path.clone(),
                sha256: hit.sha256.clone(),
                start: bytes.start,
                end: bytes.end,
                position,
                score: hit.score,
                text,
            })
        });
        Cited {
            text,
            citations: citations.collect(),
            grounded: !self.claims.is_empty() && self.claims.iter().all(|claim| claim.supported),
            claims: self.claims,
            bare,
        }
    }
}

/// The source that supports most: one that is enough before one that is not; the first of equals.
fn best<'a, 'b>(found: impl Iterator<Item = &'a Found<'b>>) -> Option<&'a Found<'b>>
where
    'b: 'a,
{
    let rank = |found: &Found<'_>| (found.support.holds(), found.support.weight());
    found.reduce(|a, b| if rank(b) > rank(a) { b } else { a })
}

fn is_refusal(sentence: &str) -> bool {
    sentence
        .trim_end_matches('.')
        .eq_ignore_ascii_case(NOTHING_FOUND)
}
