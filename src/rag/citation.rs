//! Which bytes of which document support an answer: citations that do not depend on the model writing them.
//!
//! A small model seldom numbers its sources, and numbers them wrongly when it does. So each sentence of the answer is
//! compared with each passage by the words they share. The measure is a weighted ROUGE-1 precision: with `A` the
//! distinct words of content of the sentence (function words out, inflections folded) and `W` those of one sentence of
//! the passage or two in a row, together with the passage's heading,
//!
//! ```text
//! support = sum of weight(a) for a in A and in W / sum of weight(a) for a in A
//! ```
//!
//! where names and numbers weigh 2 and other words 1. It is 0 as soon as one number of `A` is not in `W`, or one name
//! of `A` nowhere in the passage, because a wrong date or a wrong person reads just like the right one. Every answer is
//! treated the same way each time.

use std::collections::HashSet;
use std::ops::Range;

use super::position::Position;
use super::prompt::Passage;
use super::relevance::NOTHING_FOUND;
use super::sentence::sentences;
use super::words::{Kind, Word, content};

/// Support from which a sentence counts as said by a passage.
///
/// Measured on 1,050 questions of the SQuAD data whose passage is among the five found: the words of the question with
/// its answer appended stand for a model's answer; with the answer of another question appended, for a wrong one.
///
/// | threshold | true answers grounded | wrong ones, of a distant question | of a neighbouring one |
/// |---|---|---|---|
/// | 0.5 | 90 % | 14 % | 60 % |
/// | **0.6** | **81 %** | **8.5 %** | **49 %** |
/// | 0.7 | 68 % | 4 % | 34 % |
/// | 0.8 | 47 % | 2.5 % | 21 % |
///
/// A real answer repeats more of its passage than a question does, so the second column is a lower bound. The last one
/// is the limit of counting words: a wrong answer made of the passage's own words looks supported.
pub const SUPPORT_THRESHOLD: f64 = 0.6;

/// Longest run of digits that is taken for the number of a passage.
const MAX_DIGITS: usize = 3;

/// Bytes of a document that support the answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Citation {
    /// The number of the passage, as in the text.
    pub n: usize,
    /// Number of the document.
    pub document: i64,
    /// Absolute path of the file.
    pub path: String,
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

/// An answer with its citations.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Cited {
    /// The answer, with `[n]` behind each sentence that has a source.
    pub text: String,
    /// One for each passage that is cited, by number.
    pub citations: Vec<Citation>,
    /// Whether every sentence with content is supported by a passage.
    pub grounded: bool,
}

/// Ties the sentences of `answer` to `passages`.
///
/// Numbers that the model wrote are kept where such a passage exists and dropped where not; a sentence without one gets
/// that of the passage which supports it best, if any does.
#[must_use]
pub fn cite(answer: &str, passages: &[Passage]) -> Cited {
    let (clean, marks) = take_marks(answer.trim(), passages);
    let ranges = sentences(&clean);
    let mut owners: Vec<Vec<usize>> = vec![Vec::new(); ranges.len()];
    for (at, n) in marks {
        let owner = ranges
            .partition_point(|range| range.start < at)
            .saturating_sub(1);
        if let Some(numbers) = owners
            .get_mut(owner)
            .filter(|numbers| !numbers.contains(&n))
        {
            numbers.push(n);
        }
    }
    let sources: Vec<Source<'_>> = passages.iter().map(Source::of).collect();
    let mut ledger = Ledger::default();
    let mut text = String::with_capacity(clean.len());
    let mut copied = 0;
    for (range, own) in ranges.iter().zip(owners) {
        let sentence = clean.get(range.clone()).unwrap_or("");
        let cited = ledger.enter(sentence, own, &sources);
        text.push_str(clean.get(copied..range.end).unwrap_or(""));
        text.extend(cited.iter().map(|n| format!(" [{n}]")));
        copied = range.end;
    }
    text.push_str(clean.get(copied..).unwrap_or(""));
    ledger.into_cited(text, &sources)
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

/// A passage, prepared for comparing.
struct Source<'a> {
    passage: &'a Passage,
    heading: HashSet<String>,
    sentences: Vec<Sentence>,
}

/// Bytes of a sentence in its passage, with the stems of its words of content.
type Sentence = (Range<usize>, HashSet<String>);

/// How well a passage supports a sentence, and with which bytes of its text.
struct Support {
    score: f64,
    bytes: Range<usize>,
}

fn stems(text: &str) -> HashSet<String> {
    content(text).into_iter().map(|word| word.stem).collect()
}

impl<'a> Source<'a> {
    fn of(passage: &'a Passage) -> Self {
        let text = &passage.hit.text;
        let ranges = sentences(text).into_iter();
        Self {
            passage,
            heading: stems(&passage.hit.heading),
            sentences: ranges
                .map(|range| (range.clone(), stems(text.get(range).unwrap_or(""))))
                .collect(),
        }
    }

    /// The best window for `words`: the highest support, then the shorter, then the earlier.
    fn support(&self, words: &[Word]) -> Option<Support> {
        let windows = [1, 2]
            .into_iter()
            .flat_map(|length| self.sentences.windows(length));
        let mut best: Option<Support> = None;
        for window in windows {
            let score = self.score(words, window);
            if best.as_ref().is_none_or(|best| score > best.score) {
                let (Some((first, _)), Some((last, _))) = (window.first(), window.last()) else {
                    continue;
                };
                let bytes = first.start..last.end;
                best = Some(Support { score, bytes });
            }
        }
        best
    }

    fn score(&self, words: &[Word], window: &[Sentence]) -> f64 {
        let has = |sentences: &[Sentence], word: &Word| {
            let in_sentence = |(_, stems): &Sentence| stems.contains(&word.stem);
            self.heading.contains(&word.stem) || sentences.iter().any(in_sentence)
        };
        let (mut shared, mut all) = (0.0, 0.0);
        for word in words {
            let there = has(window, word);
            let (weight, possible) = match word.kind {
                Kind::Number => (2.0, there),
                Kind::Name => (2.0, there || has(&self.sentences, word)),
                Kind::Plain => (1.0, true),
            };
            if !possible {
                return 0.0;
            }
            all += weight;
            shared += if there { weight } else { 0.0 };
        }
        if all > 0.0 { shared / all } else { 0.0 }
    }
}

/// What has been cited so far.
#[derive(Default)]
struct Ledger {
    /// Number of a passage with the bytes of its text that support something.
    cited: Vec<(usize, Range<usize>)>,
    supported: usize,
    unsupported: usize,
}

impl Ledger {
    /// Enters one sentence with the numbers that the model gave it; returns those it ends up with.
    fn enter(&mut self, sentence: &str, own: Vec<usize>, sources: &[Source<'_>]) -> Vec<usize> {
        let mut words = content(sentence);
        let mut seen = HashSet::new();
        words.retain(|word| seen.insert(word.stem.clone()));
        let source = |n: &usize| sources.iter().find(|source| source.passage.n == *n);
        let is_refusal = sentence
            .trim_end_matches('.')
            .eq_ignore_ascii_case(NOTHING_FOUND);
        let mut numbers = own;
        let mut supported = false;
        for source in numbers.iter().filter_map(source) {
            let support = source.support(&words);
            let good = support.filter(|support| support.score >= SUPPORT_THRESHOLD);
            supported |= good.is_some();
            let whole = 0..source.passage.hit.text.len();
            self.mark(
                source.passage.n,
                good.map_or(whole, |support| support.bytes),
            );
        }
        if numbers.is_empty() && !is_refusal {
            let supports = sources.iter().filter_map(|s| Some((s, s.support(&words)?)));
            let best = supports.reduce(|a, b| if b.1.score > a.1.score { b } else { a });
            if let Some((source, support)) = best
                && support.score >= SUPPORT_THRESHOLD
            {
                supported = true;
                numbers.push(source.passage.n);
                self.mark(source.passage.n, support.bytes);
            }
        }
        if supported {
            self.supported += 1;
        } else if !words.is_empty() {
            self.unsupported += 1;
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

    fn into_cited(mut self, text: String, sources: &[Source<'_>]) -> Cited {
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
            grounded: self.supported > 0 && self.unsupported == 0,
        }
    }
}
