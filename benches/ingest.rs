//! How much of the embedder's raw tokens a second does adding a folder of mixed files keep?
//!
//! Both sides embed the same passages: once through files, chunks, database and index, once handed to the embedder all
//! at once. They take turns, so that a change of the machine's load meets both.

#![allow(clippy::print_stdout, reason = "a bench that shows its figures")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::ops::ControlFlow;
use std::time::Instant;

use unforget::engine::{CancelToken, Embedder, Model, ModelOptions, SessionOptions};
use unforget::rag::{Collection, Embed, EngineEmbedder, IngestOptions};

const ROUNDS: usize = 3;

fn main() {
    let model =
        Model::open(&common::embedder_file(), ModelOptions::default()).expect("the embedder loads");
    let embedder = Embedder::new(&model, &SessionOptions::default()).expect("an embedder");
    let mut embedder = EngineEmbedder::new(embedder, CancelToken::default()).expect("an embedder");
    let repository = common::repository();
    let roots = ["models/documents", "src/rag", "README.md"].map(|path| repository.join(path));
    for round in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder");
        let mut collection =
            Collection::create_or_open(&folder.path().join("bench"), embedder.id())
                .expect("a collection");
        let report = collection
            .add(
                &roots,
                &mut embedder,
                &IngestOptions::default(),
                &mut |_| ControlFlow::Continue(()),
            )
            .expect("they are added");
        let documents = collection.documents().expect("a list");
        let chunks = documents
            .iter()
            .flat_map(|document| collection.chunks(document.id).expect("its chunks"));
        let texts: Vec<String> = chunks
            .map(|chunk| format!("{}\n{}", chunk.heading, chunk.text))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let begun = Instant::now();
        embedder.embed(&texts).expect("vectors");
        let raw = report.tokens as f64 / begun.elapsed().as_secs_f64();
        let whole = report.tokens as f64 / report.seconds;
        println!(
            "round {round}: {} documents, {} chunks, {} tokens; adding {whole:.0} tokens/s, raw {raw:.0}: {:.2}",
            documents.len(),
            report.chunks,
            report.tokens,
            whole / raw
        );
    }
}
