//! The walk: from the best starts along edges to ever nearer nodes, as in HNSW's lowest layer.
//!
//! Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
//! World graphs" (2016). Instead of descending through layers, a query is compared with a fixed number of starts, whose
//! rows stay in the cache, and goes on from the best. Everything is told by int8 codes, in whole numbers: no rounding,
//! the same way on every machine. Any bytes will do as a graph: an edge that leads nowhere is passed over.

use std::cell::RefCell;
use std::collections::BinaryHeap;

use super::bits::Bits;
use super::kernel::{Kernel, QueryCodes, Rows, prefetch};

/// Edges of a node at most; what is not used holds [`NO_NODE`]. Two cache lines. HNSW's `m` is half of it.
pub(super) const DEGREE: usize = 32;

/// Stands for no node.
pub(super) const NO_NODE: u32 = u32::MAX;

/// Starts to go on from. Several, since clusters of text are badly connected with each other.
const ENTRIES: usize = 8;

/// Candidates whose edges are asked for while another's neighbours are scored: most likely the next to follow, as nothing
/// nearer need turn up.
const EDGES_AHEAD: usize = 2;

/// Nodes that a graph may have: one bit of a candidate is for itself.
pub(super) const MAX_NODES: usize = 1 << 31;

/// A number as it lies in the file, little-endian.
pub(super) type Word = [u8; 4];

/// A graph with the codes of its nodes, wherever they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Net<'a> {
    pub rows: Rows<'a>,
    /// [`DEGREE`] for each node.
    pub edges: &'a [Word],
    pub starts: &'a [Word],
    pub nodes: usize,
}

impl<'a> Net<'a> {
    #[inline]
    pub fn edges_of(&self, node: u32) -> &'a [Word] {
        let start = node as usize * DEGREE;
        self.edges.get(start..start + DEGREE).unwrap_or(&[])
    }
}

/// A node with its score in one number: the greater the better, ties to the smaller node. The lowest bit is 0, and is
/// set in a [`Pool`] once the node's edges were followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate(u64);

impl Candidate {
    #[inline]
    pub fn new(node: u32, score: i32) -> Self {
        let score = u64::from(score.cast_unsigned() ^ (1 << 31));
        Self(score << 32 | u64::from(!(node << 1)) & !1)
    }

    #[inline]
    pub fn node(self) -> u32 {
        // The lower half, shifted by the bit for "followed".
        let lower = self.0 & u64::from(u32::MAX);
        (!u32::try_from(lower).unwrap_or(0)) >> 1
    }

    #[inline]
    pub fn score(self) -> i32 {
        (u32::try_from(self.0 >> 32).unwrap_or(0) ^ (1 << 31)).cast_signed()
    }

    #[inline]
    fn is_followed(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The best candidates so far, best first, and which of them were followed.
#[derive(Debug, Default)]
struct Pool {
    best: Vec<Candidate>,
    breadth: usize,
    /// All before it were followed.
    next: usize,
}

impl Pool {
    fn reset(&mut self, breadth: usize) {
        self.best.clear();
        self.breadth = breadth;
        self.next = 0;
    }

    #[inline]
    fn offer(&mut self, candidate: Candidate) {
        if self.best.len() >= self.breadth {
            if self.best.last().is_none_or(|&worst| candidate < worst) {
                return;
            }
            self.best.pop();
        }
        let at = self.best.partition_point(|&better| better > candidate);
        self.best.insert(at, candidate);
        self.next = self.next.min(at);
    }

    /// The best that was not followed yet, followed from now on.
    #[inline]
    fn follow(&mut self) -> Option<u32> {
        loop {
            let candidate = self.best.get_mut(self.next)?;
            self.next += 1;
            if !candidate.is_followed() {
                candidate.0 |= 1;
                return Some(candidate.node());
            }
        }
    }
}

/// Memory that walks use again and again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    seen: Bits,
    pool: Pool,
    fresh: Vec<u32>,
    scores: Vec<i32>,
}

/// Runs `with` the memory of this thread.
pub(super) fn with_scratch<T>(with: impl FnOnce(&mut Scratch) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    SCRATCH.with_borrow_mut(with)
}

impl Scratch {
    /// The `breadth` best that a walk finds, best first.
    pub fn walk(
        &mut self,
        net: &Net<'_>,
        kernel: Kernel,
        query: &QueryCodes,
        breadth: usize,
    ) -> &[Candidate] {
        self.seen.reset(net.nodes);
        self.pool.reset(breadth.max(1));
        for entry in self.entries(net, kernel, query) {
            self.pool.offer(entry);
        }
        while let Some(node) = self.pool.follow() {
            for next in self.pool.best.iter().skip(self.pool.next).take(EDGES_AHEAD) {
                prefetch(net.edges_of(next.node()).as_flattened());
            }
            self.expand(net, kernel, query, node);
            for (&node, &score) in self.fresh.iter().zip(&self.scores) {
                self.pool.offer(Candidate::new(node, score));
            }
        }
        &self.pool.best
    }

    /// The `breadth` best of the `allowed` nodes. The way leads over all nodes; how far, the allowed ones decide.
    pub fn walk_among(
        &mut self,
        net: &Net<'_>,
        kernel: Kernel,
        query: &QueryCodes,
        breadth: usize,
        allowed: &Bits,
    ) -> &[Candidate] {
        self.seen.reset(net.nodes);
        self.pool.reset(breadth.max(1));
        let mut open = BinaryHeap::new();
        let mut news = self.entries(net, kernel, query);
        loop {
            for candidate in news.drain(..) {
                let full = self.pool.best.len() >= self.pool.breadth;
                let worst = self.pool.best.last().filter(|_| full);
                if worst.is_some_and(|&worst| candidate < worst) {
                    continue;
                }
                open.push(candidate);
                if allowed.has(candidate.node()) {
                    self.pool.offer(candidate);
                }
            }
            let full = self.pool.best.len() >= self.pool.breadth;
            let worst = self.pool.best.last().filter(|_| full).copied();
            let Some(nearest) = open.pop().filter(|&c| worst.is_none_or(|worst| c >= worst)) else {
                return &self.pool.best;
            };
            self.expand(net, kernel, query, nearest.node());
            let pairs = self.fresh.iter().zip(&self.scores);
            news.extend(pairs.map(|(&node, &score)| Candidate::new(node, score)));
        }
    }

    /// The best of the starts.
    fn entries(&mut self, net: &Net<'_>, kernel: Kernel, query: &QueryCodes) -> Vec<Candidate> {
        let starts = net.starts.iter().map(|&start| u32::from_le_bytes(start));
        self.fresh.clear();
        self.fresh
            .extend(starts.filter(|&start| (start as usize) < net.nodes));
        kernel.score(net.rows, &self.fresh, query, &mut self.scores);
        let mut entries: Vec<Candidate> = Vec::with_capacity(ENTRIES + 1);
        for (&node, &score) in self.fresh.iter().zip(&self.scores) {
            let candidate = Candidate::new(node, score);
            if entries.len() < ENTRIES || entries.last().is_some_and(|&worst| candidate > worst) {
                let at = entries.partition_point(|&better| better > candidate);
                entries.insert(at, candidate);
                entries.truncate(ENTRIES);
            }
        }
        entries.retain(|entry| self.seen.add(entry.node()));
        entries
    }

    /// Scores the neighbours of `node` that were not seen before.
    #[inline]
    fn expand(&mut self, net: &Net<'_>, kernel: Kernel, query: &QueryCodes, node: u32) {
        self.fresh.clear();
        for &edge in net.edges_of(node) {
            let neighbour = u32::from_le_bytes(edge);
            if neighbour == NO_NODE {
                break;
            }
            // The bits are counted by 64: what lies between the last node and the last bit is no node either.
            if (neighbour as usize) < net.nodes && self.seen.add(neighbour) {
                self.fresh.push(neighbour);
            }
        }
        kernel.score(net.rows, &self.fresh, query, &mut self.scores);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_keep_node_and_score() {
        let largest = u32::try_from(MAX_NODES - 1).expect("31 bits");
        for (node, score) in [(0, 0), (7, -5), (largest, i32::MAX), (1, i32::MIN)] {
            let candidate = Candidate::new(node, score);
            assert_eq!((candidate.node(), candidate.score()), (node, score));
            assert!(!candidate.is_followed());
        }
        assert!(Candidate::new(9, 2) > Candidate::new(1, 1));
        assert!(Candidate::new(1, 1) > Candidate::new(2, 1), "ties by node");
    }

    #[test]
    fn a_pool_keeps_the_best_and_follows_each_once() {
        let mut pool = Pool::default();
        pool.reset(3);
        for (node, score) in [(1, 10), (2, 30), (3, 20)] {
            pool.offer(Candidate::new(node, score));
        }
        assert_eq!(pool.follow(), Some(2));
        pool.offer(Candidate::new(4, 40));
        assert_eq!(
            [pool.follow(), pool.follow(), pool.follow()],
            [Some(4), Some(3), None]
        );
        let nodes: Vec<u32> = pool.best.iter().map(|c| c.node()).collect();
        assert_eq!(nodes, [4, 2, 3]);
    }
}
