//! What of a replay is of no use, or must not be learnt from.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{ReplayRow, Screen};
use crate::Result;

/// A text that says the same four tokens more often than this goes in circles: nothing to hold on to.
const MAX_REPEATS: usize = 3;

/// Why a text is left out whose words are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// It holds what looks like personal data or a key.
    Personal,
    /// It says what a suite asks, which would then measure what was trained.
    Suite,
}

/// How many rows were left out, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Shorter than says anything.
    pub short: usize,
    /// Going in circles.
    pub repetitive: usize,
    /// Said by another row.
    pub double: usize,
    /// With what looks like personal data or keys.
    pub personal: usize,
    /// With words of a suite.
    pub suite: usize,
}

impl LeftOut {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.short + self.repetitive + self.double + self.personal + self.suite
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            short: self.short + other.short,
            repetitive: self.repetitive + other.repetitive,
            double: self.double + other.double,
            personal: self.personal + other.personal,
            suite: self.suite + other.suite,
        }
    }
}

/// The rows that can be used. `n_new` says how many tokens of a row the base wrote, or the user; fewer than `least` are too
/// few.
pub(super) fn usable(
    rows: Vec<(ReplayRow, usize)>,
    least: usize,
    screen: &Screen,
) -> Result<(Vec<ReplayRow>, LeftOut)> {
    let mut left_out = LeftOut::default();
    let mut seen = HashSet::new();
    let mut rows: Vec<ReplayRow> = (rows.into_iter())
        .filter(|(row, n_new)| {
            let count = if *n_new < least || row.answer.trim().is_empty() {
                &mut left_out.short
            } else if goes_in_circles(&row.tokens[row.tokens.len() - n_new..]) {
                &mut left_out.repetitive
            } else if !seen.insert(row.answer.clone()) {
                &mut left_out.double
            } else {
                return true;
            };
            *count += 1;
            false
        })
        .map(|(row, _)| row)
        .collect();
    let texts: Vec<String> = (rows.iter())
        .map(|row| format!("{}\n{}", row.prompt, row.answer))
        .collect();
    let mut objections = (screen.objections)(&texts)?.into_iter();
    rows.retain(|_| {
        let count = match objections.next().flatten() {
            None => return true,
            Some(Objection::Personal) => &mut left_out.personal,
            Some(Objection::Suite) => &mut left_out.suite,
        };
        *count += 1;
        false
    });
    Ok((rows, left_out))
}

fn goes_in_circles(tokens: &[u32]) -> bool {
    let mut counts = HashMap::new();
    tokens.windows(4).any(|window| {
        let count = counts.entry(window).or_insert(0);
        *count += 1;
        *count > MAX_REPEATS
    })
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;
    use crate::engine::ContentHash;

    #[test]
    fn circles_are_seen() {
        assert!(!goes_in_circles(&[1, 2, 3, 4, 1, 2, 3, 4, 5, 6]));
        assert!(goes_in_circles(&[1, 2, 3, 4].repeat(4)));
        assert!(!goes_in_circles(&[]));
    }

    #[test]
    fn what_is_of_no_use_is_counted_by_its_reason() {
        let row = |answer: &str, new: &[u32]| {
            let row = ReplayRow {
                kind: Kind::Answer,
                prompt: "p".to_owned(),
                answer: answer.to_owned(),
                tokens: [&[9, 9, 9, 9, 9, 9, 9, 9, 9, 9], new].concat(),
                first: 10,
                likely: Vec::new(),
            };
            (row, new.len())
        };
        let rows = vec![
            row("good", &[1, 2]),
            row("good", &[1, 2]),
            row("few", &[1]),
            row(" ", &[1, 2]),
            row("round", &[1, 2, 3, 4].repeat(4)),
            row("mail me", &[1, 2]),
            row("asked", &[1, 2]),
            row("better", &[3, 4]),
        ];
        let screen = Screen {
            sha256: ContentHash::of(b""),
            objections: &|texts| {
                let objection = |text: &String| match text.as_str() {
                    "p\nmail me" => Some(Objection::Personal),
                    "p\nasked" => Some(Objection::Suite),
                    _ => None,
                };
                Ok(texts.iter().map(objection).collect())
            },
        };
        let (kept, left_out) = usable(rows, 2, &screen).unwrap();
        let answers: Vec<&str> = kept.iter().map(|row| row.answer.as_str()).collect();
        assert_eq!(answers, ["good", "better"]);
        let expected = LeftOut {
            short: 2,
            repetitive: 1,
            double: 1,
            personal: 1,
            suite: 1,
        };
        assert_eq!((left_out, left_out.total()), (expected, 6));
    }
}
