//! The graph on disk: a cache beside the database, which may vanish or be damaged at any time.
//!
//! Format, all numbers little-endian: [`MAGIC`] (8 bytes, version included), sha256 of everything after it (32 bytes),
//! then the payload: the key (length as u32, bytes) that names database and embedder, counts of nodes, hubs and edges
//! (u32 each), ids (i64 a node), fingerprints (u64 a node), edge offsets (u32, nodes + 1), hubs (u32), edges (u32).
//! Nothing of a file is believed before its checksum and every number in it have been checked.

use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::graph::Graph;
use crate::Result;

/// Name of the file in a collection's folder.
pub const GRAPH_FILE: &str = "index.graph";

/// Format and version.
const MAGIC: &[u8; 8] = b"ufgraph1";

/// Length of the checksum.
const CHECKSUM: usize = 32;

/// Largest file that is read, 1 GiB: more than 5 million chunks, whose vectors would not fit into the memory of the
/// machines this is made for.
const MAX_BYTES: u64 = 1 << 30;

/// Writes `graph` into `dir`, whole or not at all. `key` names what it was built from.
///
/// # Errors
///
/// What the file system says. A cache that cannot be written is no reason to fail.
pub(super) fn save(dir: &Path, key: &str, graph: &Graph) -> Result<()> {
    let payload = encode(key, graph);
    let part = dir.join(format!("{GRAPH_FILE}.part"));
    let mut file = fs_err::File::create(&part)?;
    file.write_all(MAGIC)?;
    file.write_all(&Sha256::digest(&payload))?;
    file.write_all(&payload)?;
    file.sync_all()?;
    fs_err::rename(&part, dir.join(GRAPH_FILE))?;
    Ok(())
}

/// The graph in `dir`, if there is one that was built for `key` and is whole.
pub(super) fn load(dir: &Path, key: &str) -> Option<Graph> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(dir.join(GRAPH_FILE)).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let graph = decode(&bytes, key);
    if graph.is_none() {
        tracing::info!(dir = %dir.display(), "the graph file is of another collection, or damaged");
    }
    graph
}

fn encode(key: &str, graph: &Graph) -> Vec<u8> {
    let mut out = Vec::new();
    // Counts fit: `Vectors` takes no more rows than a u32 counts, and `decode` refuses what was cut here.
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    out.extend(count(key.len()));
    out.extend(key.as_bytes());
    out.extend(count(graph.ids.len()));
    out.extend(count(graph.hubs.len()));
    out.extend(count(graph.edges.len()));
    out.extend(graph.ids.iter().flat_map(|x| x.to_le_bytes()));
    out.extend(graph.prints.iter().flat_map(|x| x.to_le_bytes()));
    for list in [&graph.offsets, &graph.hubs, &graph.edges] {
        out.extend(list.iter().flat_map(|x| x.to_le_bytes()));
    }
    out
}

fn decode(bytes: &[u8], key: &str) -> Option<Graph> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (checksum, payload) = rest.split_at_checked(CHECKSUM)?;
    if Sha256::digest(payload).as_slice() != checksum {
        return None;
    }
    let mut reader = Reader(payload);
    let length = reader.count()?;
    if reader.take(length)? != key.as_bytes() {
        return None;
    }
    let (nodes, hubs, edges) = (reader.count()?, reader.count()?, reader.count()?);
    let graph = Graph {
        ids: reader.words(nodes, i64::from_le_bytes)?,
        prints: reader.words(nodes, u64::from_le_bytes)?,
        offsets: reader.words(nodes.checked_add(1)?, u32::from_le_bytes)?,
        hubs: reader.words(hubs, u32::from_le_bytes)?,
        edges: reader.words(edges, u32::from_le_bytes)?,
    };
    (reader.0.is_empty() && is_sound(&graph)).then_some(graph)
}

/// Whether every number of `graph` points at something.
fn is_sound(graph: &Graph) -> bool {
    let is_node = |&node: &u32| (node as usize) < graph.ids.len();
    let last = graph.offsets.last().map(|&end| end as usize);
    graph.ids.is_sorted_by(|a, b| a < b)
        && graph.offsets.is_sorted()
        && graph.offsets.first() == Some(&0)
        && last == Some(graph.edges.len())
        && graph.hubs.iter().all(is_node)
        && graph.edges.iter().all(is_node)
}

/// Reads from the front, never beyond the end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn count(&mut self) -> Option<usize> {
        let word = self.words(1, u32::from_le_bytes)?;
        word.first().map(|&n| n as usize)
    }

    fn words<const N: usize, T>(
        &mut self,
        count: usize,
        parse: impl Fn([u8; N]) -> T,
    ) -> Option<Vec<T>> {
        let (words, _) = self.take(count.checked_mul(N)?)?.as_chunks::<N>();
        Some(words.iter().map(|word| parse(*word)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        Graph {
            ids: vec![3, 7, 9],
            prints: vec![1, 2, 3],
            hubs: vec![1],
            offsets: vec![0, 1, 3, 4],
            edges: vec![1, 0, 2, 1],
        }
    }

    fn file(key: &str, graph: &Graph) -> Vec<u8> {
        let payload = encode(key, graph);
        let checksum = Sha256::digest(&payload);
        [&MAGIC[..], &checksum, &payload].concat()
    }

    #[test]
    fn reads_what_it_wrote() {
        let dir = tempfile::tempdir().expect("a folder");
        save(dir.path(), "key", &graph()).expect("saves");
        assert_eq!(load(dir.path(), "key"), Some(graph()));
        assert_eq!(load(dir.path(), "another"), None);
    }

    #[test]
    fn refuses_every_damage() {
        let whole = file("key", &graph());
        for at in 0..whole.len() {
            assert_eq!(decode(&whole[..at], "key"), None, "cut at {at}");
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert_eq!(decode(&flipped, "key"), None, "flipped at {at}");
        }
    }

    /// A good checksum is no proof of sense.
    #[test]
    fn refuses_numbers_that_point_nowhere() {
        let broken = [
            Graph {
                edges: vec![1, 0, 2, 3],
                ..graph()
            },
            Graph {
                hubs: vec![3],
                ..graph()
            },
            Graph {
                offsets: vec![0, 3, 1, 4],
                ..graph()
            },
            Graph {
                offsets: vec![0, 1, 3, 5],
                ..graph()
            },
            Graph {
                ids: vec![3, 3, 9],
                ..graph()
            },
        ];
        for graph in broken {
            assert_eq!(decode(&file("key", &graph), "key"), None, "{graph:?}");
        }
    }
}
