//! Nearest chunks by cosine: an exact scan while they are few, a walk over the graph beyond.
//!
//! The index follows the database: [`Index::refresh`] loads the vectors that are new and drops those that are gone. A
//! graph may lag behind; what it lacks is scanned, what it has too much is passed over, so that an answer is never stale.
//! It is rebuilt when the difference has grown large ([`Index::settle`]), on a thread of its own: a search goes on
//! scanning meanwhile, and a panic in the crate that builds it stays there.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::graph::{Graph, Placed};
use super::graph_file;
use super::store::Store;
use super::vectors::{Best, Scored, Vectors};
use crate::Result;

/// Vectors up to which an exact scan is all there is: no approximation, nothing to build.
///
/// Measured with 384 dimensions on two cores that others used too, the best 100 of so many, against a walk of breadth
/// 100 and the time to build the graph for it (recall of the walk: 1.000):
///
/// | vectors | scan | walk | build |
/// |---|---|---|---|
/// | 4,000 | 0.2 ms | 0.1 ms | 3 s |
/// | 8,000 | 0.4 ms | 0.2 ms | 10 s |
/// | 16,000 | 3.0 ms | 0.9 ms | 49 s |
/// | 32,000 | 4.0 ms | 0.7 ms | 126 s |
///
/// Up to here a scan costs about a millisecond, a tenth of embedding the question.
pub const FLAT_LIMIT: usize = 10_000;

/// A graph is rebuilt when more than one in `SLACK` of its rows would have to be scanned or are gone. Growing by a
/// quarter a time, all rebuilds together cost five times the last one.
const SLACK: usize = 4;

/// A graph in the making.
#[derive(Debug)]
enum Building {
    No,
    Since(JoinHandle<Graph>),
    /// It panicked. Nothing is gained by trying again; scanning goes on.
    Failed,
}

/// Whether to wait for a graph that has to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Wait: the caller is adding, and has time.
    Wait,
    /// Go on without: somebody wants an answer.
    GoOn,
}

/// The vectors of one collection, searchable.
#[derive(Debug)]
pub(super) struct Index {
    dir: PathBuf,
    /// Names database and embedder in the graph file.
    key: String,
    vectors: Vectors,
    graph: Option<Placed>,
    building: Building,
    /// `data_version` of the database when the vectors were read; none when they have to be read again.
    version: Option<i64>,
}

impl Index {
    /// An index of nothing yet. `key` names what the graph file in `dir` has to be built from.
    pub fn new(dir: &Path, key: String, dimension: usize) -> Self {
        Self {
            dir: dir.to_owned(),
            key,
            vectors: Vectors::new(dimension),
            graph: None,
            building: Building::No,
            version: None,
        }
    }

    /// Number of vectors that were read.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Has the vectors read again next time: this process changed them, which `data_version` does not tell.
    pub fn invalidate(&mut self) {
        self.version = None;
    }

    /// Follows the database. To be called inside of a snapshot.
    pub fn refresh(&mut self, store: &Store) -> Result<()> {
        let version = store.data_version()?;
        if self.version == Some(version) {
            return Ok(());
        }
        let ids = store.vector_ids()?;
        if ids != self.vectors.ids() {
            self.follow(store, &ids)?;
            let graph = self.graph.take().map(Placed::into_graph);
            self.graph = graph.map(|graph| Placed::new(graph, &self.vectors));
        }
        self.version = Some(version);
        Ok(())
    }

    /// Makes the vectors those of `ids`, reading only what is new.
    fn follow(&mut self, store: &Store, ids: &[i64]) -> Result<()> {
        self.version = None;
        self.vectors.keep(ids);
        let common = self
            .vectors
            .ids()
            .iter()
            .zip(ids)
            .take_while(|(a, b)| a == b);
        let common = common.count();
        // Ids only grow; where a database was put back from a copy, what does not continue it is read again.
        self.vectors.keep(ids.get(..common).unwrap_or(&[]));
        let Some(&first) = ids.get(common) else {
            return Ok(());
        };
        store.each_vector(first, |id, bytes| self.vectors.push(id, bytes))
    }

    /// Sees to it that enough rows are in a graph: loads it, or builds and saves it.
    pub fn settle(&mut self, patience: Patience) {
        if self.vectors.len() <= FLAT_LIMIT {
            self.graph = None;
            return;
        }
        self.collect(patience);
        if self.is_balanced() || !matches!(self.building, Building::No) {
            return;
        }
        if let Some(graph) = graph_file::load(&self.dir, &self.key) {
            self.graph = Some(Placed::new(graph, &self.vectors));
        }
        if !self.is_balanced() {
            self.start();
            self.collect(patience);
        }
    }

    /// Builds the graph anew, if there are vectors enough for one.
    pub fn rebuild(&mut self) {
        self.collect(Patience::Wait);
        self.graph = None;
        if self.vectors.len() > FLAT_LIMIT {
            self.start();
            self.collect(Patience::Wait);
        }
    }

    /// Begins to build a graph of the vectors as they are.
    fn start(&mut self) {
        let (vectors, dir, key) = (self.vectors.clone(), self.dir.clone(), self.key.clone());
        tracing::info!(vectors = vectors.len(), "building the graph");
        self.building = Building::Since(std::thread::spawn(move || {
            let graph = Graph::build(&vectors);
            if let Err(error) = graph_file::save(&dir, &key, &graph) {
                tracing::warn!(%error, "the graph was not saved and will be built again");
            }
            graph
        }));
    }

    /// Takes over the graph that was begun, if it is done or there is time to wait.
    fn collect(&mut self, patience: Patience) {
        self.building = match std::mem::replace(&mut self.building, Building::No) {
            Building::Since(thread) if patience == Patience::Wait || thread.is_finished() => {
                match thread.join() {
                    Ok(graph) => {
                        self.graph = Some(Placed::new(graph, &self.vectors));
                        Building::No
                    }
                    Err(_) => {
                        tracing::warn!("building the graph failed; searching goes on by scanning");
                        Building::Failed
                    }
                }
            }
            other => other,
        };
    }

    fn is_balanced(&self) -> bool {
        self.graph.as_ref().is_some_and(|placed| {
            let tolerated = (placed.len() / SLACK).max(FLAT_LIMIT / SLACK);
            placed.tail.len() <= tolerated && placed.gone <= placed.len() / SLACK
        })
    }

    /// Chunk ids of the `limit` nearest, best first, ties by id. `ef` is the breadth of a walk.
    pub fn nearest(&self, query: &[f32], limit: usize, ef: usize) -> Vec<i64> {
        let mut best = Best::of(limit);
        match &self.graph {
            Some(placed) => {
                placed.walk(&self.vectors, query, ef.max(limit), &mut best);
                let tail = placed.tail.iter().copied();
                self.vectors.scan(query, tail, &mut best);
            }
            None => {
                let all = (0u32..).take(self.vectors.len());
                self.vectors.scan(query, all, &mut best);
            }
        }
        let ids = best.into_sorted();
        ids.iter()
            .filter_map(|&Scored { row, .. }| self.vectors.id(row))
            .collect()
    }

    /// Cosine of one chunk to `query`.
    pub fn score(&self, id: i64, query: &[f32]) -> Option<f32> {
        let row = self.vectors.find(id)?;
        Some(super::vectors::dot(query, self.vectors.row(row)))
    }
}
