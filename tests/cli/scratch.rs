//! A data folder for one test: the models of the test home, and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::common;

/// A data folder that goes away with the test.
pub struct Scratch {
    folder: TempDir,
}

/// What a run of the binary came to.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Scratch {
    /// Empty but for the registry of the fetched models, which stay where they are.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = folder.path().join("home");
        std::fs::create_dir(&home).expect("a home");
        let registry = common::home().join("registry.db");
        assert!(
            registry.is_file(),
            "no models are installed: run `make test`, which fetches them"
        );
        std::fs::copy(registry, home.join("registry.db")).expect("the registry is copied");
        Self { folder }
    }

    /// Nothing installed at all.
    pub fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a folder");
        }
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// The binary with this data folder and no input.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unforget"));
        command
            .args(args)
            .env("UNFORGET_HOME", self.path("home"))
            .env_remove("UNFORGET_MODEL")
            .current_dir(self.folder.path())
            .stdin(std::process::Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().expect("the binary runs"))
    }

    /// Runs, expects success, and reads the one JSON object.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        let run = self.run(&args);
        assert_eq!(run.code, Some(0), "{args:?}: {run:?}");
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
    }

    /// Imports one of the project's adapters under its own name.
    pub fn import(&self, name: &str) {
        let folder = common::repository().join("models/adapters").join(name);
        let run = self.run(&[
            "adapter",
            "import",
            text(&folder),
            "--base",
            "smollm2",
            "--name",
            name,
        ]);
        assert_eq!(run.code, Some(0), "{run:?}");
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// A clear error: this exit code, these words, one line, and no trace of a crash.
    #[track_caller]
    pub fn fails_with(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "an error leaves stdout alone: {self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "'{word}' is missing: {self:?}");
        }
        assert!(
            self.stderr.lines().any(|line| line.starts_with("error: ")),
            "{self:?}"
        );
        for crash in ["panicked", "backtrace", "GGML_ASSERT", "Aborted"] {
            assert!(!self.stderr.contains(crash), "{self:?}");
        }
    }
}

/// A path of a test is always UTF-8.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
