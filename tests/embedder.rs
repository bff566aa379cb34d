//! The converted embedder against an independent implementation, and the same text in any company.

mod common;

use serde_json::Value;
use unforget::Result;
use unforget::engine::{CancelToken, Embedder, Model, ModelOptions, SessionOptions};

fn embedder() -> Result<Embedder> {
    let model = Model::open(&common::embedder_file(), ModelOptions::default())?;
    Embedder::new(&model, &SessionOptions::default())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The reference was computed from the original float weights, see `quant/tests/data/README.md`.
#[test]
fn vectors_and_tokens_are_those_of_the_reference() -> Result<()> {
    let path = common::repository().join("quant/tests/data/minilm-reference.json");
    let reference: Value = serde_json::from_str(&std::fs::read_to_string(path)?).expect("JSON");
    let mut embedder = embedder()?;
    let texts = reference["texts"].as_array().expect("texts");
    for (i, text) in texts.iter().enumerate() {
        let text = text.as_str().expect("a text");
        let tokens: Vec<i64> = embedder
            .model()
            .tokenize(text)?
            .iter()
            .map(|token| i64::from(token.0))
            .collect();
        let expected: Vec<i64> =
            serde_json::from_value(reference["token_ids"][i].clone()).expect("ids");
        assert_eq!(tokens, expected, "{text}");
        let expected: Vec<f32> =
            serde_json::from_value(reference["embeddings"][i].clone()).expect("a vector");
        let vector = embedder.embed(&[text], &CancelToken::default())?.remove(0);
        let likeness = cosine(&vector, &expected);
        assert!(likeness > 0.995, "cosine {likeness} for {text}");
    }
    Ok(())
}

#[test]
fn a_text_has_the_same_vector_in_any_company_and_of_length_1() -> Result<()> {
    let mut embedder = embedder()?;
    let cancel = CancelToken::default();
    let long = "A sentence that goes on. ".repeat(200);
    let texts = [
        "short",
        long.as_str(),
        "The cat sat on the mat.",
        "",
        "Löwe und Bär",
    ];
    let together = embedder.embed(&texts, &cancel)?;
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(vector.len(), embedder.dimension());
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-3);
        let alone = embedder.embed(&[text], &cancel)?.remove(0);
        assert!(cosine(vector, &alone) > 0.999, "{text:.20}");
    }
    Ok(())
}
