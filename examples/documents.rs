//! An answer from documents, with the bytes that support it.
//! usage: cargo run --release --example documents -- BASE.gguf EMBEDDER.gguf DOCUMENTS QUESTION
#![allow(clippy::print_stdout)]

use std::ops::ControlFlow;
use std::path::PathBuf;

use unforget::engine::{CancelToken, Embedder, Model, ModelOptions, Session, SessionOptions};
use unforget::rag::{AskOptions, Collection, Embed as _, EngineEmbedder, IngestOptions, ask};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, embedder, documents, question] = arguments.as_slice() else {
        return Err("usage: documents BASE.gguf EMBEDDER.gguf DOCUMENTS QUESTION".into());
    };
    let sizes = SessionOptions::default();
    let model = Model::open(embedder.as_ref(), ModelOptions::default())?;
    let mut embedder = EngineEmbedder::new(Embedder::new(&model, &sizes)?, CancelToken::default())?;
    let folder = std::env::temp_dir().join(format!("unforget-example-{}", std::process::id()));
    let mut collection = Collection::create_or_open(&folder, embedder.id())?;
    let paths = [PathBuf::from(documents)];
    let report = collection.add(
        &paths,
        &mut embedder,
        &IngestOptions::default(),
        &mut |_| ControlFlow::Continue(()),
    )?;
    println!("{} documents, {} passages", report.added, report.chunks);

    let base = Model::open(base.as_ref(), ModelOptions::default())?;
    let mut session = Session::new(&base, &sizes)?;
    let options = AskOptions::default();
    let answer = ask(
        question,
        &mut collection,
        &mut embedder,
        &mut session,
        &options,
    )?;
    println!("{}", answer.outcome.text);
    for citation in &answer.citations {
        let (n, path) = (citation.n, &citation.path);
        println!(
            "[{n}] {path}, bytes {}-{}: {}",
            citation.start, citation.end, citation.text
        );
    }
    drop(collection);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
