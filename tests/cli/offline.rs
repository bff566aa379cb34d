//! Without a network everything but `pull` goes on working.

use std::process::Command;

use crate::common;
use crate::scratch::{Run, Scratch, text};

/// A command in a network namespace without interfaces; `None` where the system does not allow one.
fn without_network(command: &Command) -> Option<Command> {
    for flags in [["-n"].as_slice(), ["-r", "-n"].as_slice()] {
        let allowed = Command::new("unshare").args(flags).arg("true").output();
        if allowed.is_ok_and(|run| run.status.success()) {
            let mut wrapped = Command::new("unshare");
            wrapped
                .args(flags)
                .arg(command.get_program())
                .args(command.get_args());
            for (key, value) in command.get_envs() {
                if let Some(value) = value {
                    wrapped.env(key, value);
                }
            }
            return Some(wrapped);
        }
    }
    None
}

/// Where no namespace is to be had: every way out that the program could take leads nowhere, and there is no pip.
fn cut_off(command: Command) -> Command {
    let mut command = command;
    for proxy in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        command.env(proxy, "http://127.0.0.1:9");
    }
    command.env("PATH", "");
    command
}

fn run(scratch: &Scratch, args: &[&str]) -> Run {
    let command = scratch.command(args);
    let mut command = without_network(&command).unwrap_or_else(|| cut_off(command));
    Run::of(command.output().expect("the binary runs"))
}

#[test]
fn everything_but_pull_works_without_a_network() {
    let scratch = Scratch::new();
    let adapter = common::repository().join("models/adapters/triage-gentle");
    let documents = common::repository().join("models/documents");
    let commands: [&[&str]; 9] = [
        &["list"],
        &["inspect", "smollm2"],
        &[
            "adapter",
            "import",
            text(&adapter),
            "--base",
            "smollm2",
            "--name",
            "triage",
        ],
        &["adapter", "inspect", "triage"],
        &["run", "-n", "4", "--adapter", "triage", "Hello"],
        &["docs", "add", text(&documents)],
        &["docs", "search", "quarterback"],
        &["ask", "-n", "16", "Who was named the Super Bowl MVP?"],
        &["bench", "-p", "8", "-n", "2", "-r", "1"],
    ];
    for args in commands {
        let run = run(&scratch, args);
        assert_eq!(run.code, Some(0), "{args:?}: {run:?}");
    }
    // Installed already: nothing to fetch.
    assert_eq!(run(&scratch, &["pull", "smollm2"]).code, Some(0));
    let fresh = Scratch::empty();
    run(&fresh, &["pull", "smollm2"]).fails_with(1, &["cannot fetch"]);
}
