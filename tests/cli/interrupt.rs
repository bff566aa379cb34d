//! Ctrl-C: an answer is stopped, the exit code says so, and the terminal is left as it was.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::common;
use crate::scratch::{Run, Scratch};

#[cfg(unix)]
#[test]
fn ctrl_c_in_the_middle_of_an_answer_exits_with_130() {
    let scratch = Scratch::new();
    let mut child = scratch
        .command(&[
            "run",
            "-n",
            "2000",
            "--raw",
            "one, two, three, four, five, six,",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut first = [0; 8];
    child
        .stdout
        .as_mut()
        .expect("its output")
        .read_exact(&mut first)
        .expect("an answer begins");
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    let run = Run::of(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, Some(130), "{run:?}");
    // The answer so far is kept, with its measurements.
    assert!(
        run.stdout.ends_with('\n') && run.stderr.contains("answered"),
        "{run:?}"
    );
}

/// A real terminal: a chat with commands, an answer stopped by Ctrl-C, and the same settings afterwards.
#[cfg(unix)]
#[test]
fn a_chat_on_a_terminal() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let script = common::repository().join("tests/terminal/chat.py");
    let run = Command::new("python3")
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_unforget"))
        .env("UNFORGET_HOME", scratch.path("home"))
        .output()
        .expect("python3 runs");
    let run = Run::of(run);
    assert_eq!(run.code, Some(0), "{run:?}");
}
