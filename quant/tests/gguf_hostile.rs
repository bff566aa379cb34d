//! Files that are cut, damaged or made to hurt: an error each time, never a panic, and never a
//! file that ggml's own parser refuses afterwards.

mod common;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use unforget_quant::Error;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Metadata, StringArray, Writer};

fn open(dir: &Path, bytes: &[u8]) -> Result<Gguf, Error> {
    let path = dir.join("hostile.gguf");
    std::fs::write(&path, bytes).unwrap();
    Gguf::open(&path)
}

/// A small valid file, and where the data of its last tensor end.
fn valid(dir: &Path) -> (PathBuf, Vec<u8>, usize) {
    let path = dir.join("valid.gguf");
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", "llama")
        .set("llama.block_count", 1_u32)
        .set("tokenizer.ggml.model", "gpt2")
        .set(
            "tokenizer.ggml.tokens",
            StringArray::from_iter(["a", "b", "c"]),
        );
    let mut writer = Writer::new(metadata);
    writer.tensor("token_embd.weight", &[32, 3], GgmlType::Q8_0, vec![1; 102]);
    writer.tensor("output_norm.weight", &[5], GgmlType::F32, vec![0; 20]);
    writer.write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let file = Gguf::open(&path).unwrap();
    let last = file.tensors().last().unwrap();
    let end = (last.offset + last.n_bytes) as usize;
    (path, bytes, end)
}

#[test]
fn every_truncation_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let (_, bytes, end) = valid(dir.path());
    for n in 0..end {
        match open(dir.path(), &bytes[..n]).unwrap_err() {
            Error::WrongFormat { .. } if n == 0 => {}
            Error::Truncated { needed, found, .. } => {
                assert_eq!(found, n as u64);
                assert!(needed > found && needed <= end as u64, "{needed} of {n}");
            }
            other => panic!("{n} bytes: {other}"),
        }
    }
    open(dir.path(), &bytes[..end]).unwrap();
    let error = open(dir.path(), &bytes[..end - 3]).unwrap_err();
    assert!(error.to_string().contains("3 missing"), "{error}");
}

#[test]
fn a_larger_file_cut_at_every_page_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.gguf");
    let mut writer = Writer::new(Metadata::new());
    for t in 0..9 {
        writer.tensor(format!("t{t}"), &[10_000], GgmlType::F32, vec![7; 40_000]);
    }
    writer.write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for n in (0..9 * 40_000).step_by(4096) {
        assert!(open(dir.path(), &bytes[..n]).is_err(), "{n} bytes");
    }
}

#[test]
fn impossible_counts_are_refused_before_memory_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let header = |n_tensors: u64, n_keys: u64| {
        let mut bytes = b"GGUF\x03\x00\x00\x00".to_vec();
        bytes.extend(n_tensors.to_le_bytes());
        bytes.extend(n_keys.to_le_bytes());
        bytes.resize(4096, 0);
        bytes
    };
    for (n_tensors, n_keys, named) in [
        (1 << 60, 0, "1152921504606846976 tensors"),
        (0, 1 << 60, "1152921504606846976 metadata keys"),
        (u64::MAX, u64::MAX, "tensors"),
    ] {
        let error = open(dir.path(), &header(n_tensors, n_keys)).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let plausible = open(dir.path(), &header(60_000, 60_000)).unwrap_err();
    assert!(matches!(plausible, Error::Truncated { .. }), "{plausible}");
    for (element, claimed) in [(8_u32, 1_u64 << 23), (12, 1 << 24), (4, 1 << 60)] {
        let mut bytes = b"GGUF\x03\x00\x00\x00".to_vec();
        bytes.extend(0_u64.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(b"\x01\x00\x00\x00\x00\x00\x00\x00k\x09\x00\x00\x00");
        bytes.extend(element.to_le_bytes());
        bytes.extend(claimed.to_le_bytes());
        bytes.resize(200, 0);
        assert!(open(dir.path(), &bytes).is_err());
    }
}

#[test]
fn other_files_are_named_for_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    for (bytes, named) in [
        (
            b"version https://git-lfs".as_slice(),
            "text that begins with \"vers\"",
        ),
        (b"<!DOCTYPE html>", "text"),
        (b"PK\x03\x04rest", "zip"),
        (b"ggjt\x03\x00\x00\x00", "old GGML"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00{}", "safetensors"),
        (b"\xff\xfe\xfd\xfc", "ff, fe"),
    ] {
        let error = open(dir.path(), bytes).unwrap_err();
        assert!(matches!(error, Error::WrongFormat { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let of_version = |bytes: &[u8]| open(dir.path(), bytes).unwrap_err();
    let old = of_version(b"GGUF\x01\x00\x00\x00");
    assert!(old.to_string().contains("version 1"), "{old}");
    let new = of_version(b"GGUF\x04\x00\x00\x00");
    assert!(new.to_string().contains("version 4"), "{new}");
    let big = of_version(b"GGUF\x00\x00\x00\x03");
    assert!(big.to_string().contains("big-endian"), "{big}");
    for error in [old, new, big] {
        assert!(matches!(error, Error::Unsupported { .. }));
    }
    let missing = Gguf::open(&dir.path().join("nowhere.gguf")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }));
    assert!(missing.to_string().contains("nowhere.gguf"), "{missing}");
    let folder = Gguf::open(dir.path()).unwrap_err();
    assert!(folder.to_string().contains("directory"), "{folder}");
    let empty = open(dir.path(), b"").unwrap_err();
    assert!(empty.to_string().contains("empty"), "{empty}");
}

/// The valid file with `from` replaced by `to` everywhere.
fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut patched = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|&at| bytes[at..].starts_with(from))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        patched[at..at + to.len()].copy_from_slice(to);
    }
    patched
}

#[test]
fn contradictions_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (_, bytes, _) = valid(dir.path());
    let norm =
        b"output_norm.weight\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let changed = |at: usize, value: u8| {
        let mut entry = norm.to_vec();
        entry[at] = value;
        patched(&bytes, norm, &entry)
    };
    let cases = [
        (changed(18, 5), "5 dimensions"),
        (changed(18, 0), "0 dimensions"),
        (changed(22, 0), "empty shape"),
        (changed(29, 0x80), "impossible shape"),
        (changed(30, 4), "unknown ggml type 4"),
        (changed(30, 200), "unknown ggml type 200"),
        (changed(30, 8), "rows of 5 values"),
        (changed(30, 1), "norms, biases and token types are F32"),
        (
            patched(&bytes, b"general.architecture", b"llama.block_count\0\0\0"),
            "not a name",
        ),
        (
            patched(&bytes, b"output_norm.weight\x01", b"output\xffnorm.weight"),
            "UTF-8",
        ),
    ];
    for (bytes, named) in cases {
        let error = open(dir.path(), &bytes).unwrap_err();
        assert!(error.to_string().contains(named), "{error}, not {named}");
    }
    let mut alignment = Metadata::new();
    for bad in [0_u32, 8, 33, 1 << 17] {
        alignment.set("general.alignment", bad);
        let error = Writer::new(alignment.clone()).write(&dir.path().join("a.gguf"));
        assert!(error.unwrap_err().to_string().contains("general.alignment"));
    }
}

#[test]
fn duplicate_names_and_moved_data_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pair.gguf");
    let mut metadata = Metadata::new();
    metadata.set("key.one", 1_u32).set("key.two", 2_u32);
    let mut writer = Writer::new(metadata);
    writer.tensor("tensor.one", &[1], GgmlType::F32, vec![0; 4]);
    writer.tensor("tensor.two", &[1], GgmlType::F32, vec![0; 4]);
    writer.write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let message = |bytes: Vec<u8>| open(dir.path(), &bytes).unwrap_err().to_string();
    let keys = message(patched(&bytes, b"key.two", b"key.one"));
    assert!(keys.contains("key key.one appears twice"), "{keys}");
    let tensors = message(patched(&bytes, b"tensor.two", b"tensor.one"));
    assert!(
        tensors.contains("tensor tensor.one appears twice"),
        "{tensors}"
    );
    let entry = b"tensor.two\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20";
    let mut overlapping = entry.to_vec();
    overlapping[26] = 0;
    let moved = message(patched(&bytes, entry, &overlapping));
    assert!(moved.contains("offset 0, expected at 32"), "{moved}");
}

/// Whether ggml's parser, with the options that llama.cpp gives it, accepts the file.
fn ggml_accepts(path: &Path) -> bool {
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    let params = ggml_sys::gguf_init_params {
        no_alloc: true,
        ctx: std::ptr::null_mut(),
    };
    // SAFETY: `name` is a C string that outlives the call; the context is freed once, and not used.
    unsafe {
        let context = ggml_sys::gguf_init_from_file(name.as_ptr(), params);
        let accepted = !context.is_null();
        ggml_sys::gguf_free(context);
        accepted
    }
}

#[test]
fn ggml_accepts_what_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _, _) = valid(dir.path());
    assert!(ggml_accepts(&path));
}

/// The bytes of the valid file, written once: writing syncs to disk.
fn valid_bytes() -> Vec<u8> {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        valid(dir.path()).1
    });
    BYTES.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        let _ = open(dir.path(), &bytes);
        let mut with_magic = b"GGUF\x03\x00\x00\x00".to_vec();
        with_magic.extend(&bytes);
        let _ = open(dir.path(), &with_magic);
        // Small counts, so that the parser comes further.
        let mut with_counts = b"GGUF\x03\x00\x00\x00\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
        with_counts.extend(&bytes);
        let _ = open(dir.path(), &with_counts);
    }

    #[test]
    fn what_survives_damage_ggml_reads_too(
        damage in proptest::collection::vec((0..500_usize, any::<u8>()), 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = valid_bytes();
        for (at, value) in damage {
            let n = bytes.len();
            bytes[at % n] = value;
        }
        if let Ok(file) = open(dir.path(), &bytes) {
            prop_assert!(ggml_accepts(file.path()));
            for tensor in file.tensors() {
                prop_assert_eq!(file.tensor_bytes(tensor).len() as u64, tensor.n_bytes);
            }
        }
    }
}
