//! How fast is the vector index, and how good? `benches/peers/index` runs it beside hnswlib and usearch.
//!
//! Vectors come as files of f32, little-endian, queries alike, and the true neighbours as u32, ten a query. Every mode
//! prints one line of JSON. Without arguments nothing is measured: it needs the files of the script.

#![allow(clippy::print_stdout, reason = "a bench that shows its figures")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use unforget::rag::VectorIndex;

/// Neighbours asked for.
const K: usize = 10;

/// Questions asked before the first are timed, as the script's peers do.
const WARM: usize = 200;

/// Length of the vectors.
const DIMENSION: usize = 384;

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["build", vectors, index, threads] => build(vectors, index, number(threads)),
        ["build-hnsw-rs", vectors, threads] => build_hnsw_rs(vectors, number(threads)),
        ["query", index, queries, truth, ref breadths @ ..] => {
            query(index, queries, truth, breadths);
        }
        ["among", index, queries, ref counts @ ..] => among(index, queries, counts),
        _ => println!("run benches/peers/index: it makes the vectors and calls this"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn floats(path: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).expect("a file of vectors");
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

fn build(vectors: &str, index: &str, threads: usize) {
    let vectors = floats(vectors);
    let begun = Instant::now();
    let rows = (0..).zip(vectors.chunks_exact(DIMENSION));
    VectorIndex::build(Path::new(index), DIMENSION, rows, threads).expect("it is built");
    let seconds = begun.elapsed().as_secs_f64();
    println!("{{\"seconds\": {seconds:.2}, \"threads\": {threads}}}");
}

/// Inner products in f32 for hnsw_rs, written so that the compiler vectorizes them for the machine: its own need a feature.
#[derive(Clone)]
struct Dot;

impl hnsw_rs::prelude::Distance<f32> for Dot {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0.0f32; 16];
        for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
            for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
                *sum += x * y;
            }
        }
        // Of unit vectors; not below 0, as hnsw_rs wants it, where rounding would have it.
        (1.0 - sums.iter().sum::<f32>()).max(0.0)
    }
}

/// The crate that this project does without, on the same vectors: the same degree and breadth.
fn build_hnsw_rs(vectors: &str, threads: usize) {
    use hnsw_rs::prelude::Hnsw;
    let vectors: Vec<Vec<f32>> = floats(vectors)
        .chunks_exact(DIMENSION)
        .map(<[f32]>::to_vec)
        .collect();
    let begun = Instant::now();
    let hnsw: Hnsw<'_, f32, Dot> = Hnsw::new(16, vectors.len(), 16, 200, Dot);
    if threads > 1 {
        let rows: Vec<(&Vec<f32>, usize)> = vectors.iter().zip(0..).collect();
        hnsw.parallel_insert(&rows);
    } else {
        for (row, vector) in vectors.iter().enumerate() {
            hnsw.insert((vector, row));
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{{\"seconds\": {seconds:.2}, \"threads\": {threads}}}");
}

/// Opens the index and asks all queries one by one, for each breadth, and says what came of it.
fn query(index: &str, queries: &str, truth: &str, breadths: &[&str]) {
    let queries = floats(queries);
    let truth = std::fs::read(truth).expect("the true neighbours");
    let (truth, _) = truth.as_chunks();
    let truth: Vec<i64> = truth
        .iter()
        .map(|id| i64::from(u32::from_le_bytes(*id)))
        .collect();
    let path = PathBuf::from(index);
    let begun = Instant::now();
    let index = VectorIndex::open(&path, DIMENSION).expect("it opens");
    let open_ms = begun.elapsed().as_secs_f64() * 1e3;
    for query in queries.chunks_exact(DIMENSION).take(WARM) {
        index.nearest(query, K, K).expect("an answer");
    }
    let rows: Vec<String> = breadths
        .iter()
        .map(|breadth| measure(&index, &queries, &truth, number(breadth)))
        .collect();
    println!(
        "{{\"open_ms\": {open_ms:.3}, \"resident\": {}, \"rows\": [{}]}}",
        resident(),
        rows.join(", ")
    );
}

/// Microseconds a question among ever more of the vectors, taken evenly: where does a walk become cheaper than a scan?
fn among(index: &str, queries: &str, counts: &[&str]) {
    const BREADTH: usize = 48;
    let queries = floats(queries);
    let index = VectorIndex::open(Path::new(index), DIMENSION).expect("it opens");
    let ids = 0..i64::try_from(index.len()).expect("a number of vectors");
    println!("| allowed | microseconds |\n|--:|--:|");
    for count in counts {
        let step = index.len() / number(count);
        let subset = index.subset(ids.clone().step_by(step.max(1)));
        let ask = |query| {
            index
                .nearest_among(&subset, query, K, BREADTH)
                .expect("an answer")
        };
        queries
            .chunks_exact(DIMENSION)
            .take(WARM)
            .for_each(|query| drop(ask(query)));
        let asked = queries.chunks_exact(DIMENSION).take(1_000);
        let n = asked.len();
        let begun = Instant::now();
        asked.for_each(|query| drop(ask(query)));
        println!(
            "| {} | {:.1} |",
            subset.len(),
            begun.elapsed().as_secs_f64() * 1e6 / n as f64
        );
    }
}

fn measure(index: &VectorIndex, queries: &[f32], truth: &[i64], breadth: usize) -> String {
    let (mut hits, mut times) = (0usize, Vec::new());
    let begun = Instant::now();
    for (query, truth) in queries.chunks_exact(DIMENSION).zip(truth.chunks_exact(K)) {
        let begun = Instant::now();
        let found = index.nearest(query, K, breadth).expect("an answer");
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        hits += found.iter().filter(|(id, _)| truth.contains(id)).count();
    }
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let part = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    format!(
        "{{\"breadth\": {breadth}, \"recall\": {:.5}, \"qps\": {:.1}, \"p50_ms\": {:.4}, \"p99_ms\": {:.4}}}",
        hits as f64 / truth.len() as f64,
        times.len() as f64 / seconds,
        part(0.5),
        part(0.99)
    )
}

/// Resident memory of this process at its highest, in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| {
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or(0) * 1024
}
