//! How well passages support a claim: by the words they share, and by meaning.
//!
//! By words it is a weighted ROUGE-1 precision: with `A` the distinct words of content of the claim (function words out,
//! inflections folded) and `W` those of one sentence of the passage or two in a row, together with the passage's heading,
//!
//! ```text
//! lexical = sum of weight(a) for a in A and in W / sum of weight(a) for a in A
//! ```
//!
//! where names and numbers weigh 2 and other words 1. It is 0 as soon as one number of `A` is not in `W`, or one name
//! of `A` nowhere in the passage, because a wrong date or a wrong person reads just like the right one.
//!
//! By meaning it is the cosine of the claim to the sentence of the passage that is nearest to it. A paraphrase has other
//! words and the same meaning; but a wrong answer has nearly the same meaning as the right one, so meaning can make up
//! for some missing words, never for a wrong number or name.

use std::collections::HashSet;
use std::ops::Range;

use serde::Serialize;

use super::prompt::Passage;
use super::sentence::sentences;
use super::words::{Kind, Word, content};

/// Lexical support from which a claim counts as said by a passage, whatever its meaning.
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

/// Lexical support that is enough where the meaning is near. Measured by `benches/thresholds.rs` as above, on 371 of the
/// questions:
///
/// | lexical, cosine | true | false, distant | false, neighbouring |
/// |---|--:|--:|--:|
/// | by words alone | 80.3 % | 4.3 % | 45.4 % |
/// | 0.4, 0.8 | 81.1 % | 4.3 % | 46.8 % |
/// | **0.4, 0.75** | **83.0 %** | **4.6 %** | **47.4 %** |
/// | 0.4, 0.7 | 84.9 % | 5.1 % | 48.8 % |
/// | 0.4, 0.65 | 86.5 % | 6.5 % | 50.7 % |
///
/// Each step down gains less truth for more falsehood; at this one a true claim gained costs a ninth of a distant one.
const PARAPHRASE_LEXICAL: f64 = 0.4;

/// Cosine from which a claim and a sentence mean the same, with all-MiniLM-L6-v2.
const PARAPHRASE_COSINE: f64 = 0.75;

/// How well one passage supports a claim.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Support {
    /// Share of the claim's words, weighted, that are in one or two sentences of the passage.
    pub lexical: f64,
    /// Cosine to the nearest sentence of the passage; none where no embedder was at hand.
    pub embedding: Option<f64>,
}

impl Support {
    /// Whether it is enough for the claim to count as said.
    #[must_use]
    pub fn holds(&self) -> bool {
        let near = self
            .embedding
            .is_some_and(|cosine| cosine >= PARAPHRASE_COSINE);
        self.lexical >= SUPPORT_THRESHOLD || (near && self.lexical >= PARAPHRASE_LEXICAL)
    }

    /// For the best of several passages.
    pub(super) fn weight(&self) -> f64 {
        self.lexical + self.embedding.unwrap_or(0.0)
    }
}

/// A passage, prepared for comparing.
pub(super) struct Source<'a> {
    pub passage: &'a Passage,
    heading: HashSet<String>,
    sentences: Vec<Sentence>,
}

/// Bytes of a sentence in its passage, with the stems of its words of content.
type Sentence = (Range<usize>, HashSet<String>);

fn stems(text: &str) -> HashSet<String> {
    content(text).into_iter().map(|word| word.stem).collect()
}

/// The distinct words of content of a claim.
pub(super) fn words_of(claim: &str) -> Vec<Word> {
    let mut words = content(claim);
    let mut seen = HashSet::new();
    words.retain(|word| seen.insert(word.stem.clone()));
    words
}

impl<'a> Source<'a> {
    pub fn of(passage: &'a Passage) -> Self {
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

    /// The sentences of the passage.
    pub fn texts(&self) -> impl Iterator<Item = &'a str> {
        let text = &self.passage.hit.text;
        let ranges = self.sentences.iter().map(|(range, _)| range.clone());
        ranges.map(|range| text.get(range).unwrap_or(""))
    }

    /// The lexical support of the best window for `words` and its bytes: the highest, then the shorter, then the earlier.
    pub fn lexical(&self, words: &[Word]) -> (f64, Range<usize>) {
        let windows = [1, 2]
            .into_iter()
            .flat_map(|length| self.sentences.windows(length));
        let mut best = (0.0, 0..self.passage.hit.text.len());
        for window in windows {
            let score = self.score(words, window);
            if let (Some((first, _)), Some((last, _))) = (window.first(), window.last())
                && score > best.0
            {
                best = (score, first.start..last.end);
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
