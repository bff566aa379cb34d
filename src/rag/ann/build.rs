//! Building the graph: every node is joined to a few that lie near it in different directions.
//!
//! Which, HNSW says (Malkov and Yashunin 2016, algorithms 1, 3 and 4, of the lowest layer). How it is done on several
//! threads with the same result each time is from Dobson and others, "ParlayANN" (2024): nodes come in batches, those of
//! a batch are all searched for in the graph as it is before the batch, and are then joined to it in a fixed order. A
//! rebuilt index must not answer differently, and `hnsw_rs` on several threads builds another graph each time, and takes
//! several times as long (`benches/peers/index --hnsw-rs`).
//!
//! Memory: one row of edges a node, and what the batch at hand finds.

use std::sync::Mutex;

use unforget_quant::splitmix::mix;

use super::bits::Bits;
use super::kernel::{Kernel, QueryCodes, Rows};
use super::walk::{Candidate, DEGREE, NO_NODE, Net, Word, with_scratch};

/// Breadth of the search for neighbours, HNSW's `ef_construction`.
const BREADTH: usize = 200;

/// Edges that a new node chooses, HNSW's `m`; as many again may lead to it before the farthest are let go.
const CHOSEN: usize = DEGREE / 2;

/// Nodes that are joined first, each with the best of all of them, and where walks start from then on.
const STARTS: usize = 512;

/// A batch is at most this part of what is in the graph: its nodes do not see each other.
const BATCH_PART: usize = 16;

/// Nodes in a batch at most: what one batch finds stays small in memory.
const MAX_BATCH: usize = 16_384;

/// Work is handed to threads in so many pieces each, so that none waits for the slowest for long.
const PIECES: usize = 8;

/// A graph in the making, or made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Graph {
    pub edges: Vec<Word>,
    pub starts: Vec<Word>,
}

/// How to build.
#[derive(Debug, Clone, Copy)]
pub(super) struct Build<'a> {
    pub rows: Rows<'a>,
    pub nodes: usize,
    pub kernel: Kernel,
    pub threads: usize,
}

/// The answer of [`Build::graph`] when it was told to stop.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped;

impl Build<'_> {
    /// Builds the graph over all rows. `go_on` is asked between batches, with the number of nodes that are done.
    pub fn graph(&self, go_on: &mut dyn FnMut(usize) -> bool) -> Result<Graph, Stopped> {
        let order = self.order();
        let starts = order.get(..STARTS.min(order.len())).unwrap_or(&[]);
        let mut graph = Graph {
            edges: vec![NO_NODE.to_le_bytes(); self.nodes * DEGREE],
            starts: starts.iter().map(|start| start.to_le_bytes()).collect(),
        };
        self.join(&mut graph, starts, Some(starts));
        let mut done = starts.len();
        while done < order.len() {
            if !go_on(done) {
                return Err(Stopped);
            }
            let size = (done / BATCH_PART).clamp(1, MAX_BATCH);
            let batch = order.get(done..(done + size).min(order.len()));
            let batch = batch.unwrap_or(&[]);
            self.join(&mut graph, batch, None);
            done += batch.len();
        }
        self.reach_all(&mut graph);
        Ok(graph)
    }

    /// All nodes in an order that has nothing to do with how they came: neighbours in a document should not come
    /// together.
    fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0u32..).take(self.nodes).collect();
        order.sort_by_cached_key(|&node| mix(u64::from(node)));
        order
    }

    fn net<'a>(&'a self, graph: &'a Graph) -> Net<'a> {
        Net {
            rows: self.rows,
            edges: &graph.edges,
            starts: &graph.starts,
            nodes: self.nodes,
        }
    }

    /// Joins `batch` to the graph: to the best of `among`, or to what a walk finds.
    fn join(&self, graph: &mut Graph, batch: &[u32], among: Option<&[u32]>) {
        let net = self.net(graph);
        let chosen = self.in_parallel(batch, |&node| {
            let mut query = QueryCodes::default();
            query.set_row(self.rows.row(node));
            let near = match among {
                Some(among) => self.scored(&query, among, node),
                None => with_scratch(|scratch| {
                    scratch.walk(&net, self.kernel, &query, BREADTH).to_vec()
                }),
            };
            (node, self.choose(&near, CHOSEN))
        });
        let mut back: Vec<(u32, Candidate)> = Vec::with_capacity(chosen.len() * CHOSEN);
        for (node, neighbours) in chosen {
            let ends = neighbours
                .iter()
                .map(|near| (near.node(), Candidate::new(node, near.score())));
            back.extend(ends);
            write(graph, node, neighbours.iter().map(|near| near.node()));
        }
        back.sort_unstable_by(|(a, x), (b, y)| a.cmp(b).then(y.cmp(x)));
        let groups: Vec<&[(u32, Candidate)]> = back.chunk_by(|(a, _), (b, _)| a == b).collect();
        let net = self.net(graph);
        let joined = self.in_parallel(&groups, |group| self.with_back_edges(&net, group));
        for (node, neighbours) in joined {
            write(graph, node, neighbours.into_iter());
        }
    }

    /// The edges of a node that others have chosen: all if there is room, or the best in different directions.
    fn with_back_edges(&self, net: &Net<'_>, group: &[(u32, Candidate)]) -> (u32, Vec<u32>) {
        let Some(&(node, _)) = group.first() else {
            return (NO_NODE, Vec::new());
        };
        let edges = net.edges_of(node).iter();
        let mut ends: Vec<u32> = edges
            .map(|&edge| u32::from_le_bytes(edge))
            .take_while(|&end| end != NO_NODE)
            .collect();
        let new = group.iter().map(|(_, end)| end);
        let mut new: Vec<Candidate> = new
            .filter(|end| !ends.contains(&end.node()))
            .copied()
            .collect();
        if ends.len() + new.len() <= DEGREE {
            ends.extend(new.iter().map(|end| end.node()));
            return (node, ends);
        }
        let mut query = QueryCodes::default();
        query.set_row(self.rows.row(node));
        new.extend(self.scored(&query, &ends, node));
        new.sort_unstable_by(|a, b| b.cmp(a));
        let chosen = self.choose(&new, DEGREE);
        (node, chosen.iter().map(|end| end.node()).collect())
    }

    /// `nodes` by their score, best first, without `node` itself.
    fn scored(&self, query: &QueryCodes, nodes: &[u32], node: u32) -> Vec<Candidate> {
        let mut scores = Vec::new();
        self.kernel.score(self.rows, nodes, query, &mut scores);
        let pairs = nodes.iter().zip(&scores).filter(|(end, _)| **end != node);
        let mut scored: Vec<Candidate> = pairs
            .map(|(&end, &score)| Candidate::new(end, score))
            .collect();
        scored.sort_unstable_by(|a, b| b.cmp(a));
        scored
    }

    /// Of `near`, best first, those that are nearer to the node than to each one that was chosen before.
    fn choose(&self, near: &[Candidate], most: usize) -> Vec<Candidate> {
        let mut chosen: Vec<Candidate> = Vec::with_capacity(most);
        let mut queries: Vec<QueryCodes> = Vec::with_capacity(most);
        for &candidate in near {
            if chosen.len() == most {
                break;
            }
            let row = self.rows.row(candidate.node());
            if self.kernel.all_below(row, &queries, candidate.score()) {
                let mut query = QueryCodes::default();
                query.set_row(row);
                queries.push(query);
                chosen.push(candidate);
            }
        }
        chosen
    }

    /// Makes those nodes starts that no edges lead to from the others.
    fn reach_all(&self, graph: &mut Graph) {
        let mut reached = Bits::none(self.nodes);
        let mut open: Vec<u32> = graph
            .starts
            .iter()
            .map(|&s| u32::from_le_bytes(s))
            .collect();
        for node in (0u32..).take(self.nodes).map(Some).chain([None]) {
            while let Some(next) = open.pop() {
                if (next as usize) < self.nodes && reached.add(next) {
                    let edges = self.net(graph).edges_of(next);
                    open.extend(edges.iter().map(|&edge| u32::from_le_bytes(edge)));
                }
            }
            if let Some(node) = node.filter(|&node| !reached.has(node)) {
                graph.starts.push(node.to_le_bytes());
                open.push(node);
            }
        }
    }

    /// What `work` makes of each of `items`, in their order, on all threads.
    fn in_parallel<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        let threads = self.threads.max(1);
        let piece = items.len().div_ceil(threads * PIECES).max(1);
        if threads == 1 || items.len() <= piece {
            return items.iter().map(work).collect();
        }
        let pieces = Mutex::new(items.chunks(piece).enumerate());
        let take = || match pieces.lock() {
            Ok(mut pieces) => pieces.next(),
            Err(_) => None,
        };
        let run = || {
            let mut done = Vec::new();
            while let Some((at, piece)) = take() {
                done.push((at, piece.iter().map(&work).collect::<Vec<R>>()));
            }
            done
        };
        let mut parts = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
            let mut parts = run();
            for other in others {
                match other.join() {
                    Ok(more) => parts.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            parts
        });
        parts.sort_unstable_by_key(|(at, _)| *at);
        parts.into_iter().flat_map(|(_, part)| part).collect()
    }
}

/// Sets the edges of `node`.
fn write(graph: &mut Graph, node: u32, ends: impl Iterator<Item = u32>) {
    let start = node as usize * DEGREE;
    if let Some(row) = graph.edges.get_mut(start..start + DEGREE) {
        let ends = ends.chain(std::iter::repeat(NO_NODE));
        for (edge, end) in row.iter_mut().zip(ends) {
            *edge = end.to_le_bytes();
        }
    }
}
