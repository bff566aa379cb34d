//! The parts together: what a walk finds, on every kernel, on any number of threads, and in damaged files.

use std::path::Path;

use unforget_quant::splitmix::SplitMix64;

use super::bits::Bits;
use super::build::Build;
use super::codes::{Histogram, Scale, stride};
use super::frozen::Frozen;
use super::header::{HEADER, Header, Section, Unusable};
use super::kernel::{Kernel, QueryCodes, Rows};
use super::walk::{Net, Scratch};
use super::writer::Writer;
use crate::rag::vectors::{Best, Scored, dot, to_bytes};

const DIMENSION: usize = 96;

/// Numbers that look random, the same each time.
struct Noise(SplitMix64);

impl Noise {
    /// About normal: the sum of twelve uniform numbers.
    fn next(&mut self) -> f32 {
        let uniform = |_| f32::from(u16::try_from(self.0.next() >> 48).unwrap_or(0)) / 65_536.0;
        (0..12).map(uniform).sum::<f32>() - 6.0
    }

    fn unit(&mut self, around: &[f32], spread: f32) -> Vec<f32> {
        let raw: Vec<f32> = around.iter().map(|x| x + spread * self.next()).collect();
        let norm = dot(&raw, &raw).sqrt();
        raw.iter().map(|x| x / norm).collect()
    }
}

/// Texts on `n / 100` topics, and a question on each.
fn clustered(n: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let noise = &mut Noise(SplitMix64::new(1));
    let flat = [0.0; DIMENSION];
    let topics: Vec<_> = (0..n / 100).map(|_| noise.unit(&flat, 1.0)).collect();
    let cycle = topics.iter().cycle().take(n);
    let vectors = cycle.map(|topic| noise.unit(topic, 0.08)).collect();
    let queries = topics.iter().map(|topic| noise.unit(topic, 0.08)).collect();
    (vectors, queries)
}

/// Ids are three times the node.
fn write(dir: &Path, vectors: &[Vec<f32>], threads: usize) -> std::path::PathBuf {
    let path = dir.join("index.ann");
    let mut writer = Writer::begin(dir, DIMENSION).expect("begins");
    for (id, vector) in (0..).step_by(3).zip(vectors) {
        assert!(writer.push(id, &to_bytes(vector)).expect("writes"));
    }
    let done = writer.finish(&path, "key", threads, &mut |_| true);
    done.expect("is made");
    path
}

fn open(path: &Path) -> Frozen {
    Frozen::open(path, "key", DIMENSION).expect("opens")
}

fn nearest(frozen: &Frozen, query: &[f32], allowed: Option<&Bits>) -> Vec<u32> {
    let mut best = Best::of(10);
    let found = frozen.nearest(query, 64, allowed, &mut best);
    found.expect("is sound");
    best.into_sorted().iter().map(|found| found.row).collect()
}

fn exact(vectors: &[Vec<f32>], query: &[f32], allowed: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut best = Best::of(10);
    for (row, vector) in (0u32..).zip(vectors).filter(|(row, _)| allowed(*row)) {
        let score = dot(query, vector);
        best.offer(Scored { row, score });
    }
    best.into_sorted().iter().map(|found| found.row).collect()
}

fn recall(pairs: &[(Vec<u32>, Vec<u32>)]) -> f64 {
    let shared = |(a, b): &(Vec<u32>, Vec<u32>)| a.iter().filter(|x| b.contains(x)).count();
    pairs.iter().map(shared).sum::<usize>() as f64 / (10 * pairs.len()) as f64
}

#[test]
fn finds_what_an_exact_scan_finds() {
    let dir = tempfile::tempdir().expect("a folder");
    let (vectors, queries) = clustered(6_000);
    let frozen = open(&write(dir.path(), &vectors, 2));
    frozen.check().expect("is sound");
    assert_eq!((frozen.len(), frozen.last_id()), (6_000, Some(3 * 5_999)));
    assert_eq!((frozen.find(30), frozen.find(31)), (Some(10), None));
    let pairs: Vec<_> = queries
        .iter()
        .map(|query| {
            (
                nearest(&frozen, query, None),
                exact(&vectors, query, |_| true),
            )
        })
        .collect();
    assert!(recall(&pairs) >= 0.98, "{}", recall(&pairs));
}

/// Few allowed nodes are scanned, many walked among; only allowed ones are found either way.
#[test]
fn a_filter_works_inside_the_walk() {
    let dir = tempfile::tempdir().expect("a folder");
    let (vectors, queries) = clustered(12_000);
    let frozen = open(&write(dir.path(), &vectors, 2));
    for step in [2u32, 3, 40, 4_000] {
        let mut allowed = Bits::none(vectors.len());
        for node in (0..12_000).step_by(step as usize) {
            allowed.add(node);
        }
        let pairs: Vec<_> = queries
            .iter()
            .map(|query| {
                let found = nearest(&frozen, query, Some(&allowed));
                assert!(found.iter().all(|node| node % step == 0));
                (found, exact(&vectors, query, |node| node % step == 0))
            })
            .collect();
        let wanted = pairs.iter().map(|(_, exact)| exact.len()).sum::<usize>();
        let least = 0.97 * wanted as f64 / (10 * pairs.len()) as f64;
        assert!(recall(&pairs) >= least, "every {step}: {}", recall(&pairs));
    }
}

#[test]
fn any_number_of_threads_makes_the_same_file() {
    let dirs = [1, 2, 3].map(|threads| (threads, tempfile::tempdir().expect("a folder")));
    let (vectors, _) = clustered(3_000);
    let files = dirs
        .map(|(threads, dir)| std::fs::read(write(dir.path(), &vectors, threads)).expect("reads"));
    assert!(files[0] == files[1] && files[1] == files[2]);
}

#[test]
fn every_kernel_walks_the_same_way() {
    let (vectors, queries) = clustered(2_000);
    let mut sizes = Histogram::new();
    sizes.add(vectors.iter().flatten().copied());
    let scale: Scale = sizes.scale();
    let mut codes = Vec::new();
    for vector in &vectors {
        scale.append(vector.iter().copied(), &mut codes);
    }
    let rows = Rows {
        codes: &codes,
        stride: stride(DIMENSION),
    };
    let made = |kernel| {
        let build = Build {
            rows,
            nodes: vectors.len(),
            kernel,
            threads: 1,
        };
        build.graph(&mut |_| true).expect("is not stopped")
    };
    let graph = made(Kernel::Scalar);
    for kernel in Kernel::available() {
        assert!(made(kernel) == graph, "{kernel:?} builds another graph");
    }
    let net = Net {
        rows,
        edges: &graph.edges,
        starts: &graph.starts,
        nodes: vectors.len(),
    };
    let mut scratch = Scratch::default();
    for query in &queries {
        let mut codes = QueryCodes::default();
        scale.query(query, &mut codes);
        let expected = scratch.walk(&net, Kernel::Scalar, &codes, 50).to_vec();
        for kernel in Kernel::available() {
            assert_eq!(
                scratch.walk(&net, kernel, &codes, 50),
                expected,
                "{kernel:?}"
            );
        }
    }
}

#[test]
fn who_says_stop_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (vectors, _) = clustered(2_000);
    let mut writer = Writer::begin(dir.path(), DIMENSION).expect("begins");
    for (id, vector) in (0..).zip(&vectors) {
        writer.push(id, &to_bytes(vector)).expect("writes");
    }
    let path = dir.path().join("index.ann");
    let stopped = writer.finish(&path, "key", 1, &mut |done| done < 1_000);
    assert!(matches!(stopped, Err(crate::Error::Interrupted)));
    assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
}

#[test]
fn few_vectors_or_none_are_a_file_too() {
    for n in [0, 1, 2, 11] {
        let dir = tempfile::tempdir().expect("a folder");
        let (vectors, queries) = clustered(100);
        let frozen = open(&write(dir.path(), &vectors[..n], 2));
        frozen.check().expect("is sound");
        let found = nearest(&frozen, &queries[0], None);
        assert_eq!(found, exact(&vectors[..n], &queries[0], |_| true));
    }
}

/// Every section of a small file, and everything that can be cut off.
#[test]
fn damage_is_found_when_a_file_is_opened() {
    let dir = tempfile::tempdir().expect("a folder");
    let (vectors, _) = clustered(200);
    let path = write(dir.path(), &vectors, 1);
    let whole = std::fs::read(&path).expect("reads");
    let header = Header::decode(&whole, whole.len() as u64).expect("is whole");
    for section in Section::ALL {
        let range = header.range(section);
        for at in [range.start, range.start.midpoint(range.end), range.end - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&path, flipped).expect("writes");
            let opened = Frozen::open(&path, "key", DIMENSION);
            assert!(matches!(opened, Err(Unusable::Damaged(_))), "{section:?}");
        }
    }
    for length in [0, 1, HEADER - 1, HEADER, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).expect("writes");
        let opened = Frozen::open(&path, "key", DIMENSION);
        assert!(
            matches!(opened, Err(Unusable::Damaged(_))),
            "{length} bytes"
        );
    }
    std::fs::write(&path, &whole).expect("writes");
    assert_eq!(
        Frozen::open(&path, "another", DIMENSION).err(),
        Some(Unusable::OtherRows)
    );
    std::fs::remove_file(&path).expect("removes");
    assert_eq!(
        Frozen::open(&path, "key", DIMENSION).err(),
        Some(Unusable::Missing)
    );
}

/// A large file is not read whole when it is opened. What is damaged in it leads a walk astray at worst, and a vector is
/// never believed: here every section is overwritten while the file is open.
#[test]
fn damage_after_opening_never_makes_a_score() {
    let (vectors, queries) = clustered(1_000);
    let mut noise = Noise(SplitMix64::new(9));
    for section in Section::ALL {
        let dir = tempfile::tempdir().expect("a folder");
        let path = write(dir.path(), &vectors, 1);
        let whole = std::fs::read(&path).expect("reads");
        let header = Header::decode(&whole, whole.len() as u64).expect("is whole");
        let frozen = open(&path);
        let mut damaged = whole.clone();
        for byte in &mut damaged[header.range(section)] {
            *byte = noise.next().to_bits().to_be_bytes()[3];
        }
        // In place: what a disk does, and nobody else.
        let file = std::fs::File::options().write(true).open(&path);
        let mut file = file.expect("opens");
        std::io::Write::write_all(&mut file, &damaged).expect("writes");
        for query in &queries {
            let mut best = Best::of(10);
            if frozen.nearest(query, 64, None, &mut best).is_ok() {
                for found in best.into_sorted() {
                    let truth = dot(query, &vectors[found.row as usize]);
                    assert!((found.score - truth).abs() < 1e-6, "{section:?}");
                }
            }
        }
        assert!(frozen.check().is_err(), "{section:?}");
    }
}
