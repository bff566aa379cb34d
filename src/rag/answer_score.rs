//! How near an answer is to the one expected: the measures of SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250).
//!
//! Both texts are compared as SQuAD's script does: lowercase, without punctuation, articles and surplus white space. Two
//! things are added, both for numbers, which these questions ask for most: small ones are digits however they are
//! written ("four" is "4"), and hyphens and dashes separate words instead of vanishing.

use std::collections::HashMap;

use super::words;

/// How near one answer is to the expected one, or the means over several.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct AnswerScores {
    /// It is the expected answer, and nothing else: 0 or 1.
    pub exact_match: f64,
    /// The expected answer is in it, in whole words: 0 or 1.
    pub contains: f64,
    /// Harmonic mean of the shares of words that both have in common.
    pub token_f1: f64,
}

impl AnswerScores {
    /// Compares `answer` with the `expected` one.
    #[must_use]
    pub fn of(answer: &str, expected: &str) -> Self {
        let (answer, expected) = (normalized(answer), normalized(expected));
        if expected.is_empty() {
            return Self::default();
        }
        let contains = answer
            .windows(expected.len())
            .any(|window| window == expected);
        Self {
            exact_match: f64::from(answer == expected),
            contains: f64::from(contains),
            token_f1: f1(&answer, &expected),
        }
    }

    /// The mean over answers; zero of none.
    #[must_use]
    pub fn mean(scores: &[Self]) -> Self {
        let n = scores.len().max(1) as f64;
        let mean = |measure: fn(&Self) -> f64| scores.iter().map(measure).sum::<f64>() / n;
        Self {
            exact_match: mean(|scores| scores.exact_match),
            contains: mean(|scores| scores.contains),
            token_f1: mean(|scores| scores.token_f1),
        }
    }
}

fn normalized(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let spaced: String = lower
        .chars()
        .map(|c| {
            if matches!(c, '-' | '–' | '—' | '/') {
                ' '
            } else {
                c
            }
        })
        .filter(|c| c.is_alphanumeric() || c.is_whitespace())
        .collect();
    let words = spaced
        .split_whitespace()
        .filter(|word| !matches!(*word, "a" | "an" | "the"));
    words.map(words::digits_of_small_number).collect()
}

fn f1(answer: &[String], expected: &[String]) -> f64 {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in expected {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0usize;
    for word in answer {
        if let Some(n) = left.get_mut(word.as_str()).filter(|n| **n > 0) {
            *n -= 1;
            common += 1;
        }
    }
    // 2pr / (p + r) with p = common / answer and r = common / expected.
    2.0 * common as f64 / (answer.len() + expected.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(answer: &str, expected: &str) -> (f64, f64, f64) {
        let scores = AnswerScores::of(answer, expected);
        (scores.exact_match, scores.contains, scores.token_f1)
    }

    #[test]
    fn worked_by_hand() {
        assert_eq!(of("The Denver Broncos.", "Denver Broncos"), (1.0, 1.0, 1.0));
        // Three of six words, all of three: 2 * 3 / (6 + 3).
        assert_eq!(
            of("He had five solo tackles there.", "five solo tackles"),
            (0.0, 1.0, 2.0 * 3.0 / 9.0)
        );
        assert_eq!(of("Carolina", "Denver"), (0.0, 0.0, 0.0));
        // One of two, one of three.
        assert_eq!(
            of("Denver won", "the Denver Broncos team"),
            (0.0, 0.0, 2.0 / 5.0)
        );
    }

    #[test]
    fn numbers_and_whole_words() {
        assert_eq!(of("There were four of them.", "4").1, 1.0);
        assert_eq!(of("It cost $1,200 in all", "1200").1, 1.0);
        assert_eq!(of("In 1894–95.", "1894").1, 1.0);
        assert_eq!(
            of("They are 45 years old", "4").1,
            0.0,
            "not inside of a number"
        );
        assert_eq!(of("", "x"), (0.0, 0.0, 0.0));
        assert_eq!(of("x", "?!"), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_word_counts_as_often_as_it_is_expected() {
        assert_eq!(of("no no no", "no").2, 0.5);
    }
}
