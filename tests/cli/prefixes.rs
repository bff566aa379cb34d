//! The prefix cache and drafts through the binary: a later process finds what an earlier one computed, and says the same.

use serde_json::Value;

use crate::scratch::Scratch;

/// Some 300 tokens.
fn prompt() -> String {
    "The pump ran for nine hours, and then it stood still. ".repeat(24)
}

fn run(scratch: &Scratch, more: &[&str]) -> Value {
    let prompt = prompt();
    let mut args = vec!["run", "-n", "24", prompt.as_str()];
    args.extend(more);
    scratch.json(&args)
}

fn cached(answer: &Value) -> u64 {
    let cached = answer["usage"]["cached_tokens"].as_u64();
    cached.unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn a_later_run_finds_the_prompt_and_says_the_same() {
    let scratch = Scratch::new();
    let folder = scratch.path("home/cache/prefixes");
    let off = run(&scratch, &["--prefix-cache", "off", "--no-draft"]);
    assert!(!folder.exists(), "nothing is kept that is not wanted");
    assert_eq!(off["usage"]["drafted_tokens"], 0);
    let (first, second) = (run(&scratch, &[]), run(&scratch, &[]));
    assert_eq!(cached(&first), 0);
    let prompt_tokens = second["usage"]["prompt_tokens"].as_u64().expect("a number");
    assert_eq!(cached(&second), (prompt_tokens - 1) / 64 * 64);
    assert!(off["text"] == first["text"] && first["text"] == second["text"]);

    // What is there is no more than allowed.
    let small = run(&scratch, &["--prefix-cache", "1K"]);
    assert_eq!(small["text"], off["text"]);
    let other = scratch.json(&[
        "run",
        "-n",
        "1",
        "--prefix-cache",
        "1K",
        &prompt().to_uppercase(),
    ]);
    assert_eq!(cached(&other), 0);
    let left = std::fs::read_dir(&folder).expect("the folder").count();
    assert_eq!(left, 0);
}

#[test]
fn a_folder_that_cannot_be_used_costs_a_warning() {
    let scratch = Scratch::new();
    scratch.write("home/cache", "a file where the folder should be");
    let prompt = prompt();
    let run = scratch.run(&["run", "-n", "2", &prompt]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("no prefix cache"), "{run:?}");
}

#[test]
fn a_size_that_is_none_is_refused() {
    let scratch = Scratch::empty();
    for size in ["2T", "-1", "much"] {
        let option = format!("--prefix-cache={size}");
        scratch
            .run(&["run", &option, "Hi"])
            .fails_with(2, &["--prefix-cache", size]);
    }
}
