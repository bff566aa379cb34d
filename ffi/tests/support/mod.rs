//! What the tests of the C ABI share: compilers, the built libraries, models and a scratch folder.
#![allow(dead_code)] // Each test file is a crate of its own and uses a part of this.

use std::collections::BTreeSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

pub type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Folder of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The shared library beside this test: cargo makes all the crate's library types in one go before the tests that link
/// to any of them, so that this one is never an old one.
pub fn shared_library() -> TestResult<PathBuf> {
    let name = format!("{DLL_PREFIX}unforget_ffi{DLL_SUFFIX}");
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// The static library beside this test.
pub fn static_library() -> TestResult<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("libunforget_ffi.a"))
}

/// A compiler with its options.
pub struct Compiler {
    program: OsString,
    options: Vec<&'static str>,
}

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-g"];
const SANITIZERS: [&str; 3] = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
];

impl Compiler {
    /// C11 with sanitizers.
    pub fn c() -> Self {
        Self::plain_c().with(&SANITIZERS)
    }

    /// C11.
    pub fn plain_c() -> Self {
        let program = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let options = vec!["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-D_DEFAULT_SOURCE"];
        Self { program, options }.with(&WARNINGS)
    }

    /// C++17 with sanitizers.
    pub fn cpp() -> Self {
        let program = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        let options = vec!["-std=c++17"];
        Self { program, options }.with(&WARNINGS).with(&SANITIZERS)
    }

    fn with(mut self, more: &[&'static str]) -> Self {
        self.options.extend(more);
        self
    }

    /// Starts a command that compiles `source` to `program`.
    pub fn command(&self, source: &Path, program: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.options)
            .arg("-I")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
            .arg(source)
            .args(["-pthread", "-o"])
            .arg(program);
        command
    }
}

/// Models, adapters and documents, with a folder that goes away with the value.
pub struct Fixture {
    folder: TempDir,
    pub base: PathBuf,
    pub embedder: PathBuf,
    pub adapter: PathBuf,
    pub careless: PathBuf,
    pub documents: PathBuf,
}

impl Fixture {
    pub fn new() -> TestResult<Self> {
        let folder = tempfile::tempdir()?;
        let base = installed("smollm2")?;
        let adapter = convert(&base, "triage-gentle", folder.path())?;
        let careless = convert(&base, "triage-careless", folder.path())?;
        // A program finds the library by the name that is written into it.
        let library = shared_library()?;
        std::os::unix::fs::symlink(library, folder.path().join("libunforget.so.1"))?;
        Ok(Self {
            base,
            embedder: installed("minilm")?,
            adapter,
            careless,
            documents: repository().join("models/documents").canonicalize()?,
            folder,
        })
    }

    /// A file of this name in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes one.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> TestResult<PathBuf> {
        let path = self.file(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Compiles a program of `tests/c` and links it to the shared library.
    pub fn compile(&self, compiler: &Compiler, name: &str) -> TestResult<PathBuf> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/c")
            .join(name);
        self.compile_file(compiler, &source)
    }

    /// Compiles any program and links it to the shared library.
    pub fn compile_file(&self, compiler: &Compiler, source: &Path) -> TestResult<PathBuf> {
        let program = self.file("program");
        // By its whole path, and found again in this folder first: by name alone it would be looked for in
        // `LD_LIBRARY_PATH`, where cargo puts the folder of the last `cargo build`, with perhaps an older library.
        run(compiler
            .command(source, &program)
            .arg(self.file("libunforget.so.1"))
            .arg(format!("-Wl,-rpath,{}", self.folder.path().display()))
            .arg("-Wl,--disable-new-dtags")
            .arg("-lm"))?;
        Ok(program)
    }

    /// Starts a command that runs a compiled program.
    pub fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("ASAN_OPTIONS", "detect_leaks=1")
            .env("UBSAN_OPTIONS", "print_stacktrace=1");
        command
    }
}

/// An adapter of the repository, as the GGUF file that the library reads.
fn convert(base: &Path, name: &str, folder: &Path) -> TestResult<PathBuf> {
    let out = folder.join(format!("{name}.gguf"));
    let source = repository().join("models/adapters").join(name);
    lora::convert_peft(&source, &Gguf::open(base)?, &out)?;
    Ok(out)
}

/// The file of an installed model.
pub fn installed(name: &str) -> TestResult<PathBuf> {
    let home = std::env::var_os("UNFORGET_TEST_HOME")
        .map_or_else(|| repository().join("target/test-home"), PathBuf::from);
    let folder = home.join("models").join(name);
    let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let is_model = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "gguf");
    let found = files.map(|entry| entry.path()).find(is_model);
    Ok(found.ok_or_else(|| {
        let folder = folder.display();
        format!("{folder} holds no model; run `make test`, which fetches it")
    })?)
}

/// Runs a command that must succeed; its output.
pub fn output(command: &mut Command) -> TestResult<String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> TestResult {
    output(command).map(drop)
}

/// The functions that a header declares.
pub fn functions(header: &str) -> BTreeSet<String> {
    let code = header.lines().filter(|line| !line.starts_with("//"));
    let declared = code.filter_map(|line| {
        let (before, _) = line.split_once('(')?;
        let name = before.rsplit([' ', '*']).next()?;
        (name.starts_with("uf_") && !line.starts_with("typedef")).then(|| name.to_owned())
    });
    declared.collect()
}
