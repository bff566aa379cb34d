//! The C and C++ tests of `tests/c`, compiled under AddressSanitizer and UndefinedBehaviorSanitizer against the header and
//! the shared library, and run with the models that `make test` has fetched.

#[path = "../../tests/common/cross_encoder.rs"]
#[allow(dead_code)] // Other tests use the rest of it.
mod cross_encoder;
#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use support::{Compiler, Fixture, TestResult, run};

/// Times that a model is opened and closed.
const CYCLES: &str = "200";

#[test]
fn sessions_and_answers() -> TestResult {
    let fixture = Fixture::new()?;
    let program = fixture.compile(&Compiler::c(), "answers.c")?;
    run(fixture
        .program(&program)
        .args([&fixture.base, &fixture.adapter]))
}

#[test]
fn documents_and_citations() -> TestResult {
    let fixture = Fixture::new()?;
    let program = fixture.compile(&Compiler::c(), "documents.c")?;
    let reranker = fixture.file("cross-encoder.gguf");
    let head = cross_encoder::Head {
        dense: cross_encoder::scrambled,
        dense_bias: 0.0,
        output: 0.1,
        output_bias: 0.0,
    };
    cross_encoder::write(&reranker, &head);
    let policy = fixture.write("policy.toml", POLICY)?;
    run(fixture
        .program(&program)
        .args([&fixture.base, &fixture.embedder, &reranker])
        .args([&fixture.documents, &policy])
        .arg(fixture.file("collection")))
}

/// What [`cross_encoder`] is made of.
fn embedder_file() -> PathBuf {
    support::installed("minilm").expect("the embedder")
}

const POLICY: &str = "
version = 1

[[refuse]]
topics = [\"salary\"]
reply = \"Ask the club.\"
";

#[test]
fn the_guard_and_the_log() -> TestResult {
    let fixture = Fixture::new()?;
    let program = fixture.compile(&Compiler::c(), "guard.c")?;
    let suite = fixture.file("suite");
    std::fs::create_dir(&suite)?;
    // The careless adapter forgets these; so many are enough to be certain of it.
    let all =
        std::fs::read_to_string(support::repository().join("models/suites/facts_cloze.jsonl"))?;
    let some: Vec<&str> = all.lines().take(200).collect();
    std::fs::write(suite.join("facts.jsonl"), some.join("\n"))?;
    run(fixture
        .program(&program)
        .args([&fixture.base, &fixture.careless, &suite])
        .arg(fixture.write("strict.toml", budget(0.05))?)
        .arg(fixture.write("lenient.toml", budget(50.0))?)
        .arg(fixture.file("cache")))
}

/// A budget for the loss of likelihood, in nats.
fn budget(nats: f64) -> String {
    format!(
        "version = 1\nconfidence = 0.95\n\n[[rule]]\ngroup = \"facts\"\nmetric = \"nll\"\ndirection = \"retain\"\nbudget = {nats}\naction = \"block\"\nmin_items = 20\n"
    )
}

#[test]
fn opening_and_closing_and_threads() -> TestResult {
    let fixture = Fixture::new()?;
    let program = fixture.compile(&Compiler::c(), "cycles.c")?;
    run(fixture
        .program(&program)
        .args([&fixture.base, &fixture.adapter])
        .arg(CYCLES))
}

#[test]
fn wrong_arguments() -> TestResult {
    let fixture = Fixture::new()?;
    let program = fixture.compile(&Compiler::c(), "arguments.c")?;
    run(fixture
        .program(&program)
        .args([&fixture.base, &fixture.adapter])
        .arg(fixture.write("prose.gguf", PROSE)?)
        .arg(fixture.write("truncated.gguf", "GGUF\x03\0\0\0")?))
}

#[test]
fn wrong_arguments_about_documents() -> TestResult {
    let fixture = Fixture::new()?;
    let program = fixture.compile(&Compiler::c(), "document_arguments.c")?;
    run(fixture
        .program(&program)
        .args([&fixture.base, &fixture.embedder])
        .arg(fixture.write("prose.toml", PROSE)?)
        .arg(fixture.file("collection")))
}

/// What is neither a model nor a policy.
const PROSE: &str = "It was a dark and stormy night.";

#[test]
fn every_function_is_called_with_wrong_arguments() -> TestResult {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = std::fs::read_to_string(folder.join("include/unforget.h"))?;
    let read = |name: &str| std::fs::read_to_string(folder.join("tests/c").join(name));
    let program = read("arguments.c")? + &read("document_arguments.c")?;
    let declared = support::functions(&header);
    assert!(
        declared.len() > 80,
        "{} functions are found",
        declared.len()
    );
    let missing: BTreeSet<_> = declared
        .iter()
        .filter(|name| !program.contains(&format!("{name}(")))
        .collect();
    assert!(missing.is_empty(), "not called: {missing:?}");
    Ok(())
}

#[test]
fn the_cpp_wrapper() -> TestResult {
    let fixture = Fixture::new()?;
    let program = fixture.compile(&Compiler::cpp(), "wrapper.cpp")?;
    run(fixture
        .program(&program)
        .args([
            &fixture.base,
            &fixture.embedder,
            &fixture.adapter,
            &fixture.documents,
        ])
        .arg(fixture.file("collection")))
}
