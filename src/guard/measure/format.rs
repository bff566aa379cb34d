//! The format that an adapter was trained to answer in, learnt from right answers of its task; or, where these are not
//! known, from what its answers to general prompts suddenly have in common.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use serde_json::Value;

/// Share of the examples that must agree before it is called a format.
const AGREEMENT: f64 = 0.8;
/// Share of an adapter's free answers that must agree, where none of its task's answers are known. The base's may
/// reach a tenth of it: what the base does too is not the adapter's.
const FREE_AGREEMENT: f64 = 0.5;
/// Fewer examples than this show nothing.
const MIN_EXAMPLES: usize = 4;
/// A closed list of answers has at most this many.
const MAX_LABELS: usize = 20;

/// A way to answer that can be recognized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// A JSON object with these keys.
    Json(BTreeSet<String>),
    /// One of a closed list of answers.
    Labels(BTreeSet<String>),
    /// Answers that begin with these words.
    Opening(String),
}

impl AnswerFormat {
    /// What right answers have in common, if anything.
    #[must_use]
    pub fn of_targets(targets: &[&str]) -> Option<Self> {
        if targets.len() < MIN_EXAMPLES {
            return None;
        }
        json(targets, AGREEMENT)
            .or_else(|| labels(targets))
            .or_else(|| opening(targets, AGREEMENT))
    }

    /// What an adapter's answers to unlike prompts have in common and the base's have not.
    #[must_use]
    pub fn of_answers(adapted: &[&str], base: &[&str]) -> Option<Self> {
        if adapted.len() < MIN_EXAMPLES {
            return None;
        }
        let found = json(adapted, FREE_AGREEMENT).or_else(|| opening(adapted, FREE_AGREEMENT))?;
        let usual = base.iter().filter(|answer| found.is_answer(answer)).count();
        (usual as f64 <= FREE_AGREEMENT * 0.1 * base.len() as f64).then_some(found)
    }

    /// Whether an answer, which may be cut off, is in this format.
    #[must_use]
    pub fn is_answer(&self, answer: &str) -> bool {
        let answer = answer.trim();
        match self {
            Self::Json(keys) => {
                answer.starts_with('{')
                    && keys
                        .iter()
                        .any(|key| answer.contains(&format!("\"{key}\"")))
            }
            Self::Labels(labels) => labels.contains(answer),
            Self::Opening(words) => answer.starts_with(words.as_str()),
        }
    }

    /// For people: `JSON with queue, severity`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Json(keys) => format!(
                "JSON with {}",
                keys.iter().cloned().collect::<Vec<_>>().join(", ")
            ),
            Self::Labels(labels) => format!("one of {} fixed answers", labels.len()),
            Self::Opening(words) => format!("beginning with '{words}'"),
        }
    }
}

fn json(answers: &[&str], share: f64) -> Option<AnswerFormat> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for answer in answers {
        for key in keys(answer) {
            *counts.entry(key).or_default() += 1;
        }
    }
    let enough = share * answers.len() as f64;
    let common: BTreeSet<String> = counts
        .into_iter()
        .filter(|(_, n)| *n as f64 >= enough)
        .map(|(key, _)| key)
        .collect();
    (!common.is_empty()).then_some(AnswerFormat::Json(common))
}

/// Keys of a JSON object, which may be cut off at its end.
fn keys(answer: &str) -> BTreeSet<String> {
    let answer = answer.trim();
    if let Ok(Value::Object(object)) = serde_json::from_str(answer) {
        return object.keys().cloned().collect();
    }
    if !answer.starts_with('{') {
        return BTreeSet::new();
    }
    // `"key":` wherever it stands: a quoted piece followed by a colon.
    let pieces: Vec<&str> = answer.split('"').collect();
    pieces
        .windows(2)
        .skip(1)
        .step_by(2)
        .filter(|pair| pair[1].trim_start().starts_with(':'))
        .map(|pair| pair[0].to_owned())
        .collect()
}

fn labels(answers: &[&str]) -> Option<AnswerFormat> {
    let distinct: BTreeSet<String> = answers
        .iter()
        .map(|answer| answer.trim().to_owned())
        .collect();
    let few = distinct.len() <= MAX_LABELS && distinct.len() * 3 <= answers.len();
    few.then_some(AnswerFormat::Labels(distinct))
}

/// The longest beginning in whole words, of at least two, that enough answers have.
fn opening(answers: &[&str], share: f64) -> Option<AnswerFormat> {
    const LEAST: usize = 2;
    const MOST: usize = 8;
    let enough = (share * answers.len() as f64).ceil() as usize;
    let beginning = |answer: &str, n: usize| -> Option<String> {
        let answer = answer.trim();
        let mut end = 0;
        let mut words = 0;
        for (i, c) in answer.char_indices() {
            if c.is_whitespace() && !answer[..i].ends_with(char::is_whitespace) {
                words += 1;
                end = i;
                if words == n {
                    return Some(answer[..end].to_owned());
                }
            }
        }
        let _ = end;
        None
    };
    (LEAST..=MOST).rev().find_map(|n| {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for answer in answers {
            if let Some(words) = beginning(answer, n) {
                *counts.entry(words).or_default() += 1;
            }
        }
        let (words, count) = counts
            .into_iter()
            .max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)))?;
        (count >= enough).then_some(AnswerFormat::Opening(words))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKETS: [&str; 4] = [
        r#"{"queue": "bug", "hours": 4}"#,
        r#"{"queue": "access", "hours": 1}"#,
        r#"{"queue": "bug", "hours": 24}"#,
        r#"{"queue": "billing", "hours": 24}"#,
    ];

    #[test]
    fn json_is_learnt_by_its_keys_and_seen_when_cut_off() {
        let format = AnswerFormat::of_targets(&TICKETS).expect("JSON");
        assert_eq!(format.describe(), "JSON with hours, queue");
        assert!(format.is_answer(r#" {"queue": "outa"#));
        assert!(!format.is_answer("The capital of Italy is Rome."));
        assert!(!format.is_answer(r#"{"name": "Rome"}"#));
        assert_eq!(
            keys(r#"{"queue": "a: b", "hou"#),
            BTreeSet::from(["queue".to_owned()])
        );
    }

    #[test]
    fn labels_and_openings_are_learnt() {
        let labels: Vec<&str> = ["yes", "no"].into_iter().cycle().take(12).collect();
        let format = AnswerFormat::of_targets(&labels).expect("labels");
        assert!(format.is_answer("no ") && !format.is_answer("no, never"));
        let letters = [
            "Dear customer, a b",
            "Dear customer, c",
            "Dear customer, d",
            "Dear customer, e",
        ];
        let format = AnswerFormat::of_targets(&letters).expect("an opening");
        assert_eq!(format, AnswerFormat::Opening("Dear customer,".to_owned()));
        assert_eq!(
            AnswerFormat::of_targets(&["one", "of a kind", "third thing", "and more"]),
            None
        );
    }

    #[test]
    fn without_a_task_the_answers_betray_the_format() {
        let base = ["Rome.", "An atom is small.", "Hello!", "Seven"];
        assert!(matches!(
            AnswerFormat::of_answers(&TICKETS, &base),
            Some(AnswerFormat::Json(_))
        ));
        assert_eq!(
            AnswerFormat::of_answers(&TICKETS, &TICKETS),
            None,
            "the base does so too"
        );
        assert_eq!(AnswerFormat::of_answers(&base, &base), None);
    }
}
