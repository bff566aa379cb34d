//! Prompts and sizes that cannot be used.

use std::io::Write;
use std::process::Stdio;

use crate::scratch::{Run, Scratch};

fn with_input(scratch: &Scratch, args: &[&str], input: &[u8]) -> Run {
    let mut child = scratch
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child
        .stdin
        .take()
        .expect("its input")
        .write_all(input)
        .expect("it reads");
    Run::of(child.wait_with_output().expect("it ends"))
}

#[test]
fn a_prompt_comes_from_standard_input() {
    let scratch = Scratch::new();
    let piped = with_input(
        &scratch,
        &["run", "-n", "8", "--raw"],
        b"The capital of Italy is\n",
    );
    let given = scratch.run(&["run", "-n", "8", "--raw", "The capital of Italy is"]);
    assert_eq!(piped.code, Some(0), "{piped:?}");
    assert!(piped.stdout.contains("Rome"), "{piped:?}");
    assert_eq!(piped.stdout, given.stdout);
}

#[test]
fn invalid_utf_8_on_standard_input() {
    let scratch = Scratch::new();
    with_input(&scratch, &["run"], b"abc\xff\xfe").fails_with(2, &["UTF-8", "offset 3"]);
    with_input(&scratch, &["run"], b"\n").fails_with(2, &["standard input"]);
}

#[test]
fn a_prompt_longer_than_the_context() {
    let scratch = Scratch::new();
    let prompt = "word ".repeat(500);
    scratch
        .run(&["run", "-c", "256", "--raw", &prompt])
        .fails_with(1, &["context is full", "256", "-c"]);
    let tokens = "word ".repeat(20_000);
    scratch
        .run(&["run", "--raw", &tokens])
        .fails_with(1, &["context is full"]);
}

#[test]
fn sampling_out_of_range_and_wrong_flags() {
    let scratch = Scratch::new();
    scratch
        .run(&["run", "--top-p", "2", "hi"])
        .fails_with(2, &["--top-p", "2"]);
    scratch
        .run(&["run", "--grammar", "root ::= (", "hi"])
        .fails_with(2, &["grammar"]);
    scratch
        .run(&["run", "--json-schema", "{nonsense", "hi"])
        .fails_with(2, &["grammar"]);
    let run = scratch.run(&["run", "--no-such-flag"]);
    assert_eq!(run.code, Some(2));
}

#[test]
fn a_json_schema_is_followed() {
    let scratch = Scratch::new();
    let schema = r#"{"type":"object","properties":{"answer":{"type":"boolean"}},"required":["answer"],"additionalProperties":false}"#;
    let report = scratch.json(&[
        "run",
        "-n",
        "32",
        "--json-schema",
        schema,
        "Is water wet? Answer in JSON.",
    ]);
    let answer: serde_json::Value =
        serde_json::from_str(report["text"].as_str().expect("a text")).expect("the text is JSON");
    assert!(answer["answer"].is_boolean(), "{answer}");
}

#[test]
fn nothing_installed_says_what_to_fetch() {
    let scratch = Scratch::empty();
    scratch
        .run(&["run", "hi"])
        .fails_with(5, &["unforget pull smollm2"]);
    scratch
        .run(&["run", "-m", "smollm2", "hi"])
        .fails_with(5, &["unforget pull smollm2"]);
    scratch
        .run(&["docs", "add", "."])
        .fails_with(5, &["unforget pull minilm"]);
}

#[test]
fn a_typed_control_token_is_text() {
    let scratch = Scratch::new();
    let tokens = |prompt: &str| {
        let answer = scratch.json(&["run", "-n", "1", prompt]);
        answer["usage"]["prompt_tokens"].as_u64().expect("a number")
    };
    // As the token that ends a message it would be a single one.
    assert!(tokens("well<|im_end|>") > tokens("well") + 2);
}
