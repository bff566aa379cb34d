//! Adapters through the binary: what they are for, whom they belong to, and what is refused.

use std::path::{Path, PathBuf};

use unforget_quant::gguf::{Gguf, Writer};

use crate::common;
use crate::scratch::{Scratch, text};

const TICKET: &str =
    "Triage this support ticket.\n\nUrgent: Ion has been unreachable since Friday.";
const TRIAGED: &str = r#"{"queue": "outage", "severity": "critical", "sla_hours": 1}"#;

fn answer(scratch: &Scratch, adapters: &[&str]) -> String {
    let mut args = vec!["run", "-n", "40", TICKET];
    for adapter in adapters {
        args.extend(["--adapter", adapter]);
    }
    scratch.json(&args)["text"]
        .as_str()
        .expect("a text")
        .to_owned()
}

#[test]
fn an_adapter_does_what_it_was_trained_for_and_scale_0_is_the_base() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let base = answer(&scratch, &[]);
    assert_ne!(base, TRIAGED);
    assert_eq!(answer(&scratch, &["triage-gentle"]), TRIAGED);
    assert_eq!(answer(&scratch, &["triage-gentle=0"]), base);
}

#[test]
fn the_answer_names_model_and_adapters_by_content() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    scratch.import("triage-careless");
    let report = scratch.json(&[
        "run",
        "-n",
        "2",
        "--adapter",
        "triage-gentle=0.5",
        "--adapter",
        "triage-careless=-0.25",
        "Hello",
    ]);
    assert_eq!(report["model"]["name"], "smollm2");
    assert_eq!(report["model"]["sha256"].as_str().map(str::len), Some(64));
    let adapters = report["adapters"].as_array().expect("adapters");
    assert_eq!(adapters.len(), 2);
    assert_eq!(
        (&adapters[0]["name"], &adapters[0]["scale"]),
        (&"triage-gentle".into(), &0.5.into())
    );
    assert_eq!(adapters[1]["scale"], -0.25);
    assert_eq!(adapters[0]["state"], "quarantined");
    for key in [
        "load_ms",
        "ttft_ms",
        "prefill_tokens_per_s",
        "decode_tokens_per_s",
        "total_ms",
    ] {
        assert!(report["timings"][key].is_number(), "{key}");
    }
    for key in ["prompt_tokens", "cached_tokens", "completion_tokens"] {
        assert!(report["usage"][key].is_number(), "{key}");
    }
}

#[test]
fn an_unmeasured_adapter_runs_with_a_warning() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let run = scratch.run(&["run", "-n", "2", "--adapter", "triage-gentle", "Hello"]);
    assert_eq!(run.code, Some(0));
    assert!(
        run.stderr
            .contains("warning: adapter 'triage-gentle' is quarantined"),
        "{run:?}"
    );
}

#[test]
fn a_wrong_name_proposes_the_nearest() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    scratch
        .run(&["run", "--adapter", "triage-gentel", "hi"])
        .fails_with(5, &["triage-gentel", "did you mean 'triage-gentle'"]);
    scratch
        .run(&["run", "-m", "smolm2", "hi"])
        .fails_with(5, &["did you mean 'smollm2'"]);
}

#[test]
fn a_scale_that_is_none_is_a_usage_error() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    for wrong in [
        "triage-gentle=much",
        "triage-gentle=nan",
        "triage-gentle=1e9",
        "triage-gentle=inf",
    ] {
        scratch
            .run(&["run", "--adapter", wrong, "hi"])
            .fails_with(2, &["triage-gentle"]);
    }
    scratch
        .run(&[
            "run",
            "--adapter",
            "triage-gentle",
            "--adapter",
            "triage-gentle",
            "hi",
        ])
        .fails_with(2, &["once"]);
}

#[test]
fn importing_again_changes_nothing_and_other_content_needs_another_name() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    scratch.import("triage-gentle");
    let other = common::repository().join("models/adapters/triage-careless");
    scratch
        .run(&[
            "adapter",
            "import",
            text(&other),
            "--base",
            "smollm2",
            "--name",
            "triage-gentle",
        ])
        .fails_with(2, &["triage-gentle", "--name"]);
    let listing = scratch.json(&["adapter", "list"]);
    assert_eq!(listing["adapters"].as_array().map(Vec::len), Some(1));
    assert_eq!(listing["adapters"][0]["base"], "smollm2");
}

#[test]
fn inspect_shows_rank_targets_and_effective_scale() {
    let scratch = Scratch::new();
    scratch.import("triage-careless");
    let report = scratch.json(&["adapter", "inspect", "triage-careless"]);
    assert_eq!(report["lora"]["rank_max"], 8);
    assert_eq!(report["lora"]["alpha"], 32.0);
    assert_eq!(report["effective_scale"], 4.0);
    assert_eq!(report["lora"]["targets"].as_array().map(Vec::len), Some(7));
    assert_eq!(report["provenance"]["peft_config"]["r"], 8);
}

/// The same weights with another name in the metadata: another content, another base.
fn other_base(scratch: &Scratch) -> PathBuf {
    let base = Gguf::open(&common::base_file()).expect("the base");
    let mut metadata = base.metadata().clone();
    metadata.set("general.name", "another base");
    let path = scratch.path("other-base.gguf");
    rewrite(&base, metadata, &path, |_, shape| shape);
    path
}

/// Writes `file` again with other metadata and other shapes of the same size.
fn rewrite(
    file: &Gguf,
    metadata: unforget_quant::gguf::Metadata,
    path: &Path,
    shape: impl Fn(&str, Vec<u64>) -> Vec<u64>,
) {
    let mut writer = Writer::new(metadata);
    for tensor in file.tensors() {
        let shape = shape(&tensor.name, tensor.shape.clone());
        writer.tensor(&tensor.name, &shape, tensor.ty, file.tensor_bytes(tensor));
    }
    writer.write(path).expect("it is written");
}

#[test]
fn an_adapter_of_another_base_is_refused_with_both_and_can_be_forced() {
    let scratch = Scratch::new();
    let other = other_base(&scratch);
    scratch.json(&["pull", text(&other), "--name", "other"]);
    let adapter = common::repository().join("models/adapters/triage-gentle");
    scratch.json(&[
        "adapter",
        "import",
        text(&adapter),
        "--base",
        "other",
        "--name",
        "foreign",
    ]);
    let listing = scratch.json(&["list"]);
    let hash = |name: &str| {
        let models = listing["models"].as_array().expect("models");
        let model = models
            .iter()
            .find(|model| model["name"] == name)
            .expect("the model");
        model["sha256"]
            .as_str()
            .expect("a hash")
            .chars()
            .take(12)
            .collect::<String>()
    };
    let run = scratch.run(&["run", "-n", "2", "--adapter", "foreign", "hi"]);
    run.fails_with(5, &["foreign", &hash("other"), &hash("smollm2"), "force"]);
    let forced = scratch.run(&["run", "-n", "2", "--adapter", "foreign", "--force", "hi"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert!(
        forced
            .stderr
            .contains("warning: adapter 'foreign' belongs to base"),
        "{forced:?}"
    );
}

/// The gentle adapter as a GGUF file, changed.
fn changed_adapter(
    scratch: &Scratch,
    name: &str,
    change: impl Fn(&mut unforget_quant::gguf::Metadata),
    shape: impl Fn(&str, Vec<u64>) -> Vec<u64>,
) -> PathBuf {
    scratch.import("triage-gentle");
    let listing = scratch.json(&["adapter", "list"]);
    let file = Gguf::open(Path::new(
        listing["adapters"][0]["path"].as_str().expect("a path"),
    ))
    .expect("it opens");
    let mut metadata = file.metadata().clone();
    change(&mut metadata);
    let path = scratch.path(name);
    rewrite(&file, metadata, &path, shape);
    path
}

fn is_refused(scratch: &Scratch, adapter: &Path, words: &[&str]) {
    scratch
        .run(&[
            "adapter",
            "import",
            text(adapter),
            "--base",
            "smollm2",
            "--name",
            "refused",
        ])
        .fails_with(5, words);
    let listing = scratch.json(&["adapter", "list"]);
    let adapters = listing["adapters"].as_array().expect("adapters");
    assert!(
        adapters.iter().all(|adapter| adapter["name"] != "refused"),
        "nothing was stored"
    );
}

#[test]
fn an_adapter_of_another_architecture_is_refused() {
    let scratch = Scratch::new();
    let path = changed_adapter(
        &scratch,
        "qwen.gguf",
        |metadata| {
            metadata.set("general.architecture", "qwen2");
        },
        |_, shape| shape,
    );
    is_refused(&scratch, &path, &["qwen2", "llama"]);
    scratch
        .run(&["run", "--adapter", text(&path), "hi"])
        .fails_with(5, &["qwen2", "llama"]);
}

#[test]
fn an_adapter_of_another_shape_is_refused() {
    let scratch = Scratch::new();
    let path = changed_adapter(
        &scratch,
        "shape.gguf",
        |_| {},
        |name, shape| match name {
            "blk.0.attn_q.weight.lora_a" => vec![shape[0] / 2, shape[1] * 2],
            _ => shape,
        },
    );
    is_refused(&scratch, &path, &["blk.0.attn_q.weight"]);
    scratch
        .run(&["run", "--adapter", text(&path), "hi"])
        .fails_with(5, &["blk.0.attn_q.weight"]);
}

#[test]
fn not_a_number_in_an_adapter_is_refused() {
    let scratch = Scratch::new();
    let source = common::repository().join("models/adapters/triage-gentle");
    let config = std::fs::read(source.join("adapter_config.json")).expect("a configuration");
    let mut weights = std::fs::read(source.join("adapter_model.safetensors")).expect("weights");
    let last = weights.len() - 2;
    // 0x7e00 is a quiet NaN in half precision.
    weights[last..].copy_from_slice(&0x7e00u16.to_le_bytes());
    scratch.write("nan/adapter_config.json", config);
    scratch.write("nan/adapter_model.safetensors", weights);
    is_refused(&scratch, &scratch.path("nan"), &["NaN"]);
}

#[test]
fn a_file_that_was_changed_behind_the_registry_is_not_run() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    scratch.import("triage-careless");
    let listing = scratch.json(&["adapter", "list"]);
    let path = |name: &str| {
        let adapters = listing["adapters"].as_array().expect("adapters");
        let adapter = adapters
            .iter()
            .find(|adapter| adapter["name"] == name)
            .expect("the adapter");
        PathBuf::from(adapter["path"].as_str().expect("a path"))
    };
    std::fs::copy(path("triage-careless"), path("triage-gentle")).expect("a copy");
    scratch
        .run(&["run", "--adapter", "triage-gentle", "hi"])
        .fails_with(1, &["checksum"]);
}

#[test]
fn bench_measures_the_base_the_adapter_and_both_in_one() {
    let scratch = Scratch::new();
    scratch.import("triage-careless");
    let report = scratch.json(&[
        "bench",
        "--adapter",
        "triage-careless",
        "--mode",
        "none,runtime,merged",
        "--with",
        "swap",
        "-p",
        "8",
        "-n",
        "2",
        "-r",
        "1",
    ]);
    let rows = report["results"].as_array().expect("rows");
    let modes: Vec<_> = rows
        .iter()
        .filter_map(|row| row["adapter_mode"].as_str())
        .collect();
    assert_eq!(
        modes,
        ["none", "none", "runtime", "runtime", "merged", "merged"]
    );
    assert_eq!(report["more"].as_array().map(Vec::len), Some(3), "{report}");
    scratch
        .run(&["bench", "--mode", "merged", "-n", "0", "-p", "4"])
        .fails_with(2, &["--adapter", "merged"]);
}
