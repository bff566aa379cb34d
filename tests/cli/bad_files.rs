//! Files that are not what they should be: a clear error, a proper exit code, no crash.

use std::path::PathBuf;

use unforget_quant::gguf::{Gguf, Metadata, Writer};
use unforget_quant::quantize::FileType;
use unforget_quant::synthetic::Shape;

use crate::common;
use crate::scratch::{Scratch, text};

#[test]
fn a_missing_file() {
    let scratch = Scratch::empty();
    for command in ["run", "inspect"] {
        let args: &[&str] = match command {
            "run" => &["run", "-m", "./nowhere.gguf", "hi"],
            _ => &["inspect", "./nowhere.gguf"],
        };
        scratch.run(args).fails_with(5, &["nowhere.gguf"]);
    }
    scratch
        .run(&["pull", "./nowhere.gguf"])
        .fails_with(5, &["nowhere.gguf"]);
    scratch
        .run(&["docs", "list"])
        .fails_with(5, &["unforget docs add"]);
}

#[test]
fn a_directory_an_empty_file_and_a_text_file() {
    let scratch = Scratch::empty();
    let folder = scratch.path("folder.gguf");
    std::fs::create_dir(&folder).expect("a folder");
    let files = [
        folder,
        scratch.write("empty.gguf", ""),
        scratch.write("text.gguf", "this is no model at all, it is a letter\n"),
    ];
    for file in &files {
        let run = scratch.run(&["run", "-m", text(file), "hi"]);
        assert!(matches!(run.code, Some(1 | 5)), "{run:?}");
        run.fails_with(run.code.unwrap_or(0), &[text(file)]);
        let run = scratch.run(&["inspect", text(file)]);
        run.fails_with(run.code.unwrap_or(0), &[text(file)]);
    }
}

#[test]
fn a_header_that_claims_2_to_the_60_tensors() {
    let scratch = Scratch::empty();
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((1u64 << 60).to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.resize(4096, 0);
    let file = scratch.write("huge.gguf", bytes);
    let run = scratch.run(&["run", "-m", text(&file), "hi"]);
    run.fails_with(run.code.unwrap_or(0), &["1152921504606846976"]);
    assert!(matches!(run.code, Some(1 | 5)), "{run:?}");
}

/// Every 4 KiB of an adapter, in process; and through the binary at some places of the base model.
#[test]
fn truncated_files() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let whole = adapter_file(&scratch);
    let cut = scratch.path("cut.gguf");
    std::fs::copy(&whole, &cut).expect("a copy");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&cut)
        .expect("it opens");
    let length = file.metadata().expect("a length").len();
    let mut at = (length - 1) / 4096 * 4096;
    while at > 0 {
        file.set_len(at).expect("it is cut");
        assert!(
            Gguf::open(&cut).is_err(),
            "{at} of {length} bytes were accepted"
        );
        at -= 4096;
    }
    let base = common::base_file();
    let length = std::fs::metadata(&base).expect("a length").len();
    let cut = scratch.path("base.gguf");
    std::fs::copy(&base, &cut).expect("a copy");
    for share in [99, 50, 1] {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&cut)
            .expect("it opens");
        file.set_len(length / 100 * share).expect("it is cut");
        scratch
            .run(&["run", "-m", text(&cut), "hi"])
            .fails_with(1, &["base.gguf", "missing"]);
    }
}

fn adapter_file(scratch: &Scratch) -> PathBuf {
    let listing = scratch.json(&["adapter", "list"]);
    PathBuf::from(listing["adapters"][0]["path"].as_str().expect("a path"))
}

#[test]
fn an_architecture_that_nobody_knows() {
    let scratch = Scratch::empty();
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "frobnicator");
    let path = scratch.path("strange.gguf");
    Writer::new(metadata).write(&path).expect("it is written");
    let run = scratch.run(&["run", "-m", text(&path), "hi"]);
    run.fails_with(run.code.unwrap_or(0), &["strange.gguf", "frobnicator"]);
}

#[test]
fn an_embedder_does_not_chat_and_an_adapter_is_no_model() {
    let scratch = Scratch::new();
    scratch
        .run(&["run", "-m", "minilm", "hi"])
        .fails_with(5, &["minilm", "bert", "generate text"]);
    scratch.import("triage-gentle");
    let adapter = adapter_file(&scratch);
    scratch
        .run(&["run", "-m", text(&adapter), "hi"])
        .fails_with(1, &["adapter", "--adapter"]);
}

#[test]
fn a_device_that_is_not_there() {
    let scratch = Scratch::new();
    let devices = scratch.json(&["doctor"]);
    let has_gpu = devices["devices"]
        .as_array()
        .is_some_and(|all| all.iter().any(|d| d["gpu"] == true));
    if !has_gpu {
        scratch
            .run(&["run", "--ngl", "all", "hi"])
            .fails_with(5, &["--features cuda"]);
    }
    scratch.run(&["run", "--ngl", "lots", "hi"]);
}

#[test]
fn a_damaged_registry_says_so() {
    let scratch = Scratch::new();
    scratch.write(
        "home/registry.db",
        "not a database, and long enough to be looked at as one".repeat(100),
    );
    scratch.run(&["list"]).fails_with(1, &["registry.db"]);
}

/// llama.cpp aborts the process when a token of such a file is looked up.
#[test]
fn a_model_without_a_vocabulary_takes_no_text() {
    let scratch = Scratch::new();
    let path = scratch.path("no-words.gguf");
    let shape = Shape::of("llama-tiny").expect("a shape");
    shape
        .write(FileType::Q8_0, &path, &|_| true)
        .expect("a file");
    scratch
        .run(&["run", "--raw", "-m", text(&path), "Hi"])
        .fails_with(1, &["no vocabulary"]);
}
