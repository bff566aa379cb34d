//! The neighbour graph of HNSW over many vectors: built by `hnsw_rs`, walked here.
//!
//! Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
//! World graphs" (2016). `hnsw_rs` chooses levels and edges; of its result two things are kept: the edges of the lowest
//! layer, and the nodes of the upper layers ("hubs"), which a query scans for places to start from instead of descending
//! layer by layer. The graph holds no vectors, so it cannot contradict the rows, and as plain numbers it is checked and
//! loaded by `graph_file` without the risks of the crate's own dump: that one panics on damage, and is lent, not owned.
//! A walk over the flat arrays also takes a fraction of the time of one over the crate's nodes.

use std::collections::BinaryHeap;

use hnsw_rs::prelude::{Distance, Hnsw};

use super::vectors::{Best, Scored, Vectors, dot};

/// Edges of a node in the upper layers; the lowest has twice as many. The paper's advice for high dimensions.
const M: usize = 16;

/// Breadth of the search for neighbours while building.
const EF_CONSTRUCTION: usize = 200;

/// Layers at most: 16^16 nodes.
const MAX_LAYER: usize = 16;

/// Hubs at most: scanning so many costs about as much as one walk, and more make no better start.
const MAX_HUBS: usize = 1024;

/// Hubs to start a walk from. Several, since clusters of text are badly connected with each other.
const STARTS: usize = 8;

/// A graph over nodes `0..len`, which stand for chunks by ascending id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Graph {
    /// Chunk id of each node, ascending.
    pub ids: Vec<i64>,
    /// [`Vectors::fingerprint`] of each node.
    pub prints: Vec<u64>,
    /// Nodes of the upper layers.
    pub hubs: Vec<u32>,
    /// Where the edges of each node start in `edges`; one more at the end.
    pub offsets: Vec<u32>,
    /// Neighbours, node by node.
    pub edges: Vec<u32>,
}

/// Cosine distance of unit vectors.
struct Cosine;

impl Distance<f32> for Cosine {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - dot(a, b)).max(0.0)
    }
}

impl Graph {
    /// Builds the graph of all `vectors`. One after the other: inserting in parallel gives another graph each time, and a
    /// rebuilt index must not answer differently. Embedding the same chunks takes several times as long.
    pub fn build(vectors: &Vectors) -> Self {
        let rows = || (0u32..).take(vectors.len());
        let hnsw = Hnsw::new(M, vectors.len(), MAX_LAYER, EF_CONSTRUCTION, Cosine);
        for row in rows() {
            hnsw.insert_slice((vectors.row(row), row as usize));
        }

        let mut lists: Vec<Vec<u32>> = vec![Vec::new(); vectors.len()];
        let mut levels: Vec<Vec<u32>> = Vec::new();
        let indexed = hnsw.get_point_indexation();
        for level in 0..=usize::from(hnsw.get_max_level_observed()) {
            let mut nodes = Vec::new();
            for point in indexed.get_layer_iterator(level) {
                let lowest = point.get_neighborhood_id().into_iter().next();
                let near = lowest.unwrap_or_default();
                let near = near.iter().filter_map(|n| u32::try_from(n.d_id).ok());
                if let Some(list) = lists.get_mut(point.get_origin_id()) {
                    list.extend(near);
                }
                nodes.extend(u32::try_from(point.get_origin_id()));
            }
            levels.push(nodes);
        }
        let mut graph = Self {
            ids: vectors.ids().to_vec(),
            prints: rows().map(|row| vectors.fingerprint(row)).collect(),
            hubs: hubs(&levels),
            offsets: vec![0],
            edges: Vec::new(),
        };
        for list in lists {
            graph.edges.extend(list);
            // Forty edges a node: far below what a u32 counts for as many nodes as fit into memory.
            let end = u32::try_from(graph.edges.len()).unwrap_or(u32::MAX);
            graph.offsets.push(end);
        }
        graph
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    fn neighbours(&self, node: u32) -> &[u32] {
        let node = node as usize;
        let bounds = (self.offsets.get(node), self.offsets.get(node + 1));
        let (Some(&start), Some(&end)) = bounds else {
            return &[];
        };
        self.edges.get(start as usize..end as usize).unwrap_or(&[])
    }
}

/// Nodes of the lowest upper layers that are not too many together.
fn hubs(levels: &[Vec<u32>]) -> Vec<u32> {
    let mut hubs = Vec::new();
    for level in levels.iter().skip(1).rev() {
        if !hubs.is_empty() && hubs.len() + level.len() > MAX_HUBS {
            break;
        }
        hubs.extend(level);
    }
    if hubs.is_empty() {
        hubs.extend(levels.first().into_iter().flatten().take(MAX_HUBS));
    }
    hubs.sort_unstable();
    hubs
}

/// A graph laid over the vectors of the moment, which may have lost rows and got new ones since it was built.
#[derive(Debug)]
pub(super) struct Placed {
    graph: Graph,
    /// Row of each node; [`GONE`] where its chunk is no more.
    rows: Vec<u32>,
    /// Rows that a walk cannot find: newer than the graph, or cut off from every hub. To be scanned.
    pub tail: Vec<u32>,
    /// Nodes without a row.
    pub gone: usize,
}

/// Stands for no row.
const GONE: u32 = u32::MAX;

impl Placed {
    pub fn new(graph: Graph, vectors: &Vectors) -> Self {
        let rows: Vec<u32> = graph
            .ids
            .iter()
            .zip(&graph.prints)
            .map(|(&id, &print)| {
                let row = vectors.find(id);
                row.filter(|&row| vectors.fingerprint(row) == print)
                    .unwrap_or(GONE)
            })
            .collect();
        let mut placed = Self {
            gone: rows.iter().filter(|&&row| row == GONE).count(),
            graph,
            rows,
            tail: Vec::new(),
        };
        placed.tail = placed.out_of_reach(vectors.len());
        placed
    }

    /// Takes the graph off again.
    pub fn into_graph(self) -> Graph {
        self.graph
    }

    pub fn len(&self) -> usize {
        self.graph.len()
    }

    fn row(&self, node: u32) -> Option<u32> {
        let row = self.rows.get(node as usize).copied()?;
        (row != GONE).then_some(row)
    }

    /// All rows but those that edges lead to from the hubs.
    fn out_of_reach(&self, n_rows: usize) -> Vec<u32> {
        let mut reached = vec![false; n_rows];
        let mut open: Vec<u32> = self.graph.hubs.clone();
        while let Some(node) = open.pop() {
            let Some(seen) = self.row(node).and_then(|row| reached.get_mut(row as usize)) else {
                continue;
            };
            if !std::mem::replace(seen, true) {
                open.extend(self.graph.neighbours(node));
            }
        }
        let rows = (0u32..).zip(&reached);
        rows.filter(|(_, reached)| !**reached)
            .map(|(row, _)| row)
            .collect()
    }

    /// Offers `best` what a walk of breadth `ef` finds near `query`.
    pub fn walk(&self, vectors: &Vectors, query: &[f32], ef: usize, best: &mut Best) {
        let scored = |node: u32| {
            self.row(node).map(|row| Scored {
                row: node,
                score: dot(query, vectors.row(row)),
            })
        };
        // Here `Scored::row` counts nodes; both ascend with the id, so ties fall the same way.
        let mut starts = Best::of(STARTS);
        for hub in self.graph.hubs.iter().filter_map(|&hub| scored(hub)) {
            starts.offer(hub);
        }
        let mut seen = Seen::new(self.graph.len());
        let mut found = Best::of(ef);
        let mut open = BinaryHeap::new();
        for start in starts.into_sorted() {
            seen.add(start.row);
            found.offer(start);
            open.push(start);
        }
        while let Some(nearest) = open.pop() {
            if found.bar().is_some_and(|bar| nearest < bar) {
                break;
            }
            for &node in self.graph.neighbours(nearest.row) {
                if !seen.add(node) {
                    continue;
                }
                if let Some(near) = scored(node)
                    && found.offer(near)
                {
                    open.push(near);
                }
            }
        }
        for Scored { row: node, score } in found.into_sorted() {
            if let Some(row) = self.row(node) {
                best.offer(Scored { row, score });
            }
        }
    }
}

/// A set of nodes as bits.
struct Seen(Vec<u64>);

impl Seen {
    fn new(n: usize) -> Self {
        Self(vec![0; n.div_ceil(64)])
    }

    /// Adds `node`; false when it was there, or is no node at all.
    fn add(&mut self, node: u32) -> bool {
        let bit = 1u64 << (node % 64);
        self.0.get_mut(node as usize / 64).is_some_and(|word| {
            let new = *word & bit == 0;
            *word |= bit;
            new
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors::to_bytes;
    use super::*;

    /// Numbers that look random, the same each time (SplitMix64).
    struct Noise(u64);

    impl Noise {
        /// About normal: the sum of twelve uniform numbers.
        fn next(&mut self) -> f32 {
            let uniform = |_| {
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = self.0;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                f32::from(u16::try_from(z >> 48).unwrap_or(0)) / 65_536.0
            };
            (0..12).map(uniform).sum::<f32>() - 6.0
        }

        fn unit(&mut self, around: &[f32], spread: f32) -> Vec<f32> {
            let raw: Vec<f32> = around.iter().map(|x| x + spread * self.next()).collect();
            let norm = dot(&raw, &raw).sqrt();
            raw.iter().map(|x| x / norm).collect()
        }
    }

    const DIMENSION: usize = 64;

    /// Texts on `n / 100` topics.
    fn clustered(n: usize, noise: &mut Noise) -> (Vectors, Vec<Vec<f32>>) {
        let flat = [0.0; DIMENSION];
        let topics: Vec<_> = (0..n / 100).map(|_| noise.unit(&flat, 1.0)).collect();
        let mut vectors = Vectors::new(DIMENSION);
        for (id, topic) in (1..).zip(topics.iter().cycle()).take(n) {
            assert!(vectors.push(id, &to_bytes(&noise.unit(topic, 0.08))));
        }
        let queries = topics.iter().map(|topic| noise.unit(topic, 0.08)).collect();
        (vectors, queries)
    }

    fn recall(placed: &Placed, vectors: &Vectors, queries: &[Vec<f32>]) -> f64 {
        let mut shared = 0;
        for query in queries {
            let mut exact = Best::of(10);
            vectors.scan(query, (0u32..).take(vectors.len()), &mut exact);
            let mut walked = Best::of(10);
            placed.walk(vectors, query, 100, &mut walked);
            vectors.scan(query, placed.tail.iter().copied(), &mut walked);
            let walked = walked.into_sorted();
            shared += exact
                .into_sorted()
                .iter()
                .filter(|hit| walked.contains(hit))
                .count();
        }
        f64::from(u32::try_from(shared).expect("small")) / (10.0 * queries.len() as f64)
    }

    #[test]
    fn finds_what_an_exact_scan_finds() {
        let (vectors, queries) = clustered(5_000, &mut Noise(1));
        let placed = Placed::new(Graph::build(&vectors), &vectors);
        assert!(
            placed.tail.len() < 50,
            "{} rows are out of reach",
            placed.tail.len()
        );
        let recall = recall(&placed, &vectors, &queries);
        assert!(recall >= 0.95, "{recall}");
    }

    #[test]
    fn the_same_rows_make_the_same_graph() {
        let (vectors, _) = clustered(1_500, &mut Noise(5));
        assert_eq!(Graph::build(&vectors), Graph::build(&vectors));
    }

    /// Rows come and go after the graph was built; what is gone must not be found, what is new must be.
    #[test]
    fn outlives_changes_of_the_rows() {
        let noise = &mut Noise(2);
        let (mut vectors, queries) = clustered(5_000, noise);
        let graph = Graph::build(&vectors);
        let kept: Vec<i64> = (1..=5_000).filter(|id| id % 5 != 0 && *id > 300).collect();
        vectors.keep(&kept);
        for (id, query) in (5_001..).zip(&queries) {
            assert!(vectors.push(id, &to_bytes(&noise.unit(query, 0.02))));
        }
        let placed = Placed::new(graph, &vectors);
        assert_eq!(placed.gone, 5_000 - kept.len());
        let recall = recall(&placed, &vectors, &queries);
        assert!(recall >= 0.95, "{recall}");
    }

    /// An id that stands for another vector now is no node any more.
    #[test]
    fn distrusts_a_changed_vector() {
        let (vectors, _) = clustered(200, &mut Noise(3));
        let graph = Graph::build(&vectors);
        let (others, _) = clustered(200, &mut Noise(4));
        let placed = Placed::new(graph, &others);
        assert_eq!((placed.gone, placed.tail.len()), (200, 200));
    }
}
