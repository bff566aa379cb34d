//! Rows to train an adapter on that quotes: each question as `ask` puts it, passages and all, with the sentence that holds
//! the known answer as what is to be said.

use serde::Serialize;

use super::answer_score::AnswerScores;
use super::ask::AskOptions;
use super::benchmark::{Benchmark, Steps, step};
use super::brief::{Brief, Room, brief};
use super::embed::Embed;
use crate::Result;
use crate::engine::ChatMessage;

/// A row of chat, as `unforget train` reads it.
#[derive(Debug, Clone, Serialize)]
pub struct QuotingRow {
    /// The query's name in the benchmark.
    pub id: String,
    /// What the model is told, what it is asked, and what it should say.
    pub messages: [ChatMessage; 3],
}

/// The rows of a benchmark.
#[derive(Debug, Clone)]
pub struct QuotingRows {
    /// A row for each question that the passages answer.
    pub rows: Vec<QuotingRow>,
    /// Questions whose known answer no sentence that may be quoted holds: searching failed, and no model can mend that.
    pub without: usize,
}

impl Benchmark {
    /// The judged questions that carry an answer, as rows.
    ///
    /// # Errors
    /// What [`brief`] returns; [`crate::Error::InvalidArgument`] if no question carries an answer.
    pub fn quoting_rows(
        &mut self,
        embedder: &mut dyn Embed,
        room: &Room<'_>,
        options: &AskOptions,
        progress: &mut Steps<'_>,
    ) -> Result<QuotingRows> {
        let asked = self.answered_queries()?;
        let (mut rows, mut without) = (Vec::new(), 0);
        for (nth, (query, expected)) in asked.iter().enumerate() {
            step(progress, nth, asked.len())?;
            let found = brief(&query.text, &mut self.collection, embedder, room, options)?;
            match row(&found, expected) {
                Some(messages) => rows.push(QuotingRow {
                    id: query.id.clone(),
                    messages,
                }),
                None => without += 1,
            }
        }
        Ok(QuotingRows { rows, without })
    }
}

/// The shortest of the sentences that may be quoted and hold what is expected: the others say more than was asked.
fn row(found: &Brief, expected: &str) -> Option<[ChatMessage; 3]> {
    let Brief::Ask(assignment) = found else {
        return None;
    };
    let quotable = assignment.prompt.nearest.iter();
    let sentence = quotable
        .filter(|sentence| AnswerScores::of(sentence, expected).contains > 0.0)
        .min_by_key(|sentence| sentence.len())?;
    Some([
        ChatMessage::system(assignment.system()),
        ChatMessage::user(assignment.user()),
        ChatMessage::assistant(sentence.as_str()),
    ])
}
