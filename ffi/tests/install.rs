//! `make install PREFIX=`: what it puts where, and that pkg-config and CMake find it; and the examples, built as their
//! first lines say.

#[path = "support/mod.rs"]
mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Fixture, TestResult, output, run};

const PROJECT: &str = "
cmake_minimum_required(VERSION 3.16)
project(host C CXX)
find_package(Unforget 0.1 REQUIRED)
add_executable(chat ${EXAMPLES}/chat.c)
target_link_libraries(chat PRIVATE Unforget::unforget)
add_executable(triage ${EXAMPLES}/triage.cpp)
set_target_properties(triage PROPERTIES CXX_STANDARD 17)
target_link_libraries(triage PRIVATE Unforget::unforget_static)
";

fn install(fixture: &Fixture) -> TestResult<PathBuf> {
    let prefix = fixture.file("usr");
    let library = support::shared_library()?;
    let built = library.parent().ok_or("the library has no folder")?;
    run(Command::new(support::repository().join("scripts/install"))
        .arg(&prefix)
        .arg(built))?;
    Ok(prefix)
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// What `chat` says to a question.
fn chat(program: &Path, fixture: &Fixture, library_path: &Path) -> TestResult<String> {
    let mut child = Command::new(program)
        .arg(&fixture.base)
        .env("LD_LIBRARY_PATH", library_path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no standard input")?;
    input.write_all(b"Which city is the capital of Germany?\n")?;
    drop(input);
    let said = child.wait_with_output()?;
    assert!(said.status.success(), "{}", said.status);
    Ok(String::from_utf8(said.stdout)?)
}

#[test]
fn pkg_config_and_cmake_find_what_is_installed() -> TestResult {
    let fixture = Fixture::new()?;
    let prefix = install(&fixture)?;
    let lib = prefix.join("lib");
    for name in [
        "libunforget.so.1",
        "libunforget.so.1.0.1.0",
        "libunforget.a",
    ] {
        assert!(
            lib.join(name).is_file(),
            "{name} is not in {}",
            lib.display()
        );
    }

    let flags = output(
        Command::new("pkg-config")
            .args(["--cflags", "--libs", "unforget"])
            .env("PKG_CONFIG_PATH", lib.join("pkgconfig")),
    )?;
    let program = fixture.file("chat");
    run(Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror"])
        .arg(examples().join("chat.c"))
        .args(flags.split_whitespace())
        .arg("-o")
        .arg(&program))?;
    let said = chat(&program, &fixture, &lib)?;
    assert!(said.contains("Berlin"), "{said}");

    let project = fixture.file("project");
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("CMakeLists.txt"), PROJECT)?;
    let build = project.join("build");
    run(Command::new("cmake")
        .arg("-S")
        .arg(&project)
        .arg("-B")
        .arg(&build)
        .arg(format!("-DEXAMPLES={}", examples().display()))
        .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())))?;
    run(Command::new("cmake").arg("--build").arg(&build))?;
    assert!(chat(&build.join("chat"), &fixture, &lib)?.contains("Berlin"));
    let triaged = output(
        Command::new(build.join("triage"))
            .args([&fixture.base, &fixture.adapter])
            .arg("Urgent: Ion has been unreachable since Friday."),
    )?;
    assert!(triaged.contains("severity"), "{triaged}");
    Ok(())
}

#[test]
fn the_chat_fits_on_a_page() -> TestResult {
    let source = std::fs::read_to_string(examples().join("chat.c"))?;
    let lines = source.lines().count();
    assert!(lines <= 60, "{lines} lines");
    Ok(())
}
