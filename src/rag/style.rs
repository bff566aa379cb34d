//! In which way an answer is given.

use super::neutral::LEFT_OUT;
use crate::{Error, Result};

/// How the model answers from passages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerStyle {
    /// With one sentence of the passages, word for word: the model chooses among those that are nearest to the question,
    /// and cannot write anything else. A small model makes things up as soon as it is let go.
    #[default]
    Quote,
    /// In its own words.
    Free,
}

impl AnswerStyle {
    const ALL: [Self; 2] = [Self::Quote, Self::Free];

    /// The grammar of the answers that may be given, where `sentences` are to be quoted; none where all may.
    pub(super) fn grammar(self, sentences: &[String]) -> Option<String> {
        let quotable = sentences
            .iter()
            .filter(|sentence| !sentence.contains(LEFT_OUT));
        let quoted: Vec<String> = quotable.map(|sentence| literal(sentence)).collect();
        (self == Self::Quote && !quoted.is_empty())
            .then(|| format!("root ::= {}", quoted.join(" | ")))
    }
}

/// A text as GBNF writes it. It is one line; control characters have no place in an answer.
fn literal(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal.push('"');
    literal
}

impl std::fmt::Display for AnswerStyle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Quote => "quote",
            Self::Free => "free",
        })
    }
}

impl std::str::FromStr for AnswerStyle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let style = Self::ALL
            .into_iter()
            .find(|style| style.to_string() == text);
        style.ok_or_else(|| Error::InvalidArgument {
            what: "answer style",
            value: text.to_owned(),
            expected: "quote or free".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_one_of_the_sentences() {
        let sentences = [
            "He said \"no\".".to_owned(),
            "C:\\temp is\u{7} full.".to_owned(),
        ];
        let grammar = AnswerStyle::Quote.grammar(&sentences);
        let expected = r#"root ::= "He said \"no\"." | "C:\\temp is full.""#;
        assert_eq!(grammar.as_deref(), Some(expected));
        assert_eq!(AnswerStyle::Free.grammar(&sentences), None);
        assert_eq!(AnswerStyle::Quote.grammar(&[LEFT_OUT.to_owned()]), None);
    }
}
