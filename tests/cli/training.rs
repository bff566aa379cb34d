//! `unforget train` on the real model: a few steps, so that it stays quick; what training is worth is measured elsewhere.

use crate::scratch::{Scratch, text};

fn rows(n: usize) -> String {
    (0..n)
        .map(|i| format!("{{\"prompt\": \"Say {i}.\", \"target\": \"Number {i}, sir.\"}}\n"))
        .collect()
}

#[test]
fn rows_become_an_adapter_and_a_peft_folder() {
    let scratch = Scratch::new();
    let data = scratch.write("rows.jsonl", rows(24));
    let peft = scratch.path("peft");
    let args = [
        "train",
        text(&data),
        "--name",
        "counting",
        "--steps",
        "2",
        "--batch",
        "1",
        "--replay",
        "0",
        "--check",
        "none",
        "--peft",
        text(&peft),
    ];
    let json = scratch.json(&args);
    assert_eq!(json["steps"], 2, "{json}");
    assert!(json["last"]["loss"].as_f64().unwrap() > 0.0, "{json}");
    assert!(peft.join("adapter_config.json").is_file());

    let shown = scratch
        .json(&["adapter", "inspect", "counting"])
        .to_string();
    for said in ["quarantined", "data_sha256", "\"rank\":8"] {
        assert!(
            shown.contains(said),
            "not checked, with its origin: {shown}"
        );
    }
    scratch.json(&[
        "adapter",
        "import",
        text(&peft),
        "--name",
        "again",
        "--base",
        "smollm2",
    ]);

    scratch.run(&args).fails_with(2, &["counting", "free name"]);
}

#[test]
fn bad_rows_and_settings_are_named() {
    let scratch = Scratch::new();
    let data = scratch.write("rows.jsonl", format!("{}{{\"prompt\": \"p\"}}\n", rows(2)));
    scratch
        .run(&["train", text(&data), "--name", "x"])
        .fails_with(2, &["line 3", "prompt and target"]);

    let data = scratch.write("good.jsonl", rows(3));
    for (option, value, named) in [
        ("--targets", "q_proj,nose", "nose"),
        ("--rank", "0", "rank"),
        ("--seq-len", "8", "line 1"),
        ("--check", "soon", "soon"),
        ("--memory-limit", "300", "weights"),
    ] {
        let args = [
            "train",
            text(&data),
            "--name",
            "x",
            "--replay",
            "0",
            option,
            value,
        ];
        scratch.run(&args).fails_with(2, &[named]);
    }
}
