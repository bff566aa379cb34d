//! Whether a question is about a topic: by its words, or by its meaning.

use std::collections::HashSet;

use crate::Result;
use crate::rag::embed::{Embed, embed_checked, fitting};
use crate::rag::vectors::dot;
use crate::rag::words::content;

/// Cosine of a question to a topic from which it counts as meant, with all-MiniLM-L6-v2. Measured by `benches/thresholds.rs`
/// on 200 questions to a bank and the 7 names of their intents ("card arrival"):
///
/// | similarity | own topic met | another's met |
/// |---|--:|--:|
/// | 0.3 | 52 % | 3.8 % |
/// | 0.4 | 32 % | 0.6 % |
/// | **0.45** | **22 %** | **0.1 %** |
/// | 0.5 | 12 % | 0 % |
/// | 0.6 | 6 % | 0 % |
///
/// The least that hardly ever meets another topic: a question refused for what it is not about is worse than one that the
/// words of the topics have to catch.
const SIMILARITY: f32 = 0.45;

/// Most topics of a rule: each is embedded for each question that its words do not settle.
const MAX_TOPICS: usize = 100;

/// Topics of one rule.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    topics: Vec<String>,
    similarity: f32,
}

impl Topics {
    /// Checks the topics of `rule`.
    pub fn new(rule: &str, topics: Vec<String>, similarity: Option<f32>) -> Result<Self, String> {
        let similarity = similarity.unwrap_or(SIMILARITY);
        if topics.is_empty() || topics.len() > MAX_TOPICS {
            return Err(format!("{rule} has to have 1 to {MAX_TOPICS} topics"));
        }
        if let Some(empty) = topics.iter().find(|topic| content(topic).is_empty()) {
            return Err(format!(
                "{rule} has the topic '{empty}', which has no word of content"
            ));
        }
        if !(similarity > 0.0 && similarity <= 1.0) {
            return Err(format!(
                "{rule} has similarity {similarity}, which has to be above 0 and at most 1"
            ));
        }
        Ok(Self { topics, similarity })
    }

    /// Why `question` is about one of the topics, if it is.
    pub fn met(&self, question: &str, embedder: &mut dyn Embed) -> Result<Option<String>> {
        let asked = stems(question);
        let by_words = self
            .topics
            .iter()
            .find(|topic| stems(topic).is_subset(&asked));
        if let Some(topic) = by_words {
            return Ok(Some(format!("the question has the words of '{topic}'")));
        }
        let texts: Vec<String> = std::iter::once(question)
            .chain(self.topics.iter().map(String::as_str))
            .map(|text| fitting(&*embedder, text).to_owned())
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = embed_checked(embedder, &texts)?;
        let Some((asked, topics)) = vectors.split_first() else {
            return Ok(None);
        };
        let near = topics.iter().map(|topic| dot(asked, topic));
        let nearest = near
            .zip(&self.topics)
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(nearest
            .filter(|(cosine, _)| *cosine >= self.similarity)
            .map(|(cosine, topic)| {
                format!("the question means much the same as '{topic}' ({cosine:.2})")
            }))
    }
}

fn stems(text: &str) -> HashSet<String> {
    content(text).into_iter().map(|word| word.stem).collect()
}
