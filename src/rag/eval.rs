//! Measuring retrieval on a benchmark: its queries are searched, its judgements judge.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::benchmark::{Benchmark, Steps, percentile, step};
use super::embed::Embed;
use super::ranking::{DEPTH, RankingScores};
use super::search::{Hit, SearchMode, SearchOptions};
use crate::Result;

/// Passages that are read for each query: a document may have several, and ten different documents are wanted.
pub(super) const PASSAGES: usize = 50;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct EvalReport {
    /// Which rankings were used.
    pub mode: SearchMode,
    /// Whether a cross-encoder read the best again.
    pub reranked: bool,
    /// Documents of the corpus that were searched.
    pub documents: usize,
    /// Queries that have something to find, and were asked.
    pub queries: usize,
    /// Means over the queries.
    #[serde(flatten)]
    pub scores: RankingScores,
    /// Median time of a query, embedding it included.
    pub p50_ms: f64,
    /// 99th percentile of that time.
    pub p99_ms: f64,
    /// Time to add the corpus.
    pub index_seconds: f64,
}

impl Benchmark {
    /// Measures searching by `mode`.
    ///
    /// # Errors
    /// What searching can return; [`crate::Error::InvalidArgument`] if no query has a relevant document.
    pub fn retrieval(
        &mut self,
        mode: SearchMode,
        embedder: &mut dyn Embed,
        progress: &mut Steps<'_>,
    ) -> Result<EvalReport> {
        let mut scores = Vec::new();
        let mut times_ms = Vec::new();
        for (index, query) in self.beir.queries.iter().enumerate() {
            step(progress, index, self.beir.queries.len())?;
            let Some(judgements) = self.beir.judgements.get(&query.id) else {
                continue;
            };
            let options = SearchOptions {
                limit: PASSAGES,
                mode,
                ..SearchOptions::default()
            };
            let begun = Instant::now();
            let found = self.collection.search(&query.text, embedder, &options)?;
            let ranking = documents_of(&found.hits, &self.files);
            if let Some(score) = RankingScores::of(&ranking, judgements) {
                times_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
                scores.push(score);
            }
        }
        if scores.is_empty() {
            return Err(self.lacks("at least one query with a relevant document"));
        }
        Ok(EvalReport {
            mode,
            reranked: self.collection.reranker().is_some(),
            documents: self.documents,
            queries: scores.len(),
            scores: RankingScores::mean(&scores),
            p50_ms: percentile(&mut times_ms, 50),
            p99_ms: percentile(&mut times_ms, 99),
            index_seconds: self.index_seconds,
        })
    }
}

/// The first ten documents of a ranking of passages, each where its best passage stands.
fn documents_of(hits: &[Hit], files: &HashMap<PathBuf, String>) -> Vec<String> {
    let mut seen = HashSet::new();
    hits.iter()
        .filter(|hit| seen.insert(hit.document))
        .filter_map(|hit| files.get(Path::new(&hit.path)).cloned())
        .take(DEPTH)
        .collect()
}
