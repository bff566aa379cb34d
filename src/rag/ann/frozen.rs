//! An index file in use: opened in the time of a page, walked by codes, exact by the vectors in it.
//!
//! What is believed when: the first page is checked when the file is opened, and a small file whole; every vector is
//! checked when it is used, so that no score is ever wrong; edges and codes that are damaged can only lead a walk astray,
//! and [`Frozen::check`] finds them. A damaged file is given up for a scan of the database and built anew.

use std::path::Path;

use super::bits::Bits;
use super::codes::stride;
use super::header::{Header, Section, Unusable};
use super::kernel::{Kernel, QueryCodes, Rows, prefetch};
use super::map::Mapped;
use super::walk::{Candidate, NO_NODE, Net, Word, with_scratch};
use crate::rag::vectors::{Best, Scored, dot, floats, to_bytes};

/// Files up to this are checked whole when they are opened: a few milliseconds.
const CHECKED_AT_OPEN: u64 = 64 << 20;

/// Vectors up to so many bytes are used where they are mapped. Beyond, those of the best few are read by position, so that
/// a search does not bring page after page of them into memory: 256 MiB beside the codes and edges of a million.
const MAPPED_VECTORS: u64 = 256 << 20;

/// Candidates are scored exactly, best first, until the codes say that the next is worse than all that is wanted by more
/// than codes can be wrong: so many standard deviations of their error. Of unit vectors times a scale each rounded number
/// is off by a variance of 1/12, so the sum of products by one of `scale * scale / 6`.
const DEVIATIONS: f32 = 6.0;

/// Vectors ahead of the one that is scored exactly that are asked for: a vector is some kilobytes.
const VECTORS_AHEAD: usize = 2;

/// Read at once by a check.
const BLOCK: usize = 1 << 20;

/// The codes are scanned instead of walked over where `allowed * allowed <= SCAN * nodes`. A scan costs so much a row, a walk
/// so much divided by the share of nodes that are allowed, so where both cost the same the square is a constant times `nodes`.
/// Measured at breadth 48 on vectors of 384 numbers (`benches/index.rs`, `among`), in several runs: of 100,000, 24 to 45 ns a
/// row and 54 to 63 us, which is 1,350 to 2,250; of 1,000,000, whose codes are not in the caches, 59 to 125 ns and 74 to 170
/// us, 1,250 to 1,800.
const SCAN: usize = 1_700;

/// An index file that is open.
#[derive(Debug)]
pub(crate) struct Frozen {
    mapped: Mapped,
    header: Header,
    kernel: Kernel,
}

impl Frozen {
    /// Opens the file at `path`, which has to have been made with `key` and for vectors of length `dimension`.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn open(path: &Path, key: &str, dimension: usize) -> Result<Self, Unusable> {
        let mapped = Mapped::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Unusable::Missing,
            _ => Unusable::Damaged(error.to_string()),
        })?;
        let length = mapped.bytes().len() as u64;
        let header = Header::decode(mapped.bytes(), length)?;
        if header.key != key || header.dimension != dimension {
            return Err(Unusable::OtherRows);
        }
        let frozen = Self {
            mapped,
            header,
            kernel: Kernel::best(),
        };
        if length <= CHECKED_AT_OPEN {
            frozen.check_sums()?;
        }
        Ok(frozen)
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.header.nodes
    }

    /// The greatest id.
    pub fn last_id(&self) -> Option<i64> {
        self.id(u32::try_from(self.header.nodes.checked_sub(1)?).ok()?)
    }

    /// The id of `node`.
    pub fn id(&self, node: u32) -> Option<i64> {
        let (ids, _) = self.section(Section::Ids).as_chunks();
        ids.get(node as usize).map(|id| i64::from_le_bytes(*id))
    }

    /// The node of `id`.
    pub fn find(&self, id: i64) -> Option<u32> {
        let (ids, _) = self.section(Section::Ids).as_chunks();
        let node = ids.binary_search_by_key(&id, |id| i64::from_le_bytes(*id));
        u32::try_from(node.ok()?).ok()
    }

    /// Offers the `limit` nearest nodes that a walk of breadth `breadth` finds to `best`. Where there are `allowed` ones,
    /// only those: a walk among them, or a scan where they are few.
    ///
    /// # Errors
    ///
    /// When a vector is not what was written.
    pub fn nearest(
        &self,
        query: &[f32],
        breadth: usize,
        allowed: Option<&Bits>,
        best: &mut Best,
    ) -> Result<(), Unusable> {
        let net = self.net();
        let mut codes = QueryCodes::default();
        self.header.scale.query(query, &mut codes);
        // The last of what a walk finds are the least sure.
        let breadth = breadth.max(best.limit().saturating_add(best.limit() / 4));
        let few = |allowed: &&Bits| {
            let count = allowed.count();
            count <= breadth || count.saturating_mul(count) <= SCAN.saturating_mul(self.len())
        };
        if let Some(few) = allowed.filter(few) {
            let found = self.scan(&net, &codes, breadth, few);
            return self.offer(query, &found, best);
        }
        with_scratch(|scratch| {
            let found = match allowed {
                Some(allowed) => scratch.walk_among(&net, self.kernel, &codes, breadth, allowed),
                None => scratch.walk(&net, self.kernel, &codes, breadth),
            };
            self.offer(query, found, best)
        })
    }

    /// The `limit` best of all `allowed` nodes by their codes.
    fn scan(
        &self,
        net: &Net<'_>,
        query: &QueryCodes,
        limit: usize,
        allowed: &Bits,
    ) -> Vec<Candidate> {
        let nodes = allowed.iter().filter(|&node| (node as usize) < net.nodes);
        let nodes: Vec<u32> = nodes.collect();
        let mut scores = Vec::with_capacity(nodes.len());
        self.kernel.score(net.rows, &nodes, query, &mut scores);
        let pairs = nodes.iter().zip(&scores);
        let mut all: Vec<Candidate> = pairs
            .map(|(&node, &score)| Candidate::new(node, score))
            .collect();
        if all.len() > limit {
            all.select_nth_unstable_by(limit, |a, b| b.cmp(a));
            all.truncate(limit);
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        all
    }

    /// Scores of `found`, best first, exactly what may be among the best.
    fn offer(&self, query: &[f32], found: &[Candidate], best: &mut Best) -> Result<(), Unusable> {
        let mut vector = Vec::with_capacity(self.header.dimension);
        let mut buffer = Vec::new();
        let scale = self.header.scale.0;
        let error = DEVIATIONS * scale * (1.0f32 / 6.0).sqrt();
        for candidate in found.iter().take(VECTORS_AHEAD) {
            self.prefetch(candidate.node());
        }
        for (at, candidate) in found.iter().enumerate() {
            let hopeless = |worst: f32| candidate.score() as f32 + error < worst * scale * scale;
            if best.worst().is_some_and(hopeless) {
                break;
            }
            if let Some(later) = found.get(at + VECTORS_AHEAD) {
                self.prefetch(later.node());
            }
            let row = candidate.node();
            self.vector(row, &mut buffer, &mut vector)?;
            let score = dot(query, &vector);
            best.offer(Scored { row, score });
        }
        Ok(())
    }

    /// Asks for the vector of `node`, where it would be used as it is mapped.
    fn prefetch(&self, node: u32) {
        let vectors = self.header.range(Section::Vectors);
        if vectors.len() as u64 <= MAPPED_VECTORS {
            let length = self.header.dimension * size_of::<f32>();
            let start = node as usize * length;
            let vector = self.section(Section::Vectors).get(start..start + length);
            prefetch(vector.unwrap_or(&[]));
        }
    }

    /// Cosine of `node` to `query`.
    ///
    /// # Errors
    ///
    /// When the vector is not what was written.
    pub fn score(&self, node: u32, query: &[f32]) -> Result<f32, Unusable> {
        let mut vector = Vec::with_capacity(self.header.dimension);
        self.vector(node, &mut Vec::new(), &mut vector)?;
        Ok(dot(query, &vector))
    }

    /// Whether the vector of `node` is this one, byte for byte.
    pub fn holds(&self, node: u32, bytes: &[u8]) -> bool {
        let mut vector = Vec::with_capacity(self.header.dimension);
        let read = self.vector(node, &mut Vec::new(), &mut vector);
        read.is_ok() && to_bytes(&vector) == bytes
    }

    /// Sets `vector` to that of `node`, checked.
    fn vector(
        &self,
        node: u32,
        buffer: &mut Vec<u8>,
        vector: &mut Vec<f32>,
    ) -> Result<(), Unusable> {
        let damaged = || Unusable::Damaged(format!("vector {node} is not what was written"));
        let (checks, _) = self.section(Section::Checks).as_chunks();
        let check = checks.get(node as usize).ok_or_else(damaged)?;
        let place = self.header.place(Section::Vectors);
        let length = self.header.dimension * size_of::<f32>();
        let start = node as usize * length;
        let bytes = if place.length <= MAPPED_VECTORS {
            let all = self.section(Section::Vectors);
            all.get(start..start + length).ok_or_else(damaged)?
        } else {
            buffer.resize(length, 0);
            let read = self.mapped.read(place.offset + start as u64, buffer);
            read.map_err(|_| damaged())?;
            buffer
        };
        if crc32fast::hash(bytes) != u32::from_le_bytes(*check) {
            return Err(damaged());
        }
        vector.clear();
        vector.extend(floats(bytes));
        Ok(())
    }

    fn section(&self, section: Section) -> &[u8] {
        let range = self.header.range(section);
        self.mapped.bytes().get(range).unwrap_or(&[])
    }

    fn words(&self, section: Section) -> &[Word] {
        self.section(section).as_chunks().0
    }

    fn net(&self) -> Net<'_> {
        Net {
            rows: Rows {
                codes: self.section(Section::Codes),
                stride: stride(self.header.dimension),
            },
            edges: self.words(Section::Edges),
            starts: self.words(Section::Starts),
            nodes: self.header.nodes,
        }
    }

    /// Checks everything in the file. What it says of chunks is compared with the database by `verify`.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub fn check(&self) -> Result<(), Unusable> {
        self.check_sums()?;
        let (ids, _) = self.section(Section::Ids).as_chunks();
        if !ids.is_sorted_by(|a, b| i64::from_le_bytes(*a) < i64::from_le_bytes(*b)) {
            return Err(Unusable::damaged("its ids do not ascend"));
        }
        let net = self.net();
        let mut reached = Bits::none(self.len());
        let mut open: Vec<u32> = Vec::new();
        for &start in net.starts {
            let start = u32::from_le_bytes(start);
            if start as usize >= self.len() {
                return Err(Unusable::damaged("a start is no node"));
            }
            open.push(start);
        }
        while let Some(node) = open.pop() {
            if !reached.add(node) {
                continue;
            }
            let ends = net
                .edges_of(node)
                .iter()
                .map(|&end| u32::from_le_bytes(end));
            for end in ends.take_while(|&end| end != NO_NODE) {
                if end as usize >= self.len() || end == node {
                    return Err(Unusable::Damaged(format!(
                        "an edge of {node} leads nowhere"
                    )));
                }
                open.push(end);
            }
        }
        if reached.count() != self.len() {
            return Err(Unusable::damaged("some nodes cannot be reached"));
        }
        self.check_codes()
    }

    /// Whether the codes are those of the vectors, and each vector is the one that was written.
    fn check_codes(&self) -> Result<(), Unusable> {
        let (mut buffer, mut vector) = (Vec::new(), Vec::new());
        let mut codes = Vec::new();
        let rows = self.net().rows;
        for node in (0u32..).take(self.len()) {
            self.vector(node, &mut buffer, &mut vector)?;
            codes.clear();
            self.header.scale.append(vector.iter().copied(), &mut codes);
            if rows.row(node) != codes {
                let what = format!("the codes of {node} are not its vector's");
                return Err(Unusable::Damaged(what));
            }
        }
        Ok(())
    }

    /// Reads every section and compares its checksum. Read by position: a check need not fill the memory.
    fn check_sums(&self) -> Result<(), Unusable> {
        let mut block = vec![0; BLOCK];
        for section in Section::ALL {
            let place = self.header.place(section);
            let mut crc = crc32fast::Hasher::new();
            let mut at = 0;
            while at < place.length {
                let rest = usize::try_from(place.length - at).unwrap_or(BLOCK);
                let part = block.get_mut(..rest.min(BLOCK)).unwrap_or(&mut []);
                let read = self.mapped.read(place.offset + at, part);
                read.map_err(|error| Unusable::Damaged(error.to_string()))?;
                crc.update(part);
                at += part.len() as u64;
            }
            if crc.finalize() != place.crc {
                let what = format!("its {} are not what was written", section.name());
                return Err(Unusable::Damaged(what));
            }
        }
        Ok(())
    }
}
