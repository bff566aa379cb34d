//! A data folder that lasts for a test, requests with their outcome, and tests that run in a process of their own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use unforget::registry::{Catalog, Home, Installed, PullProgress, PullRequest, Registry, pull};
use unforget::{Error, Result};

const CHILD: &str = "UNFORGET_TEST_CHILD";

pub struct Place {
    pub home: Home,
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::resolve(Some(folder.path().join("home"))).unwrap();
        Self { home, folder }
    }

    pub fn pull(&self, request: &str) -> Result<Installed> {
        self.pull_request(&request.parse()?)
    }

    pub fn pull_request(&self, request: &PullRequest) -> Result<Installed> {
        pull_watched(&self.home, request, &mut |_, _| {})
    }

    /// Pulls, and cancels once `enough` says so.
    pub fn pull_until(
        &self,
        request: &PullRequest,
        enough: impl Fn(PullProgress) -> bool,
    ) -> Result<Installed> {
        pull_watched(&self.home, request, &mut |progress, cancel| {
            if enough(progress) {
                cancel.store(true, Ordering::Relaxed);
            }
        })
    }

    pub fn registry(&self) -> Registry {
        Registry::open(&self.home).unwrap()
    }

    /// Every file under the data folder but the database and the locks.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for folder in [
            self.home.models(),
            self.home.cache().join("wheels"),
            self.home.cache().join("fetched"),
        ] {
            collect(&folder, &mut files);
        }
        files.sort();
        files
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            folder if folder.is_dir() => collect(&folder, files),
            file => files.push(file),
        }
    }
}

pub fn pull_watched(
    home: &Home,
    request: &PullRequest,
    each: &mut dyn FnMut(PullProgress, &AtomicBool),
) -> Result<Installed> {
    let cancel = AtomicBool::new(false);
    let nothing_to_convert = |_: &Path, _: &Path| Err(Error::Engine("convert was called".into()));
    pull(
        request,
        home,
        &nothing_to_convert,
        &mut |progress| each(progress, &cancel),
        &cancel,
    )
}

/// A file that begins as a GGUF, and has no two equal stretches.
pub fn gguf(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let noise = std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    b"GGUF".iter().copied().chain(noise).take(bytes).collect()
}

/// A catalog with these entries, the first of which must be the default base, and an embedder that nobody pulls.
pub fn catalog(entries: &str) -> Catalog {
    let filler = format!(
        "\n[filler]\nkind = \"embedder\"\ndefault = true\ndescription = \"-\"\nlicence = \"MIT\"\n\
         [[filler.files]]\nname = \"f.gguf\"\nbytes = 1\nsha256 = \"{}\"\nurl = \"http://127.0.0.1:9/\"\n",
        "0".repeat(64)
    );
    Catalog::parse(&(entries.to_owned() + &filler)).unwrap()
}

pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// This test binary, to run `test` (its full name) again as the child.
pub fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1");
    command
}

/// Runs `test` again with these variables, and fails with it.
pub fn in_child<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    test: &str,
    variables: impl IntoIterator<Item = (K, V)>,
) {
    let output = child(test).envs(variables).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "no such test '{test}': {text}");
}
