//! What scripts rely on: one JSON object, quiet stdout, formats, closed pipes.

use std::process::Stdio;

use crate::scratch::{Run, Scratch};

#[test]
fn help_and_version() {
    let scratch = Scratch::empty();
    for args in [
        ["--help"].as_slice(),
        &["run", "--help"],
        &["docs", "add", "--help"],
        &["--version"],
    ] {
        let run = scratch.run(args);
        assert_eq!(run.code, Some(0), "{args:?}");
        assert!(run.stdout.contains("unforget"), "{args:?}");
    }
}

#[test]
fn an_empty_home_lists_nothing_and_says_how_to_begin() {
    let scratch = Scratch::empty();
    let run = scratch.run(&["list"]);
    assert!(run.stdout.contains("unforget pull smollm2"), "{run:?}");
    let listing = scratch.json(&["list"]);
    assert_eq!(listing["models"].as_array().map(Vec::len), Some(0));
}

#[test]
fn inspect_tells_what_is_mapped_and_what_is_resident() {
    let scratch = Scratch::new();
    let report = scratch.json(&["inspect", "smollm2"]);
    assert_eq!(report["architecture"], "llama");
    assert_eq!(report["n_tensors"], 272);
    assert_eq!(report["memory"]["mapped_bytes"], 98_362_432);
    assert!(
        report["bits_per_weight"]
            .as_f64()
            .is_some_and(|bits| (4.0..8.0).contains(&bits))
    );
    assert_eq!(report["metadata"]["llama.block_count"], 30);
}

#[test]
fn bench_prints_llama_bench_s_fields() {
    let scratch = Scratch::new();
    let run = scratch.run(&["bench", "-p", "16", "-n", "4", "-r", "2", "-o", "json"]);
    let rows: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(2), "{run:?}");
    assert_eq!(
        (&rows[0]["n_prompt"], &rows[0]["n_gen"]),
        (&16.into(), &0.into())
    );
    assert_eq!(
        (&rows[1]["n_prompt"], &rows[1]["n_gen"]),
        (&0.into(), &4.into())
    );
    for key in [
        "model_filename",
        "model_size",
        "model_n_params",
        "n_threads",
        "avg_ns",
        "avg_ts",
        "stddev_ts",
    ] {
        assert!(!rows[0][key].is_null(), "{key}");
    }
    assert_eq!(rows[0]["samples_ts"].as_array().map(Vec::len), Some(2));
    let table = scratch.run(&["bench", "-p", "0", "-n", "4", "-r", "1"]);
    assert!(
        table.stdout.contains("| tg4 |") && !table.stdout.contains("| pp"),
        "{table:?}"
    );
    assert!(table.stdout.contains("| weights packed |"), "{table:?}");
    let csv = scratch.run(&["bench", "-p", "8", "-n", "0", "-r", "1", "-o", "csv"]);
    assert_eq!(csv.stdout.lines().count(), 2, "{csv:?}");
}

#[test]
fn bench_measures_random_weights_and_leaves_no_file() {
    let scratch = Scratch::empty();
    let report = scratch.json(&[
        "bench",
        "--synthetic",
        "llama-tiny:Q4_K_M",
        "-p",
        "16",
        "-n",
        "4",
        "-r",
        "1",
        "--with",
        "load,prefix",
    ]);
    let row = &report["results"][0];
    assert_eq!(row["model_type"], "llama-tiny-Q4_K_M");
    assert_eq!(row["cpu_mask"], "0x0", "llama-bench's fields: {row}");
    let measured = |at: usize| report["more"][at]["ms"]["p50"].as_f64();
    assert!(
        (0..3).all(|at| measured(at).is_some_and(|ms| ms > 0.0)),
        "{report}"
    );
    let left = walk(&scratch.path("home"));
    assert!(!left.iter().any(|name| name.contains("gguf")), "{left:?}");
    scratch
        .run(&["bench", "--synthetic", "llama-9b:Q4_0"])
        .fails_with(2, &["llama-9b", "llama-7b"]);
    scratch
        .run(&["bench", "--synthetic", "llama-tiny:Q4_0", "--with", "ask"])
        .fails_with(2, &["--docs"]);
}

#[test]
fn bench_draws_a_page_that_loads_nothing() {
    let scratch = Scratch::empty();
    let args = [
        "bench",
        "--synthetic",
        "llama-tiny:F16",
        "-p",
        "8",
        "-n",
        "2",
        "-r",
        "2",
        "-o",
        "html",
    ];
    let page = scratch.run(&args).stdout;
    assert!(
        page.starts_with("<!doctype html>") && page.contains("<svg"),
        "{page}"
    );
    assert!(
        page.contains("default-src 'none'") && page.contains("pp8"),
        "{page}"
    );
    for outside in ["http://", "https://", "<script", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        names.push(entry.file_name().to_string_lossy().into_owned());
        names.extend(walk(&entry.path()));
    }
    names
}

#[test]
fn doctor_finds_a_fetched_home_healthy() {
    let report = Scratch::new().json(&["doctor"]);
    assert_eq!(report["healthy"], true, "{report}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let scratch = Scratch::new();
    let mut child = scratch
        .command(&["run", "-n", "60", "Count from one to fifty."])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let run = Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!run.stderr.contains("panicked"), "{run:?}");
}
