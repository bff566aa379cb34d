//! Running a model in the layout that `unforget tune` found: what that means for adapters and certificates.

use std::path::PathBuf;

use serde_json::json;
use unforget::engine::CancelToken;
use unforget::engine::Strength;
use unforget::registry::{Home, Registry, TunedRecord, store_tuned};
use unforget::rewrite::{QuantizeRequest, RewriteOptions, quantize_file};
use unforget::tune::machine;

use crate::common;
use crate::scratch::{Scratch, text};

/// Stores a copy of the base in Q8_0 as what a search would have chosen here.
fn tune(scratch: &Scratch) -> PathBuf {
    let home = Home::resolve(Some(scratch.path("home"))).expect("a home");
    let registry = Registry::open(&home).expect("a registry");
    let base = registry.model("smollm2").expect("the base");
    home.create(&home.tuned()).expect("a folder");
    let path = home.tuned().join("copy.gguf");
    let cancel = CancelToken::default();
    quantize_file(
        &base.path,
        &path,
        &QuantizeRequest {
            file_type: "Q8_0",
            pure: true,
            allow_requantize: true,
            importance: None,
        },
        RewriteOptions {
            n_threads: 0,
            cancel: &cancel,
            progress: None,
        },
    )
    .expect("a copy");
    let record = TunedRecord {
        base_sha256: base.sha256,
        machine: machine().expect("a machine"),
        sha256: registry.sha256_of(&path).expect("a hash"),
        path: path.clone(),
        layout: "Q8_0".to_owned(),
        settings: json!({ "mapped": false, "n_threads": 1, "n_threads_batch": null, "n_ubatch": null }),
        report: json!({}),
        created_at: 0,
    };
    store_tuned(&registry, &home, &record).expect("it is stored");
    path
}

#[test]
fn a_tuned_copy_answers_under_its_own_hash_and_adapters_still_apply() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let shipped = scratch.json(&["run", "-n", "2", "Hello"]);
    assert!(shipped["model"]["tuned_from"].is_null());
    let copy = tune(&scratch);
    let inspected = &scratch.json(&["inspect", "smollm2"])["tuned"];
    assert_eq!(inspected[0]["layout"], "Q8_0");
    assert_eq!(inspected[0]["path"], text(&copy));
    assert_eq!(inspected[0]["used_here"], true);
    let tuned = scratch.json(&["run", "-n", "2", "--adapter", "triage-gentle", "Hello"]);
    assert_eq!(tuned["model"]["tuned_from"], shipped["model"]["sha256"]);
    assert_ne!(tuned["model"]["sha256"], shipped["model"]["sha256"]);
    let row = &scratch.json(&["bench", "-p", "4", "-n", "0", "-r", "1"])["results"][0];
    assert_eq!(row["model_filename"], text(&copy));
    assert_eq!(row["n_threads"], 1);
    let row = &scratch.json(&["bench", "-p", "4", "-n", "0", "-r", "1", "--untuned"])["results"][0];
    assert_ne!(row["model_filename"], text(&copy));
    // What was measured on the file as shipped is not claimed for the copy.
    let home = Home::resolve(Some(scratch.path("home"))).expect("a home");
    let registry = Registry::open(&home).expect("a registry");
    registry
        .certify("triage-gentle", Strength::flat(1.0))
        .expect("certified");
    let warning = "is certified on the file as shipped";
    let run = scratch.run(&["run", "-n", "2", "--adapter", "triage-gentle", "Hello"]);
    assert!(
        run.code == Some(0) && run.stderr.contains(warning),
        "{run:?}"
    );
    let run = scratch.run(&[
        "run",
        "-n",
        "2",
        "--untuned",
        "--adapter",
        "triage-gentle",
        "Hello",
    ]);
    assert!(
        run.code == Some(0) && !run.stderr.contains(warning),
        "{run:?}"
    );
}

#[test]
fn a_copy_that_was_changed_is_not_run_and_forgetting_removes_it() {
    let scratch = Scratch::new();
    let copy = tune(&scratch);
    let mut bytes = std::fs::read(&copy).expect("the copy");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&copy, bytes).expect("it is changed");
    let run = scratch.run(&["run", "-n", "2", "Hello"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("was changed"), "{run:?}");
    let forgotten = scratch.json(&["tune", "smollm2", "--forget"]);
    assert_eq!(forgotten["deleted"][0], text(&copy));
    assert!(!copy.exists());
    let run = scratch.run(&["run", "-n", "2", "Hello"]);
    assert!(!run.stderr.contains("warning"), "{run:?}");
    scratch
        .run(&["check", "x.gguf", "--tuned", "--tier", "smoke"])
        .fails_with(5, &["tuned copy", "unforget tune"]);
}

#[test]
fn tuning_says_what_it_will_not_do() {
    let scratch = Scratch::new();
    scratch
        .run(&["tune", "smollm2", "--kl-budget", "nan"])
        .fails_with(2, &["KL budget", "NaN"]);
    scratch
        .run(&["tune", "smolm2"])
        .fails_with(5, &["did you mean 'smollm2'"]);
    scratch
        .run(&["tune", text(&common::embedder_file()), "-r", "1"])
        .fails_with(5, &["bert", "generate text"]);
}
