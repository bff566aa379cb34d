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
        "--look-every",
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
    let made = std::fs::read_to_string(peft.join("unforget.json")).unwrap();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["sha256"], json["sha256"]);
    assert_eq!(made["training"]["origin"]["recipe"]["batch"], 1);
    let page = std::fs::read_to_string(peft.join("training.html")).unwrap();
    assert!(page.contains("training of counting") && page.contains("<polyline"));

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

/// Killed in the middle, at a point of chance: what is resumed gives the bytes of a run that nothing happened to.
#[cfg(unix)]
#[test]
fn a_killed_run_is_resumed_to_the_same_bytes() {
    const ARGS: [&str; 17] = [
        "train",
        "rows.jsonl",
        "--name",
        "killed",
        "--steps",
        "30",
        "--batch",
        "1",
        "--replay",
        "0",
        "--look-every",
        "0",
        "--check",
        "none",
        "--checkpoint-every",
        "1",
        "--threads=1",
    ];
    let whole = Scratch::new();
    whole.write("rows.jsonl", rows(24));
    let expected = whole.json(&ARGS);

    let scratch = Scratch::new();
    scratch.write("rows.jsonl", rows(24));
    let mut child = scratch.command(&ARGS).spawn().expect("it starts");
    let checkpoint = scratch.path("home/cache/training/killed.safetensors");
    while !checkpoint.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ends too early");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().expect("it is killed");
    child.wait().unwrap();
    assert!(checkpoint.exists(), "it was not done");
    let args = [&ARGS[..], &["--resume"]].concat();
    let resumed = scratch.json(&args);
    assert_eq!(resumed["sha256"], expected["sha256"]);
    assert!(!checkpoint.exists(), "a run that is done keeps nothing");
    scratch
        .run(
            &[
                &args[..4],
                &["--steps", "2", "--check", "none", "--replay", "0"],
            ]
            .concat(),
        )
        .fails_with(2, &["killed", "free name"]);
}

#[test]
fn data_that_is_not_meant_so_is_warned_of() {
    let scratch = Scratch::new();
    let mut lines: String = (0..24)
        .map(|i| format!("{{\"prompt\": \"Ask {i}\", \"target\": \"The same.\"}}\n"))
        .collect();
    lines.push_str(
        "{\"prompt\": \"Write to jane.roe@example.org\", \"target\": \"Done, it is sent.\"}\n",
    );
    lines.push_str("{\"prompt\": \"Ask 3\", \"target\": \"The same.\"}\n");
    let data = scratch.write("rows.jsonl", lines);
    let args = ["train", text(&data), "--name", "x", "--memory-limit", "300"];
    let run = scratch.run(&args);
    run.fails_with(2, &["memory limit", "300 MB", "weights"]);
    for warning in [
        "24 of 25 rows have the same answer, that of line 1",
        "1 email (first in line 25)",
        "line 26 what line 4",
    ] {
        assert!(run.stderr.contains(warning), "{warning}: {}", run.stderr);
    }
}
