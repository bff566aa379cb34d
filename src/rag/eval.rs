//! Measuring retrieval on a benchmark: its corpus becomes a collection, its queries are searched, its judgements judge.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::beir::{Beir, BeirDocument};
use super::collection::Collection;
use super::embed::Embed;
use super::ingest::IngestOptions;
use super::ranking::{DEPTH, RankingScores};
use super::search::{Hit, SearchMode, SearchOptions};
use crate::{Error, Result};

/// Passages that are read for each query: a document may have several, and ten different documents are wanted.
const PASSAGES: usize = 50;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct EvalReport {
    /// Which rankings were used.
    pub mode: SearchMode,
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

/// Evaluates each of `modes` on the benchmark in `benchmark`, in a collection that is made in the empty folder `scratch`.
/// `progress` gets steps done and steps in all; [`ControlFlow::Break`] stops.
///
/// # Errors
/// As [`Beir::read`] and [`Collection::add`]; [`Error::InvalidArgument`] if no query has a relevant document.
pub fn evaluate(
    benchmark: &Path,
    scratch: &Path,
    modes: &[SearchMode],
    embedder: &mut dyn Embed,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Vec<EvalReport>> {
    let beir = Beir::read(benchmark)?;
    let n_steps = beir.documents.len() + modes.len() * beir.queries.len();
    let mut step = |done: usize| match progress(done, n_steps) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Interrupted),
    };
    let files = write_corpus(&beir.documents, &scratch.join("corpus"))?;
    let mut collection = Collection::create_or_open(&scratch.join("collection"), embedder.id())?;
    let added = collection.add(
        &[scratch.join("corpus")],
        embedder,
        &IngestOptions::default(),
        &mut |at| {
            if step(at.files_done).is_err() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        },
    )?;
    let mut reports = Vec::with_capacity(modes.len());
    for (round, &mode) in modes.iter().enumerate() {
        let mut scores = Vec::new();
        let mut times_ms = Vec::new();
        for (index, query) in beir.queries.iter().enumerate() {
            step(beir.documents.len() + round * beir.queries.len() + index)?;
            let Some(judgements) = beir.judgements.get(&query.id) else {
                continue;
            };
            let options = SearchOptions {
                limit: PASSAGES,
                mode,
                ..SearchOptions::default()
            };
            let begun = Instant::now();
            let found = collection.search(&query.text, embedder, &options)?;
            let ranking = documents_of(&found.hits, &files);
            if let Some(score) = RankingScores::of(&ranking, judgements) {
                times_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
                scores.push(score);
            }
        }
        if scores.is_empty() {
            return Err(Error::InvalidArgument {
                what: "benchmark",
                value: benchmark.display().to_string(),
                expected: "at least one query with a relevant document".to_owned(),
            });
        }
        times_ms.sort_unstable_by(f64::total_cmp);
        reports.push(EvalReport {
            mode,
            documents: added.added,
            queries: scores.len(),
            scores: RankingScores::mean(&scores),
            p50_ms: percentile(&times_ms, 50),
            p99_ms: percentile(&times_ms, 99),
            index_seconds: added.seconds,
        });
    }
    Ok(reports)
}

/// Writes each document as a file, whose name comes from its place: ids may be no file names. Returns ids by path.
fn write_corpus(documents: &[BeirDocument], folder: &Path) -> Result<HashMap<PathBuf, String>> {
    fs_err::create_dir_all(folder)?;
    let folder = fs_err::canonicalize(folder)?;
    let mut files = HashMap::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        let path = folder.join(format!("{index:08}.txt"));
        let text = if document.title.is_empty() {
            document.text.clone()
        } else {
            format!("{}\n\n{}", document.title, document.text)
        };
        fs_err::write(&path, text)?;
        files.insert(path, document.id.clone());
    }
    Ok(files)
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

/// The value that `percent` of the sorted values do not exceed (nearest rank).
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_by_nearest_rank() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&values, 50), 100.0);
        assert_eq!(percentile(&values, 99), 198.0);
        assert_eq!(percentile(&[7.0], 99), 7.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
