//! Limits of memory, kept or refused, and KV in fewer bits.

use serde_json::Value;

use crate::common;
use crate::scratch::{Scratch, text};

/// Some 1,200 tokens.
fn prompt() -> String {
    "The pump ran for nine hours, and then it stood still. ".repeat(100)
}

fn number(answer: &Value, name: &str) -> u64 {
    let number = answer["memory"][name].as_u64();
    number.unwrap_or_else(|| panic!("{name}: {answer}"))
}

#[test]
#[cfg(target_os = "linux")]
fn a_limit_is_kept() {
    let scratch = Scratch::new();
    let prompt = prompt();
    for limit in [400, 240] {
        let size = format!("{limit}M");
        let args = [
            "run",
            "-n",
            "8",
            "--prefix-cache",
            "off",
            "--memory-limit",
            &size,
            &prompt,
        ];
        let answer = scratch.json(&args);
        let peak = number(&answer, "peak_rss_bytes");
        assert!(peak <= limit << 20, "{limit}: {answer}");
        assert_eq!(answer["finish_reason"], "length", "{answer}");
    }
}

#[test]
fn what_cannot_fit_is_refused_with_the_arithmetic() {
    let scratch = Scratch::new();
    scratch
        .run(&["run", "--memory-limit", "100M", "Hi"])
        .fails_with(
            5,
            &[
                "memory limit of 105 MB is too small",
                "KV cache of",
                "packed",
                "raise it",
            ],
        );
    scratch
        .run(&[
            "run",
            "-c",
            "8192",
            "--cache-type",
            "f16",
            "--memory-limit",
            "260M",
            "Hi",
        ])
        .fails_with(5, &["KV cache of 8192 tokens"]);
    scratch
        .run(&["run", "--memory-limit", "much", "Hi"])
        .fails_with(2, &["500M or 2G"]);
    scratch
        .run(&["run", "--cache-type", "q4_0", "Hi"])
        .fails_with(2, &["f16 or q8_0"]);
}

#[test]
#[cfg(target_os = "linux")]
fn answers_from_documents_keep_a_limit_with_the_embedder_in_it() {
    const LIMIT: u64 = 340;
    let scratch = Scratch::new();
    let documents = common::repository().join("models/documents");
    scratch.json(&["docs", "add", text(&documents)]);
    let size = format!("{LIMIT}M");
    let limit = ["--memory-limit", &size, "--prefix-cache", "off"];
    let question = "Who was named Super Bowl MVP?";
    let ask = scratch.json(&[&["ask", question], &limit[..]].concat());
    let run = scratch.json(&[&["run", "--docs", "default", question], &limit[..]].concat());
    // Passages that are moved lie in memory twice, and wait to be written.
    let moved = ["ask", "--reuse-passages", "--memory-limit", &size, question];
    let (first, again) = (scratch.json(&moved), scratch.json(&moved));
    assert_eq!(number(&ask, "copied_bytes"), 0, "{ask}");
    assert!(number(&first, "copied_bytes") > 0, "{first}");
    for answer in [ask, run, first, again] {
        assert_eq!(answer["status"], "answered", "{answer}");
        let peak = number(&answer, "peak_rss_bytes");
        assert!(peak <= LIMIT << 20, "{answer}");
    }
    scratch
        .run(&["ask", "--memory-limit", "200M", question])
        .fails_with(5, &["memory limit of 210 MB", "models beside it"]);
}

#[test]
fn a_server_says_what_does_not_fit_before_it_listens() {
    let scratch = Scratch::new();
    let serve = |more: &[&str]| scratch.run(&[&["serve", "--port", "0"], more].concat());
    serve(&["--memory-limit", "200M"]).fails_with(5, &["memory limit of 210 MB"]);
    serve(&["--memory-limit", "400M", "--kv-tokens", "60000"])
        .fails_with(5, &["KV cache of 60000 tokens"]);
}

#[test]
fn shorter_numbers_are_kept_apart_on_disk() {
    let scratch = Scratch::new();
    let prompt = prompt();
    let run = |kind: &str| scratch.json(&["run", "-n", "8", "--cache-type", kind, &prompt]);
    let (long, short) = (run("f16"), run("q8_0"));
    assert_eq!(short["usage"]["cached_tokens"], 0, "{short}");
    assert_eq!(short["memory"]["kv_type"], "q8_0");
    assert!(number(&short, "kv_bytes") * 100 < number(&long, "kv_bytes") * 54);
    let again = run("q8_0");
    let prompt_tokens = again["usage"]["prompt_tokens"].as_u64().expect("a number");
    assert_eq!(
        again["usage"]["cached_tokens"],
        (prompt_tokens - 1) / 64 * 64
    );
    assert_eq!(again["text"], short["text"]);
}
