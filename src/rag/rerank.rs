//! What `rag` needs of a reranking model, and the order that it gives.
//!
//! The model itself lives in `engine`; tests bring a toy one.

use super::search::Hit;
use crate::engine::{CancelToken, Reranker};
use crate::{Error, Result};

/// Best hits of the fused ranking that are read again. Each costs a pass of the cross-encoder over 200 tokens, and what
/// answers a question is among the first twenty for 99 in 100 questions of the SQuAD data.
pub(super) const RERANKED: usize = 20;

/// A model that reads question and passage together.
pub trait Rerank: std::fmt::Debug + Send {
    /// A score for each of `texts`, higher for a better answer to `query`, in order.
    ///
    /// # Errors
    ///
    /// When the engine fails.
    fn score(&mut self, query: &str, texts: &[&str]) -> Result<Vec<f32>>;
}

/// [`Rerank`] by the engine.
#[derive(Debug)]
pub struct EngineReranker {
    reranker: Reranker,
    cancel: CancelToken,
}

impl EngineReranker {
    /// Wraps `reranker`; `cancel` stops it between and within passages.
    #[must_use]
    pub fn new(reranker: Reranker, cancel: CancelToken) -> Self {
        Self { reranker, cancel }
    }
}

impl Rerank for EngineReranker {
    fn score(&mut self, query: &str, texts: &[&str]) -> Result<Vec<f32>> {
        self.reranker.score(query, texts, &self.cancel)
    }
}

/// Puts `hits` into the order of `model`, each with its score; ties keep the order they have.
pub(super) fn rerank(query: &str, mut hits: Vec<Hit>, model: &mut dyn Rerank) -> Result<Vec<Hit>> {
    let texts: Vec<String> = hits.iter().map(in_context).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let scores = model.score(query, &texts)?;
    if scores.len() != hits.len() {
        return Err(Error::Engine(format!(
            "the reranker returned {} scores for {} texts",
            scores.len(),
            hits.len()
        )));
    }
    for (hit, score) in hits.iter_mut().zip(scores) {
        hit.rerank_score = Some(score);
    }
    let score = |hit: &Hit| hit.rerank_score.unwrap_or(f32::NEG_INFINITY);
    hits.sort_by(|a, b| score(b).total_cmp(&score(a)));
    Ok(hits)
}

/// The text under its heading, as it is embedded.
fn in_context(hit: &Hit) -> String {
    if hit.heading.is_empty() {
        return hit.text.clone();
    }
    format!("{}\n{}", hit.heading, hit.text)
}
