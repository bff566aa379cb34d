//! `unforget quantize` and `unforget adapter merge` as a person uses them.

use crate::scratch::{Scratch, text};

#[test]
fn merging_by_name_makes_a_model_and_refuses_to_replace_one() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let out = scratch.path("merged.gguf");
    let merge = [
        "adapter",
        "merge",
        "triage-gentle=0.5",
        "-o",
        text(&out),
        "--verify-tokens",
        "256",
    ];
    let report = scratch.json(&merge);
    // The merged file stands for the adapter better than the base does, and little is lost by storing.
    let kl = |what: &str| report["check"][what]["kl_mean"].as_f64().expect("a mean");
    assert!((0.0..0.5).contains(&kl("merged")), "{report}");
    assert!((0.0..0.01).contains(&kl("requantization")), "{report}");
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

#[test]
fn requantizing_is_measured_and_said() {
    let scratch = Scratch::new();
    let out = scratch.path("out.gguf");
    let quantize = |ty, tokens| {
        let mut args = vec!["quantize", "smollm2", text(&out), "--type", ty, "--force"];
        args.extend(["--allow-requantize", "--measure-tokens", tokens]);
        scratch.json(&args)
    };
    let eight = quantize("Q8_0", "256");
    let kl = |report: &serde_json::Value| report["divergence"]["kl_mean"].as_f64();
    assert_eq!(eight["requantized"], true);
    let (eight, four) = (
        kl(&eight).expect("a mean"),
        kl(&quantize("Q4_0", "256")).expect("a mean"),
    );
    assert!(eight < 0.05 && four > 2.0 * eight, "{eight} {four}");
    assert_eq!(kl(&quantize("F16", "0")), None);
}

#[test]
fn a_base_is_never_written_over_and_one_that_changed_is_not_used() {
    let scratch = Scratch::new();
    let base = scratch.path("own.gguf");
    std::fs::copy(crate::common::base_file(), &base).expect("a copy");
    scratch.json(&["pull", text(&base), "--name", "own"]);
    let adapter = crate::common::repository().join("models/adapters/triage-gentle");
    let import = [
        "adapter",
        "import",
        text(&adapter),
        "--base",
        "own",
        "--name",
        "gentle",
    ];
    scratch.json(&import);
    scratch
        .run(&[
            "adapter",
            "merge",
            "gentle",
            "-o",
            text(&base),
            "--base",
            "own",
            "--force",
        ])
        .fails_with(1, &["is the input"]);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&base)
        .expect("it opens");
    std::io::Write::write_all(&mut file, &[0]).expect("it is changed");
    drop(file);
    for command in [
        &["run", "-m", "own", "--adapter", "gentle", "-n", "2", "hi"][..],
        &["adapter", "inspect", "gentle"],
        &["adapter", "merge", "gentle", "-o", "merged.gguf"],
        &["quantize", "own", "small.gguf", "--type", "Q8_0"],
        &["tune", "own"],
    ] {
        scratch.run(command).fails_with(
            1,
            &["own", "changed after it was installed", "adapters and"],
        );
    }
}

/// A small disk in a mount namespace of the test's own.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_leaves_no_half_file() {
    use std::process::Command;

    use crate::scratch::Run;

    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let allowed = Command::new("unshare")
        .args(["-rm", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed {
        #[expect(clippy::print_stdout, reason = "a test that cannot run here says so")]
        {
            println!("SKIPPED: this machine gives no mount namespace (unshare -rm)");
        }
        return;
    }
    let disk = scratch.path("disk");
    std::fs::create_dir(&disk).expect("a folder");
    for arguments in [
        "quantize smollm2 \"$DISK/out.gguf\" --type Q8_0 --allow-requantize",
        "adapter merge triage-gentle -o \"$DISK/out.gguf\"",
    ] {
        let script = format!(
            "mount -t tmpfs -o size=8m tmpfs \"$DISK\" && \"$0\" {arguments}; code=$?; ls -A \"$DISK\"; exit $code"
        );
        let output = Command::new("unshare")
            .args(["-rm", "sh", "-c", &script])
            .arg(env!("CARGO_BIN_EXE_unforget"))
            .env("DISK", &disk)
            .env("UNFORGET_HOME", scratch.path("home"))
            .output()
            .expect("unshare runs");
        // What `ls` would show would stand on stdout.
        Run::of(output).fails_with(1, &["out.gguf", "disk"]);
    }
}
