//! The architecture, checked: which module may know which, and where `unsafe` may stand.

mod common;

use std::path::{Path, PathBuf};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![common::repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

/// Lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[track_caller]
fn never_mentions(folder: &str, words: &[&str]) {
    for (path, text) in sources(folder) {
        for line in code(&text) {
            for word in words {
                assert!(
                    !line.contains(word),
                    "{} mentions {word}: {line}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn dependencies_point_one_way() {
    never_mentions(
        "src/llama",
        &[
            "crate::engine",
            "crate::rag",
            "crate::registry",
            "crate::guard",
            "crate::serve",
        ],
    );
    never_mentions(
        "src/engine",
        &[
            "crate::rag",
            "crate::registry",
            "crate::guard",
            "crate::serve",
        ],
    );
    never_mentions(
        "src/rag",
        &[
            "crate::registry",
            "crate::llama",
            "crate::guard",
            "crate::serve",
        ],
    );
    never_mentions(
        "src/registry",
        &["crate::rag", "crate::llama", "crate::guard", "crate::serve"],
    );
    never_mentions(
        "src/guard",
        &["crate::rag", "crate::llama", "crate::cli", "crate::serve"],
    );
    never_mentions(
        "src/serve",
        &["crate::llama", "unforget_quant", "println!", "eprintln!"],
    );
    never_mentions(
        "src/tune",
        &[
            "crate::rag",
            "crate::llama",
            "crate::guard",
            "crate::registry",
        ],
    );
    never_mentions(
        "src/train",
        &[
            "crate::rag",
            "crate::llama",
            "crate::guard",
            "crate::registry",
        ],
    );
    never_mentions("src/cli", &["llama_cpp", "unforget_quant"]);
    never_mentions("quant/src", &["unforget::"]);
}

#[test]
fn only_the_boundary_knows_llama_cpp() {
    for folder in [
        "src/engine",
        "src/rag",
        "src/registry",
        "src/guard",
        "src/train",
        "src/tune",
        "src/serve",
        "ffi/src",
    ] {
        never_mentions(folder, &["llama_cpp_2", "llama_cpp_sys_2"]);
    }
}

#[test]
fn unsafe_stands_only_at_the_boundaries() {
    let allowed = [
        "src/llama",
        "src/rag/ann/kernel.rs",
        "src/rag/ann/map.rs",
        "src/train/compute/matmul.rs",
        "quant/src/map.rs",
        "quant/src/ggml",
        "ffi/src",
    ];
    for (path, text) in sources("src")
        .into_iter()
        .chain(sources("quant/src"))
        .chain(sources("ffi/src"))
    {
        let relative = path
            .strip_prefix(common::repository())
            .unwrap_or(Path::new(""));
        let is_allowed = allowed.iter().any(|place| relative.starts_with(place));
        let uses =
            code(&text).any(|line| line.contains("unsafe {") || line.contains("unsafe impl"));
        assert!(is_allowed || !uses, "{} uses unsafe", relative.display());
    }
}
