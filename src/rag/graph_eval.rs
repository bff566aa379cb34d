//! What walking through a graph costs in retrieval, against scanning all vectors: the same queries, the same vectors, the
//! same judgements. Collections scan while they are small, so a benchmark of a few thousand passages would not show it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::ann::VectorIndex;
use super::benchmark::{Benchmark, Steps, step};
use super::embed::{Embed, embed_checked, fitting};
use super::eval::PASSAGES;
use super::ranking::{DEPTH, RankingScores};
use super::vectors::{dot, floats};
use crate::Result;

/// Breadth of the walk: that of a search.
const BREADTH: usize = 100;

/// Exact scan and walk, side by side.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct GraphReport {
    /// Vectors in the graph.
    pub vectors: usize,
    /// Queries that were asked.
    pub queries: usize,
    /// Means with all vectors scanned.
    pub exact: RankingScores,
    /// Means with the graph walked.
    pub walk: RankingScores,
}

impl Benchmark {
    /// Builds a graph of all vectors in the folder `scratch`, whatever their number, and asks each query of both.
    ///
    /// # Errors
    /// What the embedder, the database or the file system says; [`crate::Error::InvalidArgument`] if no query has a
    /// relevant document.
    pub fn graph(
        &mut self,
        scratch: &Path,
        embedder: &mut dyn Embed,
        progress: &mut Steps<'_>,
    ) -> Result<GraphReport> {
        let vectors = self.vectors()?;
        let documents = self.documents_by_chunk(&vectors)?;
        let dimension = embedder.id().dimension;
        let file = scratch.join("graph.ann");
        let each = vectors.iter().map(|(id, vector)| (*id, vector.as_slice()));
        VectorIndex::build(&file, dimension, each, 1)?;
        let graph = VectorIndex::open(&file, dimension)?;
        let (mut exact, mut walk) = (Vec::new(), Vec::new());
        for (nth, query) in self.beir.queries.iter().enumerate() {
            step(progress, nth, self.beir.queries.len())?;
            let Some(judgements) = self.beir.judgements.get(&query.id) else {
                continue;
            };
            let text = fitting(&*embedder, &query.text).to_owned();
            let asked = embed_checked(embedder, &[&text])?.remove(0);
            let walked = graph.nearest(&asked, PASSAGES, BREADTH)?;
            let ranking = |ids: &mut dyn Iterator<Item = i64>| {
                let mut seen = HashSet::new();
                let named = ids.filter_map(|id| documents.get(&id).cloned());
                named
                    .filter(|name| seen.insert(name.clone()))
                    .take(DEPTH)
                    .collect::<Vec<_>>()
            };
            let scanned = scan(&vectors, &asked);
            let both = (
                RankingScores::of(&ranking(&mut scanned.into_iter()), judgements),
                RankingScores::of(&ranking(&mut walked.iter().map(|(id, _)| *id)), judgements),
            );
            if let (Some(by_scan), Some(by_walk)) = both {
                exact.push(by_scan);
                walk.push(by_walk);
            }
        }
        if exact.is_empty() {
            return Err(self.lacks("at least one query with a relevant document"));
        }
        Ok(GraphReport {
            vectors: vectors.len(),
            queries: exact.len(),
            exact: RankingScores::mean(&exact),
            walk: RankingScores::mean(&walk),
        })
    }

    /// All vectors by chunk, ascending.
    fn vectors(&self) -> Result<Vec<(i64, Vec<f32>)>> {
        let mut vectors = Vec::new();
        self.collection.store().each_vector(i64::MIN, |id, bytes| {
            vectors.push((id, floats(bytes).collect()));
            true
        })?;
        Ok(vectors)
    }

    /// The benchmark's name of the document that each chunk is of.
    fn documents_by_chunk(&self, vectors: &[(i64, Vec<f32>)]) -> Result<HashMap<i64, String>> {
        let mut documents = HashMap::with_capacity(vectors.len());
        for (id, _) in vectors {
            let chunk = self.collection.store().chunk(*id)?;
            let name = chunk.and_then(|chunk| self.files.get(Path::new(&chunk.path)));
            documents.extend(name.map(|name| (*id, name.clone())));
        }
        Ok(documents)
    }
}

/// The chunks nearest to `query`, by their exact cosine.
fn scan(vectors: &[(i64, Vec<f32>)], query: &[f32]) -> Vec<i64> {
    let mut scored: Vec<(f32, i64)> = vectors
        .iter()
        .map(|(id, vector)| (dot(vector, query), *id))
        .collect();
    scored.sort_by(|(a, id_a), (b, id_b)| b.total_cmp(a).then(id_a.cmp(id_b)));
    scored
        .into_iter()
        .take(PASSAGES)
        .map(|(_, id)| id)
        .collect()
}
