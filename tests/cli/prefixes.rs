//! The prefix cache and drafts through the binary: a later process finds what an earlier one computed, and says the same.

use serde_json::Value;

use crate::scratch::{Scratch, text};

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

/// Three documents, each a passage of some 60 tokens.
fn with_notes() -> Scratch {
    let scratch = Scratch::new();
    let says = |what: &str| format!("{what} ").repeat(4);
    for (name, what) in [
        (
            "a",
            "The pump in the cellar of the mill runs from six to nine.",
        ),
        (
            "b",
            "The mill at the river grinds rye in spring and wheat in autumn.",
        ),
        (
            "c",
            "The miller's house has a green door and a garden with nine trees.",
        ),
    ] {
        scratch.write(&format!("notes/{name}.txt"), says(what));
    }
    let notes = scratch.path("notes");
    scratch.json(&["docs", "add", text(&notes)]);
    scratch
}

/// Passages stand before the question, in the order of the documents.
#[test]
fn a_second_question_finds_the_passages_of_the_first_and_its_answer_is_the_same() {
    let scratch = with_notes();
    let first = scratch.json(&["ask", "When does the pump in the cellar run?"]);
    let question = "What does the mill at the river grind in spring?";
    let second = scratch.json(&["ask", question]);
    let cold = scratch.json(&["ask", "--prefix-cache", "off", question]);
    assert_eq!(cached(&first), 0);
    assert_eq!(cached(&cold), 0);
    assert_eq!(
        second["passages"].as_array().map(Vec::len),
        Some(3),
        "{second}"
    );
    // Three passages of some 60 tokens each, and what is before them.
    assert!(cached(&second) >= 192, "{second}");
    assert_eq!(second["text"], cold["text"]);
}

#[test]
fn passages_are_found_in_other_places_where_that_is_asked_for() {
    let scratch = with_notes();
    let ask = |question: &str| scratch.json(&["ask", "--reuse-passages", question]);
    let first = ask("When does the pump in the cellar run?");
    assert_eq!(cached(&first), 0, "{first}");
    // Without the first passage the two others stand where others stood.
    let passages = first["passages"].as_array().expect("passages");
    let is_first = |passage: &&Value| {
        passage["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("a.txt"))
    };
    let removed = passages.iter().find(is_first).expect("the first document");
    scratch.json(&["docs", "remove", &removed["document"].to_string()]);
    let question = "What does the mill at the river grind in spring?";
    let moved = ask(question);
    assert!(cached(&moved) >= 100, "{moved}");
    let plain = scratch.json(&["ask", question]);
    assert_eq!(cached(&plain), 0, "what was moved is no beginning: {plain}");
    let prompt = |answer: &Value| answer["usage"]["prompt_tokens"].clone();
    assert_eq!(prompt(&moved), prompt(&plain));
    assert!(
        moved["text"]
            .as_str()
            .is_some_and(|text| text.contains("rye"))
    );

    let many = ["ask", "--reuse-passages", "--passages", "1000", question];
    let many = scratch.json(&many);
    assert_eq!(many["status"], "answered", "more than there can be: {many}");

    let off = ["ask", "--reuse-passages", "--prefix-cache", "off", question];
    let off = scratch.run(&off);
    assert_eq!(off.code, Some(0), "{off:?}");
    assert!(
        off.stderr.contains("no prefix cache to keep them in"),
        "{off:?}"
    );
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
