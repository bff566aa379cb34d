//! Versions of an adapter, adapters beside each other, and text of one's own, on a tiny random model.

use crate::scratch::{Run, Scratch, text};
use crate::training_stops::{json, made, scratch};

/// What a random model says itself goes in circles, and is left out.
const GENERAL: &str = "The mill stood empty for years before a young couple bought it.

Write to jane.roe@example.org\nabout rice.

Rice is grown in fields that stand under water.
";

fn train(scratch: &Scratch, rows: &str, name: &str, more: &[&str]) -> Run {
    let args = [
        "train",
        rows,
        "--base",
        "tiny",
        "--name",
        name,
        "--lr",
        "1e-2",
        "--warmup",
        "0",
        "--steps",
        "40",
        "--look-every",
        "0",
        "--check",
        "none",
        "--threads=1",
        "--json",
    ];
    let run = scratch.run(&[&args[..], more].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    run
}

#[test]
fn a_next_version_is_scored_on_the_tasks_of_both() {
    let scratch = scratch();
    let row = |i: usize| format!("{{\"prompt\": \"Ask {i}.\", \"target\": \"no\"}}\n");
    scratch.write("others.jsonl", (0..40).map(row).collect::<String>());
    scratch.write("general.txt", GENERAL);
    train(&scratch, "rows.jsonl", "first", &["--replay", "0"]);
    let more = [
        "--continue",
        "first",
        "--earlier",
        "rows.jsonl",
        "--replay",
        "2",
        "--general",
        "general.txt",
    ];
    let said = json(&train(&scratch, "others.jsonl", "second", &more));
    let versions = &said["versions"];
    assert_eq!(versions["versions"], serde_json::json!(["first", "second"]));
    assert_eq!(versions["tasks"], serde_json::json!(["rows", "others"]));
    let score = |version: usize, task: usize| versions["scores"][version][task].as_f64();
    assert_eq!(
        (score(0, 0), score(1, 1)),
        (Some(1.0), Some(1.0)),
        "{versions}"
    );
    let backward = score(1, 0).unwrap() - 1.0;
    assert_eq!(versions["backward_transfer"], backward, "{versions}");
    assert_eq!(versions["forgetting"], -backward, "{versions}");

    let folder = scratch.path("second-peft");
    let made = made(&folder);
    let origin = &made["training"]["origin"];
    assert_eq!(made["versions"], *versions);
    assert!(origin["continued_sha256"].is_string() && origin["earlier_sha256"][0].is_string());
    assert!(
        made["training"]["replay"]["earlier"].as_u64() > Some(0),
        "{made}"
    );
    let page = std::fs::read_to_string(folder.join("training.html")).unwrap();
    assert!(page.contains("Versions on their tasks") && page.contains("<td>second</td>"));
}

#[test]
fn other_adapters_and_text_of_ones_own_are_taken_into_account() {
    let scratch = scratch();
    let general = scratch.write("general.txt", GENERAL);
    train(&scratch, "rows.jsonl", "first", &["--replay", "0"]);
    let more = [
        "--beside",
        "first",
        "--general",
        text(&general),
        "--seed",
        "5",
        "--log",
        "log",
    ];
    let run = train(&scratch, "rows.jsonl", "other", &more);
    let words = "1 hold what looks like personal data or keys";
    assert!(run.stderr.contains(words), "{run:?}");
    let made = made(&scratch.path("other-peft"));
    let training = &made["training"];
    assert_eq!(training["replay"]["general"], 2, "{training}");
    assert_eq!(training["origin"]["recipe"]["orthogonal"], 0.5);
    let log = std::fs::read_to_string(scratch.path("log")).unwrap();
    let shared = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["shared"].as_f64().unwrap()
    };
    let all: Vec<f64> = log.lines().map(shared).collect();
    assert!(all.len() == 40 && all[39] < 0.5 * all[0], "{all:?}");

    let empty = scratch.write("empty.txt", " \n\n");
    let args = [
        "train",
        "rows.jsonl",
        "--base",
        "tiny",
        "--name",
        "x",
        "--general",
        text(&empty),
    ];
    scratch
        .run(&args)
        .fails_with(2, &["general text", "empty.txt"]);
    let args = [
        "train",
        "rows.jsonl",
        "--base",
        "tiny",
        "--name",
        "x",
        "--beside",
        "nobody",
    ];
    scratch.run(&args).fails_with(5, &["nobody"]);
}
