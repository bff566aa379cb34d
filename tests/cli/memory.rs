//! Limits of memory, kept or refused, and KV in fewer bits.

use serde_json::Value;

use crate::scratch::Scratch;

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
