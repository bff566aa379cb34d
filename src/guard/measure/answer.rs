//! Free answers: what is asked, and how alike two of them are.

use crate::Result;
use crate::engine::{ChatMessage, Model, Token};

/// A prompt as the model expects it: in its chat template, or as it is where the model has none.
pub fn chat_prompt(model: &Model, text: &str) -> Result<Vec<Token>> {
    match model.chat_template() {
        Ok(template) => model.tokenize_prompt(&template.render(&[ChatMessage::user(text)])?),
        Err(_) => model.tokenize(text),
    }
}

/// How alike two answers are, 0 to 1: the longest common subsequence of their words, as F1 (ROUGE-L; Lin 2004).
pub fn similarity(a: &str, b: &str) -> f64 {
    let (a, b) = (words(a), words(b));
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    let mut row = vec![0usize; b.len() + 1];
    for word in &a {
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if word == other {
                diagonal + 1
            } else {
                above.max(row[j])
            };
            diagonal = above;
        }
    }
    2.0 * row[b.len()] as f64 / (a.len() + b.len()) as f64
}

/// Absolute logarithm of the ratio of two lengths; one is added to each, so that an empty answer has a length.
pub fn length_drift(a: usize, b: usize) -> f64 {
    ((a as f64 + 1.0) / (b as f64 + 1.0)).ln().abs()
}

/// Share of an answer's three-word runs that stood before in it.
pub fn repetition(text: &str) -> f64 {
    let words = words(text);
    let runs: Vec<_> = words.windows(3).collect();
    if runs.is_empty() {
        return 0.0;
    }
    let distinct: std::collections::HashSet<_> = runs.iter().collect();
    1.0 - distinct.len() as f64 / runs.len() as f64
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_of_answers() {
        assert_eq!(
            similarity("The capital is Rome.", "the capital is Rome"),
            1.0
        );
        assert_eq!(similarity("a b c d", "a x c y"), 0.5);
        assert_eq!(similarity("", ""), 1.0);
        assert_eq!(similarity("", "x"), 0.0);
    }

    #[test]
    fn repetition_counts_runs_that_came_before() {
        assert_eq!(repetition("a b c"), 0.0);
        assert_eq!(repetition("a b c a b c"), 0.25);
        assert_eq!(repetition("no"), 0.0);
        assert!(repetition(&"go on ".repeat(20)) > 0.9);
    }

    #[test]
    fn lengths_drift_both_ways() {
        assert_eq!(length_drift(5, 5), 0.0);
        assert_eq!(length_drift(1, 3), length_drift(3, 1));
        assert!(length_drift(0, 9).is_finite());
    }
}
