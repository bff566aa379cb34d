//! How fast is a search: over the demo documents from question to hits, and over so many vectors as are scanned whole
//! (`FLAT_LIMIT`) beside embedding one question?

#[path = "../tests/common/mod.rs"]
mod common;

use std::ops::ControlFlow;

use criterion::{Criterion, criterion_group, criterion_main};
use unforget::engine::{CancelToken, Embedder, Model, ModelOptions, SessionOptions};
use unforget::rag::{
    Collection, Embed, EmbedderId, EngineEmbedder, FLAT_LIMIT, IngestOptions, SearchMode,
    SearchOptions,
};

/// A vector of its own for every text, at no cost.
struct Hashed(EmbedderId);

impl Embed for Hashed {
    fn id(&self) -> &EmbedderId {
        &self.0
    }

    fn max_tokens(&self) -> usize {
        256
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn embed(&mut self, texts: &[&str]) -> unforget::Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

impl Hashed {
    fn vector(&self, text: &str) -> Vec<f32> {
        let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let numbers = (0..self.0.dimension).map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        });
        let vector: Vec<f32> = numbers.collect();
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter().map(|x| x / norm).collect()
    }
}

/// A search by meaning alone, without embedding: the most vectors that are scanned, and twice as many, walked.
fn scanned(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut embedder = Hashed(EmbedderId {
        name: "hashed".into(),
        sha256: "none".into(),
        dimension: 384,
        recipe: EmbedderId::PLAIN.into(),
    });
    for vectors in [FLAT_LIMIT, 2 * FLAT_LIMIT] {
        let rows: String = (0..vectors)
            .map(|row| format!("{{\"text\": \"This is row {row} of a file that is made up.\"}}\n"))
            .collect();
        let file = folder.path().join(format!("{vectors}.jsonl"));
        std::fs::write(&file, rows).expect("it is written");
        let home = folder.path().join(format!("collection-{vectors}"));
        let mut collection =
            Collection::create_or_open(&home, embedder.id()).expect("a collection");
        let added = collection.add(
            &[file],
            &mut embedder,
            &IngestOptions::default(),
            &mut |_| ControlFlow::Continue(()),
        );
        added.expect("it is added");
        let options = SearchOptions {
            mode: SearchMode::Dense,
            ..SearchOptions::default()
        };
        let mut nth = 0;
        criterion.bench_function(&format!("search/{vectors} vectors"), |bencher| {
            bencher.iter(|| {
                nth += 1;
                collection
                    .search(&format!("question {nth}"), &mut embedder, &options)
                    .expect("hits")
            });
        });
    }
}

fn search(criterion: &mut Criterion) {
    let model =
        Model::open(&common::embedder_file(), ModelOptions::default()).expect("the embedder loads");
    let embedder = Embedder::new(&model, &SessionOptions::default()).expect("an embedder");
    let mut embedder = EngineEmbedder::new(embedder, CancelToken::default()).expect("an embedder");
    let folder = tempfile::tempdir().expect("a folder");
    let mut collection = Collection::create_or_open(&folder.path().join("bench"), embedder.id())
        .expect("a collection");
    let documents = common::repository().join("models/documents");
    collection
        .add(
            &[documents],
            &mut embedder,
            &IngestOptions::default(),
            &mut |_| ControlFlow::Continue(()),
        )
        .expect("they are added");
    criterion.bench_function("search/embedding a question", |bencher| {
        let question = ["Which linebacker was named the Super Bowl MVP?"];
        bencher.iter(|| embedder.embed(&question).expect("a vector"));
    });
    criterion.bench_function("search/demo documents", |bencher| {
        bencher.iter(|| {
            collection
                .search(
                    "Which linebacker was named the Super Bowl MVP?",
                    &mut embedder,
                    &SearchOptions::default(),
                )
                .expect("hits")
        });
    });
}

criterion_group!(benches, search, scanned);
criterion_main!(benches);
