//! Rows to learn from: JSON Lines of `{"prompt": .., "target": ..}` or `{"messages": [{"role": .., "content": ..}, ..]}`.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use crate::engine::{ChatMessage, ContentHash, Role};
use crate::{Error, Result};

/// Bytes of a file of rows. All of it is held in memory, and nothing that is trained on a laptop is near.
const MAX_BYTES: u64 = 1 << 30;
/// The most held-back rows: as many as a look at the task needs.
const MAX_HELD_BACK: usize = 40;

/// A chat whose assistant is to be learnt from.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its line, from 1.
    pub line: usize,
    /// At least one is the assistant's, and the last one is.
    pub messages: Vec<ChatMessage>,
}

impl Row {
    /// All that is said before the last answer.
    fn question(&self) -> &[ChatMessage] {
        &self.messages[..self.messages.len().saturating_sub(1)]
    }

    /// The words of the question: two rows that differ in nothing else ask the same.
    fn key(&self) -> String {
        let said: String = self
            .question()
            .iter()
            .map(|m| format!("{} ", m.content))
            .collect();
        let words = said.split(|c: char| !c.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty()).map(str::to_lowercase);
        words.collect::<Vec<_>>().join(" ")
    }

    /// All that is said, a line each.
    #[must_use]
    pub fn text(&self) -> String {
        let contents = self.messages.iter().map(|message| &*message.content);
        contents.collect::<Vec<_>>().join("\n")
    }

    /// Prompt and answer, if that is all there is.
    #[must_use]
    pub fn pair(&self) -> Option<(&str, &str)> {
        match self.messages.as_slice() {
            [one, two] if one.role == Role::User => Some((&one.content, &two.content)),
            _ => None,
        }
    }
}

/// A file of rows, checked.
#[derive(Debug, Clone)]
pub struct Rows {
    /// What is learnt from.
    pub rows: Vec<Row>,
    /// Lines that say what a line before says.
    pub duplicates: Vec<Duplicate>,
    /// sha256 of the file.
    pub sha256: ContentHash,
}

/// A line that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// The line left out.
    pub line: usize,
    /// The line that says the same.
    pub first: usize,
}

#[derive(Deserialize)]
struct Line {
    prompt: Option<String>,
    target: Option<String>,
    messages: Option<Vec<ChatMessage>>,
}

impl Rows {
    /// Reads a file. What occurs twice is left out and listed.
    ///
    /// # Errors
    /// [`Error::TrainingData`] with the line that is not a row, is empty, or answers a question of another line otherwise;
    /// [`Error::InvalidArgument`] for a file without rows or too large; [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs_err::metadata(path)?.len();
        if bytes > MAX_BYTES {
            return Err(invalid(
                path,
                format!("at most {MAX_BYTES} bytes, not {bytes}"),
            ));
        }
        let text = fs_err::read(path)?;
        let name = path.display().to_string();
        let sha256 = ContentHash::of(&text);
        let text = String::from_utf8(text).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
            bad(&name, line, "not UTF-8".to_owned())
        })?;
        let (rows, duplicates) = parse(&name, &text)?;
        if rows.is_empty() {
            return Err(invalid(path, "at least one row".to_owned()));
        }
        Ok(Self {
            rows,
            duplicates,
            sha256,
        })
    }

    /// Holds a tenth back, at most 40 rows, by chance of `seed`. Nothing is held back of fewer than 20 rows.
    ///
    /// No question is on both sides, whatever its case, marks and spaces: what would leak is learnt.
    #[must_use]
    pub fn split(&self, seed: u64) -> (Vec<Row>, Vec<Row>) {
        let n = self.rows.len();
        let n_held = if n < 20 {
            0
        } else {
            (n / 10).min(MAX_HELD_BACK)
        };
        let keys: Vec<String> = self.rows.iter().map(Row::key).collect();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for key in &keys {
            *counts.entry(key).or_default() += 1;
        }
        let mut held = Dice::new(seed ^ SPLIT).order(n);
        held.retain(|&index| counts.get(keys[index].as_str()) == Some(&1));
        held.truncate(n_held);
        let mut sides = (Vec::new(), Vec::new());
        for (index, row) in self.rows.iter().enumerate() {
            let side = if held.contains(&index) {
                &mut sides.1
            } else {
                &mut sides.0
            };
            side.push(row.clone());
        }
        sides
    }
}

/// Keeps the stream of the split apart from that of the order.
const SPLIT: u64 = 0x5a17;

fn parse(file: &str, text: &str) -> Result<(Vec<Row>, Vec<Duplicate>)> {
    let mut rows: Vec<Row> = Vec::new();
    let mut duplicates = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let row = row(line, text).map_err(|reason| bad(file, line, reason))?;
        let key = serde_json::to_string(row.question()).unwrap_or_default();
        match seen.get(&key).map(|&index| &rows[index]) {
            None => {
                seen.insert(key, rows.len());
                rows.push(row);
            }
            Some(first) if first.messages == row.messages => duplicates.push(Duplicate {
                line,
                first: first.line,
            }),
            Some(first) => {
                let first = first.line;
                return Err(bad(
                    file,
                    line,
                    format!("it answers the question of line {first} otherwise; keep one of them"),
                ));
            }
        }
    }
    Ok((rows, duplicates))
}

fn row(line: usize, text: &str) -> Result<Row, String> {
    let parsed: Line = serde_json::from_str(text).map_err(|error| {
        format!("not a row of training data ({error}); give {{\"prompt\": .., \"target\": ..}} or {{\"messages\": [..]}}")
    })?;
    let messages = match (parsed.messages, parsed.prompt, parsed.target) {
        (Some(messages), None, None) => messages,
        (None, Some(prompt), Some(target)) => {
            vec![ChatMessage::user(prompt), ChatMessage::assistant(target)]
        }
        _ => return Err("give prompt and target, or messages, and not both".to_owned()),
    };
    check(&messages)?;
    Ok(Row { line, messages })
}

fn check(messages: &[ChatMessage]) -> Result<(), String> {
    if let Some(empty) = messages.iter().position(|m| m.content.trim().is_empty()) {
        return Err(format!("message {} is empty", empty + 1));
    }
    match messages {
        [] | [_] => Err("a row needs a question and an answer".to_owned()),
        [.., last] if last.role != Role::Assistant => Err(
            "the last message is not the assistant's, so nothing can be learnt from it".to_owned(),
        ),
        _ => Ok(()),
    }
}

fn bad(file: &str, line: usize, reason: String) -> Error {
    Error::TrainingData {
        file: file.to_owned(),
        line,
        reason,
    }
}

fn invalid(path: &Path, expected: String) -> Error {
    Error::InvalidArgument {
        what: "training data",
        value: path.display().to_string(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse("rows.jsonl", text).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_are_rows() {
        let text = r#"{"id": "a", "prompt": "p", "target": "t"}

{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}
{"prompt": "p", "target": "t"}"#;
        let (rows, duplicates) = parse("f", text).unwrap();
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(rows[0].pair(), Some(("p", "t")));
        assert_eq!(rows[1].pair(), None);
        assert_eq!(duplicates, [Duplicate { line: 4, first: 1 }]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let good = r#"{"prompt": "p", "target": "t"}"#;
        for (bad, reason) in [
            ("{", "not a row"),
            (r#"{"prompt": "p"}"#, "prompt and target"),
            (r#"{"prompt": "q", "target": " "}"#, "message 2 is empty"),
            (r#"{"messages": []}"#, "a question and an answer"),
            (
                r#"{"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "u"}]}"#,
                "not the assistant's",
            ),
            (
                r#"{"messages": [{"role": "robot", "content": "a"}]}"#,
                "robot",
            ),
            (
                r#"{"prompt": "p", "target": "other"}"#,
                "question of line 1 otherwise",
            ),
        ] {
            let message = refused(&format!("{good}\n{bad}\n"));
            assert!(message.starts_with("rows.jsonl line 2: "), "{message}");
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn the_split_is_the_same_each_time_and_loses_nothing() {
        let text: Vec<String> = (0..100)
            .map(|i| format!(r#"{{"prompt": "p{i}", "target": "t"}}"#))
            .collect();
        let (rows, duplicates) = parse("f", &text.join("\n")).unwrap();
        let rows = Rows {
            rows,
            duplicates,
            sha256: ContentHash::of(b""),
        };
        let (learnt, held) = rows.split(1);
        assert_eq!((learnt.len(), held.len()), (90, 10));
        assert_eq!(rows.split(1), (learnt.clone(), held.clone()));
        assert_ne!(rows.split(2).1, held);
        assert!(held.iter().all(|row| !learnt.contains(row)));
    }

    #[test]
    fn what_asks_the_same_is_never_held_back() {
        let text: Vec<String> = (0..40)
            .map(|i| {
                let mark = if i < 20 { "?" } else { " !" };
                format!(
                    r#"{{"prompt": "How is {}{mark}", "target": "t{i}"}}"#,
                    i % 20
                )
            })
            .collect();
        let (rows, duplicates) = parse("f", &text.join("\n")).unwrap();
        let mut rows = Rows {
            rows,
            duplicates,
            sha256: ContentHash::of(b""),
        };
        assert!(rows.split(1).1.is_empty());
        rows.rows.truncate(21);
        let (learnt, held) = rows.split(1);
        assert_eq!((learnt.len(), held.len()), (19, 2));
        assert!(held.iter().all(|row| row.line != 1 && row.line != 21));
    }
}
