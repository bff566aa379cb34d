//! The examples of the crate, run as a person would.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

/// An example's program: cargo builds them before the tests, beside the tests' folder.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("this test's file");
    let built = test.parent().and_then(|deps| deps.parent());
    Command::new(built.expect("a target folder").join("examples").join(name))
}

fn said(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example is built");
    let mut stdin = child.stdin.take().expect("an input");
    stdin.write_all(input.as_bytes()).expect("it is read");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

fn adapter(folder: &std::path::Path, name: &str) -> PathBuf {
    let out = folder.join(format!("{name}.gguf"));
    let base = Gguf::open(&common::base_file()).expect("the base");
    let source = common::repository().join("models/adapters").join(name);
    lora::convert_peft(&source, &base, &out).expect("it converts");
    out
}

#[test]
fn chat_remembers() {
    let text = said(
        example("chat").arg(common::base_file()),
        "My name is Ada. Say hello.\nWhat is my name?\n",
    );
    // What the base makes of its memory is its own affair; that it has one shows in what was not computed again.
    let there: Vec<usize> = text
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.split_once(" of ")?.0.parse().ok())
        .collect();
    assert!(there.len() == 2 && there[0] == 0 && there[1] > 40, "{text}");
}

#[test]
fn adapters_come_and_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = said(
        example("adapters")
            .arg(common::base_file())
            .arg(adapter(folder.path(), "triage-gentle"))
            .arg("Triage this support ticket.\n\nUrgent: Ion has been unreachable since Friday."),
        "",
    );
    let parts: Vec<&str> = text.split("scale ").collect();
    let [_, base, _, full, again] = parts.as_slice() else {
        panic!("{text}");
    };
    let answer = |part: &str| {
        part.split_once(": ")
            .map(|(_, answer)| answer.trim().to_owned())
    };
    assert!(full.contains("severity"), "{text}");
    assert_eq!(answer(base), answer(again));
}

#[test]
fn documents_are_cited() {
    let text = said(
        example("documents")
            .args([common::base_file(), common::embedder_file()])
            .arg(common::repository().join("models/documents"))
            .arg("Who was named Super Bowl MVP?"),
        "",
    );
    assert!(
        text.contains("Miller") && text.contains("super-bowl-50.md, bytes"),
        "{text}"
    );
}

#[test]
fn the_guard_finds_careless_tuning() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = said(
        example("guard")
            .arg(common::base_file())
            .arg(adapter(folder.path(), "triage-careless")),
        "",
    );
    assert!(text.contains("verdict: fail"), "{text}");
}
