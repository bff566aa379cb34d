//! `unforget quantize` and `unforget adapter merge` as a person uses them.

use crate::scratch::{Scratch, text};

#[test]
fn merging_by_name_makes_a_model_and_refuses_to_replace_one() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let out = scratch.path("merged.gguf");
    let merge = ["adapter", "merge", "triage-gentle=0.5", "-o", text(&out)];
    let report = scratch.json(&merge);
    assert_eq!(report["n_merged"], 210);
    assert_eq!(report["bytes_in"], 98_362_432);
    scratch
        .run(&merge)
        .fails_with(2, &["merged.gguf", "--force"]);
    let file = scratch.json(&["inspect", text(&out)]);
    assert_eq!(file["metadata"]["unforget.merge.method"], "linear");
    scratch
        .run(&[
            "adapter",
            "merge",
            "triage-gentle=inf",
            "-o",
            text(&scratch.path("x.gguf")),
        ])
        .fails_with(5, &["scale is inf"]);
    assert!(!scratch.path("x.gguf").exists());
}

#[test]
fn quantizing_says_what_it_will_not_do() {
    let scratch = Scratch::new();
    let out = scratch.path("out.gguf");
    let quantize = |ty| scratch.run(&["quantize", "smollm2", text(&out), "--type", ty]);
    quantize("Q4_0").fails_with(2, &["--allow-requantize"]);
    quantize("Q9").fails_with(2, &["--type", "Q4_K_M"]);
    let broken = scratch.write("broken.gguf", b"GGUF\x03\0\0\0");
    scratch
        .run(&["quantize", text(&broken), text(&out), "--type", "F16"])
        .fails_with(1, &["broken.gguf", "truncated"]);
    assert!(!out.exists());
}
