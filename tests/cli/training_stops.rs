//! How `unforget train` ends where the budget is strict: on a tiny random model, which the guard measures in seconds.

use std::path::Path;

use serde_json::Value;

use crate::scratch::{Run, Scratch, text};
use crate::tiny::{Arch, Model};

/// The only thing that may be lost: so much divergence on prose.
fn budget(kl: f64) -> String {
    format!(
        "version = 1\nconfidence = 0.95\n\n[[rule]]\ngroup = \"prose\"\nmetric = \"kl\"\ndirection = \"retain\"\n\
         budget = {kl}\nmin_items = 2\naction = \"block\"\nreason = \"a test\"\n"
    )
}

/// A data folder with the tiny model in it, and rows that it learns in a moment.
pub fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let model = scratch.path("tiny.gguf");
    Model::random(Arch::Llama, true, 11).write_chatting(&model);
    let run = scratch.run(&["pull", text(&model), "--name", "tiny"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let row = |i: usize| {
        format!("{{\"prompt\": \"Please say the number {i} aloud.\", \"target\": \"yes\"}}\n")
    };
    scratch.write("rows.jsonl", (0..40).map(row).collect::<String>());
    scratch
}

fn train(scratch: &Scratch, kl: f64, name: &str, more: &[&str]) -> Run {
    let budget = scratch.write("budget.toml", budget(kl));
    let args = [
        "train",
        "rows.jsonl",
        "--base",
        "tiny",
        "--name",
        name,
        "--replay",
        "0",
        "--lr",
        "1e-2",
        "--warmup",
        "0",
        "--steps",
        "40",
        "--look-every",
        "20",
        "--threads=1",
        "--json",
        "--budget",
        text(&budget),
    ];
    scratch.run(&[&args[..], more].concat())
}

pub fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// What stands beside PEFT's files.
pub fn made(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("unforget.json")).expect("it is written");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn what_is_outside_of_the_budget_at_every_scale_is_said_and_refused() {
    let scratch = scratch();
    for (name, check) in [("unchecked", "none"), ("checked", "smoke")] {
        let run = train(&scratch, 1e-4, name, &["--check", check]);
        assert_eq!(run.code, Some(3), "{run:?}");
        assert!(
            run.stderr.contains("within the budget, at no strength"),
            "{run:?}"
        );
        let said = json(&run);
        assert_eq!(said["scale"], 1.0, "{said}");
        match check {
            "none" => assert!(said["check"].is_null(), "{said}"),
            _ => {
                assert_eq!(said["check"]["verdict"], "fail", "{said}");
                // None of the held-back rows was learnt from.
                assert_eq!(said["check"]["overlap"]["ids"], serde_json::json!([]));
            }
        }
        let made = made(&scratch.path(&format!("{name}-peft")));
        assert_eq!(made["check"]["verdict"], said["check"]["verdict"]);
    }
    // Refused from now on, unless it is forced.
    let args = ["run", "--model", "tiny", "--adapter", "checked", "Say 3."];
    scratch.run(&args).fails_with(3, &["checked"]);
}

/// The interval of the divergence on prose at a scale.
fn divergence(scratch: &Scratch, adapter: &str, scale: f64) -> (f64, f64) {
    let adapter = format!("{adapter}={scale}");
    let args = ["check", &adapter, "--model", "tiny", "--tier", "smoke"];
    let budget = scratch.path("budget.toml");
    let run = scratch.run(&[&args[..], &["--budget", text(&budget), "--json"]].concat());
    let said = json(&run);
    let groups = said["groups"].as_array().unwrap().iter();
    let mut prose = groups.filter(|group| group["name"] == "prose" && group["metric"] == "kl");
    let prose = prose.next().unwrap();
    let bound = |name: &str| prose[name].as_f64().unwrap();
    (bound("ci_low"), bound("ci_high"))
}

#[test]
fn a_lower_scale_is_kept_where_only_that_is_within_the_budget() {
    let scratch = scratch();
    let outside = train(&scratch, 1e-4, "outside", &["--check", "none"]);
    assert_eq!(outside.code, Some(3), "{outside:?}");
    let (weak, strong) = (
        divergence(&scratch, "outside", 0.25),
        divergence(&scratch, "outside", 0.5),
    );
    assert!(weak.1 < strong.0, "{weak:?} {strong:?}");

    // The same run, by a budget between the two.
    let budget = (weak.1 * strong.0).sqrt();
    let run = train(&scratch, budget, "lowered", &["--check", "smoke"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let said = json(&run);
    assert_eq!(said["scale"], 0.25, "{said}");
    let words = "only at 0.25 of its strength is it within the budget";
    assert!(run.stderr.contains(words), "{run:?}");
    assert_eq!(said["check"]["verdict"], "pass", "{said}");
    assert_eq!(
        made(&scratch.path("lowered-peft"))["training"]["scale"],
        0.25
    );
    let config = std::fs::read_to_string(scratch.path("lowered-peft/adapter_config.json"));
    let config: Value = serde_json::from_str(&config.unwrap()).unwrap();
    assert_eq!(config["lora_alpha"], 4.0, "the adapter itself is weaker");
}
