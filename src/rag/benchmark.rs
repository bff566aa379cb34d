//! A benchmark's corpus as a collection, for measuring what is found in it and what is answered from it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::beir::{Beir, BeirDocument, BeirQuery};
use super::collection::Collection;
use super::embed::Embed;
use super::ingest::IngestOptions;
use crate::{Error, Result};

/// Gets steps done and steps in all; [`ControlFlow::Break`] stops.
pub type Steps<'a> = dyn FnMut(usize, usize) -> ControlFlow<()> + 'a;

/// A benchmark with its documents in a collection.
#[derive(Debug)]
pub struct Benchmark {
    /// Where it was read from.
    pub(super) folder: PathBuf,
    pub(super) beir: Beir,
    /// Ids of the documents, by the path of their file.
    pub(super) files: HashMap<PathBuf, String>,
    pub(super) collection: Collection,
    /// Documents that were added.
    pub(super) documents: usize,
    /// Time that it took to add them.
    pub(super) index_seconds: f64,
}

impl Benchmark {
    /// Reads the benchmark in `folder`, judged by `split` (`test` without one), and adds its corpus to a collection that
    /// is made in the empty folder `scratch`.
    ///
    /// # Errors
    /// When the folder cannot be read or is not in that layout, and as [`Collection::add`].
    pub fn build(
        folder: &Path,
        split: Option<&str>,
        scratch: &Path,
        embedder: &mut dyn Embed,
        progress: &mut Steps<'_>,
    ) -> Result<Self> {
        let beir = Beir::read(folder, split)?;
        let n_documents = beir.documents.len();
        let files = write_corpus(&beir.documents, &scratch.join("corpus"))?;
        let mut collection =
            Collection::create_or_open(&scratch.join("collection"), embedder.id())?;
        let added = collection.add(
            &[scratch.join("corpus")],
            embedder,
            &IngestOptions::default(),
            &mut |at| progress(at.files_done, n_documents),
        )?;
        Ok(Self {
            folder: folder.to_owned(),
            beir,
            files,
            collection,
            documents: added.added,
            index_seconds: added.seconds,
        })
    }

    /// The collection of its corpus, to be set up before it is measured.
    pub fn collection(&mut self) -> &mut Collection {
        &mut self.collection
    }

    /// The judged queries that carry an answer, each with it, in the order of the file.
    pub(super) fn answered_queries(&self) -> Result<Vec<(BeirQuery, String)>> {
        let judged = |query: &&BeirQuery| self.beir.judgements.contains_key(&query.id);
        let queries = self.beir.queries.iter().filter(judged);
        let asked: Vec<_> = queries
            .filter_map(|query| Some((query.clone(), query.answer.clone()?)))
            .collect();
        if asked.is_empty() {
            return Err(self.lacks("at least one query with a judgement and an `answer`"));
        }
        Ok(asked)
    }

    pub(super) fn lacks(&self, expected: &str) -> Error {
        Error::InvalidArgument {
            what: "benchmark",
            value: self.folder.display().to_string(),
            expected: expected.to_owned(),
        }
    }
}

/// Reports a step; an error where the work is to stop.
pub(super) fn step(progress: &mut Steps<'_>, done: usize, all: usize) -> Result<()> {
    match progress(done, all) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Interrupted),
    }
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

/// The value that `percent` of the values do not exceed (nearest rank); sorts them.
pub(super) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_by_nearest_rank() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 50), 100.0);
        assert_eq!(percentile(&mut values, 99), 198.0);
        assert_eq!(percentile(&mut [7.0], 99), 7.0);
        assert_eq!(percentile(&mut [], 50), 0.0);
    }
}
