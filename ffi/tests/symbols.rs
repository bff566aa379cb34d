//! Which symbols the libraries show: `uf_*` and nothing else, so that a host with a ggml, a SQLite or a llama.cpp of its
//! own does not meet ours.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use support::{Compiler, Fixture, TestResult, output, run};

/// Symbols that `nm` lists, without their address and kind.
fn symbols(arguments: &[&str], file: &Path) -> TestResult<BTreeSet<String>> {
    let listed = output(Command::new("nm").args(arguments).arg(file))?;
    let names = listed.lines().filter_map(|line| line.split(' ').nth(2));
    Ok(names.map(str::to_owned).collect())
}

fn declared() -> TestResult<BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = std::fs::read_to_string(folder.join("include/unforget.h"))?;
    Ok(support::functions(&header))
}

#[test]
fn the_shared_library_exports_what_the_header_declares() -> TestResult {
    let exported = symbols(&["-D", "--defined-only"], &support::shared_library()?)?;
    assert_eq!(exported, declared()?);
    Ok(())
}

#[test]
fn the_shared_library_has_a_versioned_name() -> TestResult {
    let header = output(
        Command::new("readelf")
            .arg("-d")
            .arg(support::shared_library()?),
    )?;
    let version = unforget_ffi::version::UF_ABI_VERSION;
    let name = format!("Library soname: [libunforget.so.{version}]");
    assert!(header.contains(&name), "{header}");
    Ok(())
}

#[test]
fn a_host_with_its_own_ggml_can_use_the_shared_library() -> TestResult {
    let fixture = Fixture::new()?;
    let program = fixture.compile(&Compiler::plain_c(), "host_ggml.c")?;
    run(fixture.program(&program).arg(&fixture.base))
}

#[test]
fn a_host_with_its_own_ggml_can_use_the_static_library() -> TestResult {
    let fixture = Fixture::new()?;
    let library = fixture.file("libunforget.a");
    run(
        Command::new(support::repository().join("scripts/static-library"))
            .arg(support::static_library()?)
            .arg(&library),
    )?;
    let exported = symbols(&["-g", "--defined-only"], &library)?;
    assert_eq!(exported, declared()?);
    let program = fixture.file("static");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/host_ggml.c");
    run(Compiler::plain_c()
        .command(&source, &program)
        .arg(&library)
        .args(["-lstdc++", "-lgomp", "-lm", "-ldl"]))?;
    run(fixture.program(&program).arg(&fixture.base))
}
