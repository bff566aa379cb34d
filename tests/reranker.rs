//! A cross-encoder through the engine: its head is computed as it is written down, and nothing takes it for an embedder.

mod common;

use std::path::PathBuf;

use common::cross_encoder::{Head, scrambled, write};
use unforget::engine::{CancelToken, Embedder, Model, ModelOptions, Reranker, SessionOptions};
use unforget::{ErrorKind, Result};

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(head: &Head) -> File {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cross.gguf");
    write(&path, head);
    File {
        _folder: folder,
        path,
    }
}

fn scores(head: &Head, query: &str, texts: &[&str]) -> Result<Vec<f32>> {
    let file = file(head);
    let model = Model::open(&file.path, ModelOptions::default())?;
    let mut reranker = Reranker::new(&model, &SessionOptions::default())?;
    reranker.score(query, texts, &CancelToken::default())
}

/// With a dense layer of zeros the score is known: 384 * 0.01 * tanh(0.5) + 0.25.
#[test]
fn the_head_is_computed_as_written() -> Result<()> {
    let head = Head {
        dense: |_, _| 0.0,
        dense_bias: 0.5,
        output: 0.01,
        output_bias: 0.25,
    };
    let expected = 384.0 * 0.01 * 0.5f32.tanh() + 0.25;
    for score in scores(&head, "Who?", &["The ferry leaves at nine.", ""])? {
        assert!(
            (score - expected).abs() < 1e-3,
            "{score} instead of {expected}"
        );
    }
    Ok(())
}

#[test]
fn a_score_is_of_the_pair_and_stays_the_same_in_any_company() -> Result<()> {
    let head = Head {
        dense: scrambled,
        dense_bias: 0.0,
        output: 0.1,
        output_bias: 0.0,
    };
    let file = file(&head);
    let model = Model::open(&file.path, ModelOptions::default())?;
    let mut reranker = Reranker::new(&model, &SessionOptions::default())?;
    let cancel = CancelToken::default();
    let long = "A sentence that goes on. ".repeat(300);
    let texts = [
        "The ferry leaves at nine.",
        long.as_str(),
        "",
        "Herons nest here.",
    ];
    let together = reranker.score("When does the ferry leave?", &texts, &cancel)?;
    for (text, score) in texts.iter().zip(&together) {
        let alone = reranker.score("When does the ferry leave?", &[text], &cancel)?;
        assert!((alone[0] - score).abs() < 1e-4, "{score} and {alone:?}");
    }
    let mut distinct = together.clone();
    distinct.sort_by(f32::total_cmp);
    distinct.dedup();
    assert_eq!(distinct.len(), texts.len(), "{together:?}");
    let other = reranker.score("Where do herons nest?", &texts[..1], &cancel)?;
    assert!(
        (other[0] - together[0]).abs() > 1e-4,
        "the question matters"
    );
    let endless = "why ".repeat(2000);
    assert!(reranker.score(&endless, &["x"], &cancel)?[0].is_finite());
    Ok(())
}

/// A head gives one number where an embedder gives a vector: taken for one, memory beyond it would be read.
#[test]
fn neither_is_taken_for_the_other() -> Result<()> {
    let head = Head {
        dense: |_, _| 0.0,
        dense_bias: 0.0,
        output: 0.0,
        output_bias: 0.0,
    };
    let file = file(&head);
    let cross = Model::open(&file.path, ModelOptions::default())?;
    let refused = Embedder::new(&cross, &SessionOptions::default()).expect_err("no embedder");
    assert!(refused.to_string().contains("--rerank"), "{refused}");
    for wrong in [common::embedder_file(), common::base_file()] {
        let model = Model::open(&wrong, ModelOptions::default())?;
        let refused = Reranker::new(&model, &SessionOptions::default()).expect_err("no reranker");
        assert_eq!(refused.kind(), ErrorKind::NotFoundOrIncompatible);
        assert!(refused.to_string().contains("cross-encoder"), "{refused}");
    }
    Ok(())
}
