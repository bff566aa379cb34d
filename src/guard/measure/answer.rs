//! Free answers: completed from where they leave a draft, and compared with one another.

use crate::Result;
use crate::engine::{CancelToken, ChatMessage, GreedyAnswer, Model, Scorer, Token};

/// A prompt as the model expects it: in its chat template, or as it is where the model has none.
pub fn chat_prompt(model: &Model, text: &str) -> Result<Vec<Token>> {
    match model.chat_template() {
        Ok(template) => model.tokenize_prompt(&template.render(&[ChatMessage::user(text)])?),
        Err(_) => model.tokenize(text),
    }
}

/// Where a greedy answer is known to begin as a draft does, from one pass over prompt and draft.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    pub prompt: &'a [Token],
    pub draft: &'a [Token],
    /// The likeliest token at each place of the draft, and after it.
    pub tops: Vec<Token>,
}

impl Draft<'_> {
    /// The answer as far as it is known: what agrees with the draft, and the first token that does not.
    fn known(&self, model: &Model, max_tokens: usize) -> GreedyAnswer {
        let mut answer = GreedyAnswer::default();
        for (i, &top) in self.tops.iter().enumerate().take(max_tokens) {
            if model.is_end_of_generation(top) {
                answer.ended = true;
                break;
            }
            answer.tokens.push(top);
            if self.draft.get(i) != Some(&top) {
                break;
            }
        }
        answer
    }
}

/// Answers greedily, at most `max_tokens` each, computing only what comes after the first difference to a draft.
pub fn complete(
    scorer: &mut Scorer,
    drafts: &[Draft<'_>],
    max_tokens: usize,
    cancel: &CancelToken,
) -> Result<Vec<GreedyAnswer>> {
    let model = scorer.model().clone();
    let mut answers: Vec<GreedyAnswer> = drafts
        .iter()
        .map(|draft| draft.known(&model, max_tokens))
        .collect();
    let mut open: Vec<usize> = (0..drafts.len())
        .filter(|&i| !answers[i].ended && answers[i].tokens.len() < max_tokens)
        .collect();
    // Answers of like length are computed together.
    open.sort_by_key(|&i| answers[i].tokens.len());
    let mut rest = open.as_slice();
    while !rest.is_empty() {
        let n = rest.len().min(TOGETHER);
        let (group, later) = rest.split_at(n);
        let prompts: Vec<Vec<Token>> = group
            .iter()
            .map(|&i| [drafts[i].prompt, &answers[i].tokens].concat())
            .collect();
        let shortest = answers[group[0]].tokens.len();
        let found = scorer.answer(&prompts, max_tokens - shortest, cancel, |_, _| Ok(()))?;
        for (&i, more) in group.iter().zip(found) {
            let room = max_tokens - answers[i].tokens.len();
            answers[i].ended = more.ended && more.tokens.len() <= room;
            answers[i].tokens.extend(more.tokens.into_iter().take(room));
        }
        rest = later;
    }
    Ok(answers)
}

/// Answers computed together: enough to keep the cores busy, few enough that they end at about the same time.
const TOGETHER: usize = 16;

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
