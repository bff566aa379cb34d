//! What the tests share: the real models, fetched once by `make test` into a data folder of their own.
#![allow(dead_code)] // Each test file is a crate of its own and uses a part of this.

pub mod cross_encoder;

use std::path::{Path, PathBuf};

use unforget::engine::{Model, ModelOptions};

/// The data folder of the tests.
pub fn home() -> PathBuf {
    std::env::var_os("UNFORGET_TEST_HOME").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-home"),
        PathBuf::from,
    )
}

/// Folder of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The default base model's file.
pub fn base_file() -> PathBuf {
    installed("smollm2")
}

/// The default embedder's file.
pub fn embedder_file() -> PathBuf {
    installed("minilm")
}

fn installed(name: &str) -> PathBuf {
    let folder = home().join("models").join(name);
    let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    files
        .map(|entry| entry.path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "gguf")
        })
        .unwrap_or_else(|| {
            panic!(
                "{} holds no model: run `make test`, which fetches it",
                folder.display()
            )
        })
}

/// The default base model.
pub fn base() -> Model {
    Model::open(&base_file(), ModelOptions::default()).expect("the base model loads")
}
