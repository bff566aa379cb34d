//! An adapter's life after import: looked at, set apart, retired, removed.

use std::path::PathBuf;

use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Writer};

use crate::common;
use crate::scratch::{Scratch, text};

fn path_of(scratch: &Scratch, name: &str) -> PathBuf {
    let listing = scratch.json(&["adapter", "list"]);
    let adapters = listing["adapters"].as_array().expect("adapters");
    let adapter = adapters.iter().find(|adapter| adapter["name"] == name);
    let path = adapter.expect("the adapter")["path"].as_str();
    PathBuf::from(path.expect("a path"))
}

#[test]
fn inspect_tells_how_much_each_layer_is_changed() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    scratch.import("triage-careless");
    let change = |name: &str| -> Vec<f64> {
        let report = scratch.json(&["adapter", "inspect", name]);
        assert_eq!(
            report["stats"]["weights"].as_array().map(Vec::len),
            Some(210)
        );
        let layers = report["stats"]["layers"].as_array().expect("layers");
        for layer in layers {
            let rank = layer["effective_rank"].as_f64().expect("a rank");
            assert!((1.0..=8.0).contains(&rank), "{layer}");
        }
        layers
            .iter()
            .map(|layer| layer["relative"].as_f64().expect("a share"))
            .collect()
    };
    let (gentle, careless) = (change("triage-gentle"), change("triage-careless"));
    assert_eq!(gentle.len(), 30);
    for (gentle, careless) in gentle.iter().zip(&careless) {
        assert!(gentle * 4.0 < *careless, "{gentle} {careless}");
    }
    let shown = scratch.run(&["adapter", "inspect", "triage-careless"]);
    assert!(
        shown.stdout.contains("eff. rank") && shown.stdout.contains("stands out"),
        "{shown:?}"
    );
}

/// One layer's delta twenty times as large as its neighbours'.
#[test]
fn a_suspicious_adapter_is_set_apart_with_the_reason() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let file = Gguf::open(&path_of(&scratch, "triage-gentle")).expect("it opens");
    let mut writer = Writer::new(file.metadata().clone());
    for tensor in file.tensors() {
        let mut values = file.tensor_values(tensor).expect("values");
        if tensor.name.starts_with("blk.7.") && tensor.name.ends_with("lora_b") {
            values.iter_mut().for_each(|value| *value *= 20.0);
        }
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        writer.tensor(&tensor.name, &tensor.shape, GgmlType::F32, bytes);
    }
    let path = scratch.path("loud.gguf");
    writer.write(&path).expect("it is written");
    scratch.json(&[
        "adapter",
        "import",
        text(&path),
        "--base",
        "smollm2",
        "--name",
        "loud",
    ]);
    for command in [
        ["adapter", "list"].as_slice(),
        &["adapter", "state", "loud"],
        &["adapter", "inspect", "loud"],
    ] {
        let shown = scratch.run(command);
        assert!(shown.stdout.contains("layer 7 stands out"), "{shown:?}");
    }
    assert!(
        !scratch
            .run(&["adapter", "state", "triage-gentle"])
            .stdout
            .contains("stands out")
    );
}

#[test]
fn a_file_that_is_not_the_imported_one_is_set_apart_when_it_is_looked_at() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let path = path_of(&scratch, "triage-gentle");
    let mut bytes = std::fs::read(&path).expect("the file");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).expect("it is written");
    scratch
        .run(&["adapter", "inspect", "triage-gentle"])
        .fails_with(1, &["checksum"]);
    let listing = scratch.json(&["adapter", "list"]);
    assert_eq!(listing["adapters"][0]["state"], "quarantined");
    let reason = listing["adapters"][0]["provenance"]["quarantine"][0].as_str();
    assert!(reason.expect("a reason").contains("checksum"), "{listing}");
}

#[test]
fn a_retired_adapter_is_not_run_and_certified_is_not_given_by_hand() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let state = scratch.json(&["adapter", "state", "triage-gentle", "retired"]);
    assert_eq!(state["state"], "retired");
    scratch
        .run(&["run", "-n", "1", "--adapter", "triage-gentle", "hi"])
        .fails_with(5, &["retired", "--force"]);
    for _ in 0..2 {
        scratch
            .run(&["adapter", "state", "triage-gentle", "certified"])
            .fails_with(2, &["unforget check triage-gentle"]);
        scratch.json(&["adapter", "state", "triage-gentle", "quarantined"]);
    }
    let unknown = scratch.run(&["adapter", "state", "triage-gentle", "splendid"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(
        unknown
            .stderr
            .contains("quarantined, certified, failed or retired"),
        "{unknown:?}"
    );
}

#[test]
fn a_model_is_removed_after_its_adapters() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let path = path_of(&scratch, "triage-gentle");
    scratch
        .run(&["remove", "smollm2"])
        .fails_with(1, &["triage-gentle", "adapter remove"]);
    scratch
        .run(&["adapter", "remove", "triage-gentel"])
        .fails_with(5, &["triage-gentle"]);
    let removed = scratch.json(&["adapter", "remove", "triage-gentle"]);
    assert_eq!(removed["file"].as_str(), path.to_str());
    assert!(!path.exists());
    // The models of the tests lie outside of this data folder: only the row goes.
    assert!(scratch.json(&["remove", "smollm2"])["file"].is_null());
    assert!(common::base_file().is_file());
    scratch
        .run(&["remove", "smollm2"])
        .fails_with(5, &["unforget pull smollm2"]);
}

#[test]
fn a_layer_profile_is_part_of_what_is_asked_for() {
    let scratch = Scratch::new();
    scratch.import("triage-careless");
    let profile = |adapter: &str| {
        let report = scratch.json(&["run", "-n", "1", "--adapter", adapter, "hi"]);
        report["adapters"][0]["profile"]
            .as_str()
            .expect("a profile")
            .to_owned()
    };
    assert_eq!(profile("triage-careless"), "flat");
    assert_eq!(profile("triage-careless=0.5"), "flat");
    assert_eq!(profile("triage-careless=0.5:lines"), "lines:0");
    assert_eq!(profile("triage-careless=-0.5:lines:0.25"), "lines:0.25");
    for wrong in [
        "triage-careless=1:steps",
        "triage-careless=1:lines:2",
        "triage-careless=:lines",
    ] {
        scratch
            .run(&["run", "--adapter", wrong, "hi"])
            .fails_with(2, &["lines"]);
    }
}
