//! Compiles `smoke.c` under AddressSanitizer against the header and the shared library, and runs it with the model
//! that `make test` has fetched.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

#[test]
fn a_c_program_opens_generates_and_frees() -> TestResult {
    let model = find(&test_home(), MODEL).ok_or_else(|| {
        format!(
            "no {MODEL} in {}; run `make test`, which fetches it",
            test_home().display()
        )
    })?;
    let folder = tempfile::tempdir()?;
    let prose = folder.path().join("prose.gguf");
    std::fs::write(&prose, "It was a dark and stormy night.")?;
    let truncated = folder.path().join("truncated.gguf");
    std::fs::write(&truncated, b"GGUF\x03\0\0\0")?;
    let program = folder.path().join("smoke");
    compile(&program)?;
    run(Command::new(program)
        .args([model, prose, truncated])
        .env("ASAN_OPTIONS", "detect_leaks=1"))
}

fn compile(program: &Path) -> TestResult {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(
        Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args([
                "-std=c11",
                "-D_POSIX_C_SOURCE=200809L",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-g",
            ])
            .args(["-fsanitize=address", "-fno-omit-frame-pointer", "-pthread"])
            .arg("-I")
            .arg(root.join("include"))
            .arg(root.join("tests/smoke.c"))
            .arg(library()?)
            .arg("-o")
            .arg(program),
    )
}

/// The shared library beside this test: cargo makes all the crate's library types in one go before the tests that link
/// to any of them, so that this one is never an old one.
///
/// The program is linked to it by its whole path. By name it would be looked for in `LD_LIBRARY_PATH` first, where
/// cargo puts the folder of the last `cargo build`, and an old library there would be tested in its place.
fn library() -> TestResult<PathBuf> {
    let name = format!("{DLL_PREFIX}unforget_ffi{DLL_SUFFIX}");
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn test_home() -> PathBuf {
    std::env::var_os("UNFORGET_TEST_HOME").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-home"),
        PathBuf::from,
    )
}

/// A file of this name anywhere below a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.filter_map(Result::ok).find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            find(&path, name)
        } else {
            (entry.file_name() == name).then_some(path)
        }
    })
}

fn run(command: &mut Command) -> TestResult {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
