//! How fast is a search over the demo documents, from question to hits?

#[path = "../tests/common/mod.rs"]
mod common;

use std::ops::ControlFlow;

use criterion::{Criterion, criterion_group, criterion_main};
use unforget::engine::{CancelToken, Embedder, Model, ModelOptions, SessionOptions};
use unforget::rag::{Collection, Embed, EngineEmbedder, IngestOptions, SearchOptions};

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

criterion_group!(benches, search);
criterion_main!(benches);
