//! Quantizing and merging whole files: what is copied, what is refused, and the same bytes whatever
//! the threads. That the bytes are llama.cpp's is asked in the workspace's tests.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{N_EMBD, N_VOCAB, f32_bytes, listing, noise};
use proptest::prelude::*;
use unforget_quant::Error;
use unforget_quant::ggml::{GgmlType, quantize as quantize_values};
use unforget_quant::gguf::{Gguf, Metadata, Value, Writer};
use unforget_quant::merge::{self, Density, Method, Source};
use unforget_quant::quantize::{self, FileType, Request};
use unforget_quant::rewrite::Options;

/// Rows of whole K blocks, of which there are many.
const WIDE: usize = 512;
const TALL: usize = 700;

fn wide_model(dir: &Path) -> Gguf {
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "llama");
    let mut writer = Writer::new(metadata);
    let mut add = |name: &str, shape: &[u64]| {
        let n = shape.iter().product::<u64>() as usize;
        writer.tensor(name, shape, GgmlType::F32, f32_bytes(&noise(n, name.len())));
    };
    add("token_embd.weight", &[WIDE as u64, TALL as u64]);
    add("blk.0.attn_norm.weight", &[WIDE as u64]);
    add("blk.0.ffn_up.weight", &[WIDE as u64, TALL as u64]);
    add("blk.0.odd.weight", &[48, 5]);
    let path = dir.join("wide.gguf");
    writer.write(&path).unwrap();
    Gguf::open(&path).unwrap()
}

fn request(file_type: FileType) -> Request<'static> {
    Request {
        file_type,
        pure: true,
        allow_requantize: false,
        imatrix: None,
    }
}

fn threads(n_threads: usize) -> Options<'static> {
    Options {
        n_threads,
        ..Options::default()
    }
}

#[test]
fn values_are_ggmls_and_the_rest_is_copied_whatever_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let source = wide_model(dir.path());
    let mut files = Vec::new();
    for n in [1, 2, 5] {
        let out = dir.path().join(format!("{n}.gguf"));
        let done =
            quantize::quantize(&source, &out, &request(FileType::Q4_K_M), &threads(n)).unwrap();
        assert_eq!(done.fallbacks.len(), 1, "{:?}", done.fallbacks);
        assert_eq!((done.report.n_copied, done.report.n_converted), (1, 3));
        files.push(std::fs::read(&out).unwrap());
        assert_eq!(done.report.bytes_out, files[0].len() as u64);
    }
    assert!(files.iter().all(|file| *file == files[0]));
    let made = Gguf::open(&dir.path().join("1.gguf")).unwrap();
    assert_eq!(made.metadata().u32("general.file_type"), Some(15));
    for (old, new) in source.tensors().iter().zip(made.tensors()) {
        let bytes = made.tensor_bytes(new);
        let expected = match new.name.as_str() {
            "blk.0.attn_norm.weight" => source.tensor_bytes(old).to_vec(),
            "blk.0.odd.weight" => {
                assert_eq!(new.ty, GgmlType::F16);
                quantize_values(GgmlType::F16, &source.tensor_values(old).unwrap(), 48).unwrap()
            }
            _ => {
                assert_eq!(new.ty, GgmlType::Q4_K);
                quantize_values(GgmlType::Q4_K, &source.tensor_values(old).unwrap(), WIDE).unwrap()
            }
        };
        assert_eq!(bytes, expected, "{}", new.name);
    }
}

#[test]
fn what_would_lose_too_much_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let source = wide_model(dir.path());
    let small = dir.path().join("small.gguf");
    quantize::quantize(&source, &small, &request(FileType::Q8_0), &threads(1)).unwrap();
    let small = Gguf::open(&small).unwrap();
    let out = dir.path().join("out.gguf");
    let before = listing(dir.path());
    let error =
        quantize::quantize(&small, &out, &request(FileType::Q4_0), &threads(1)).unwrap_err();
    assert!(error.to_string().contains("--allow-requantize"), "{error}");
    let error =
        quantize::quantize(&source, &out, &request(FileType::IQ2_XS), &threads(1)).unwrap_err();
    assert!(error.to_string().contains("importance matrix"), "{error}");
    for same in [
        source.path().to_owned(),
        dir.path().join(".").join("wide.gguf"),
    ] {
        let error =
            quantize::quantize(&source, &same, &request(FileType::F16), &threads(1)).unwrap_err();
        assert!(error.to_string().contains("is the input"), "{error}");
    }
    assert_eq!(listing(dir.path()), before);
    let allowed = Request {
        allow_requantize: true,
        ..request(FileType::Q4_0)
    };
    assert!(
        quantize::quantize(&small, &out, &allowed, &threads(1))
            .unwrap()
            .requantized
    );
}

#[test]
fn a_cancelled_pass_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let source = wide_model(dir.path());
    let before = listing(dir.path());
    let flag = AtomicBool::new(false);
    let stop = |_: u64, _: u64| flag.store(true, Ordering::Relaxed);
    let options = Options {
        n_threads: 1,
        cancel: Some(&flag),
        progress: Some(&stop),
    };
    let out = dir.path().join("out.gguf");
    let error = quantize::quantize(&source, &out, &request(FileType::F16), &options).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(listing(dir.path()), before);
}

/// Weights that are not numbers, and numbers too large for the type.
#[test]
fn values_that_cannot_be_stored_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for (value, named) in [(f32::NAN, "NaN"), (1e6, "65504")] {
        let path = dir.path().join("bad.gguf");
        let mut values = noise(64, 1);
        values[40] = value;
        let mut writer = Writer::new(Metadata::new());
        writer.tensor("a.weight", &[32, 2], GgmlType::F32, f32_bytes(&values));
        writer.write(&path).unwrap();
        let source = Gguf::open(&path).unwrap();
        let out = dir.path().join("out.gguf");
        let error = quantize::quantize(&source, &out, &request(FileType::F16), &threads(2))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(named) && error.contains("a.weight"),
            "{error}"
        );
        assert!(!out.exists());
    }
}

/// A GGUF LoRA on the query of layer 0 and on the token embedding.
fn adapter(dir: &Path, name: &str, alpha: f32, rank: usize, seed: usize) -> PathBuf {
    let mut metadata = Metadata::new();
    metadata
        .set("general.type", "adapter")
        .set("adapter.type", "lora")
        .set("general.architecture", "llama")
        .set("adapter.lora.alpha", Value::F32(alpha));
    let mut writer = Writer::new(metadata);
    let mut add = |name: &str, cols: usize, rows: usize, seed: usize| {
        let bytes = f32_bytes(&noise(cols * rows, seed));
        writer.tensor(name, &[cols as u64, rows as u64], GgmlType::F32, bytes);
    };
    add("blk.0.attn_q.weight.lora_a", N_EMBD, rank, seed);
    add("blk.0.attn_q.weight.lora_b", rank, N_EMBD, seed + 1);
    // llama.cpp's layout for the embedding: A has a row for each token.
    add("token_embd.weight.lora_a", rank, N_VOCAB, seed + 2);
    add("token_embd.weight.lora_b", rank, N_EMBD, seed + 3);
    let path = dir.join(name);
    writer.write(&path).unwrap();
    path
}

fn merged(base: &Gguf, files: &[(&Gguf, f32)], method: Method, n: usize) -> Result<Gguf, Error> {
    let adapters: Vec<_> = files
        .iter()
        .map(|(adapter, scale)| Source {
            adapter,
            scale: *scale,
            sha256: "ab".repeat(32),
        })
        .collect();
    let request = merge::Request {
        base_sha256: "cd".repeat(32),
        adapters: &adapters,
        method,
        file_type: None,
    };
    let out = base.path().with_file_name("merged.gguf");
    merge::merge(base, &out, &request, &threads(n))?;
    Gguf::open(&out)
}

#[test]
fn linear_merging_is_the_formula_and_copies_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let base = common::llama_base_with_head(dir.path());
    let first = Gguf::open(&adapter(dir.path(), "first.gguf", 8.0, 3, 10)).unwrap();
    // Alpha 0: the plain scale.
    let second = Gguf::open(&adapter(dir.path(), "second.gguf", 0.0, 2, 20)).unwrap();
    let made = merged(&base, &[(&first, 0.5), (&second, -2.0)], Method::Linear, 2).unwrap();
    let factors = [(10, 3, 0.5 * 8.0 / 3.0), (20, 2, -2.0)];
    for (old, new) in base.tensors().iter().zip(made.tensors()) {
        let values = made.tensor_values(new).unwrap();
        let mut expected = base.tensor_values(old).unwrap();
        for (seed, rank, factor) in factors {
            let (a, b) = match new.name.as_str() {
                "blk.0.attn_q.weight" => {
                    (noise(N_EMBD * rank, seed), noise(rank * N_EMBD, seed + 1))
                }
                "token_embd.weight" => {
                    let stored = noise(rank * N_EMBD, seed + 3);
                    let a = (0..rank * N_EMBD)
                        .map(|i| stored[i % N_EMBD * rank + i / N_EMBD])
                        .collect();
                    (a, noise(rank * N_VOCAB, seed + 2))
                }
                _ => continue,
            };
            for (i, value) in expected.iter_mut().enumerate() {
                let (row, col) = (i / N_EMBD, i % N_EMBD);
                *value += (0..rank)
                    .map(|r| factor * b[row * rank + r] * a[r * N_EMBD + col])
                    .sum::<f32>();
            }
        }
        for (found, expected) in values.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-4,
                "{}: {found} {expected}",
                new.name
            );
        }
        if !["blk.0.attn_q.weight", "token_embd.weight"].contains(&new.name.as_str()) {
            assert_eq!(
                made.tensor_bytes(new),
                base.tensor_bytes(old),
                "{}",
                new.name
            );
        }
    }
    let metadata = made.metadata();
    assert_eq!(metadata.str("unforget.merge.method"), Some("linear"));
    assert_eq!(
        metadata.str("unforget.merge.base_sha256"),
        Some("cd".repeat(32).as_str())
    );
    assert!(metadata.contains("unforget.merge.adapter_sha256"));
}

#[test]
fn every_method_gives_the_same_bytes_whatever_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let base = common::llama_base_with_head(dir.path());
    let first = Gguf::open(&adapter(dir.path(), "first.gguf", 8.0, 3, 10)).unwrap();
    let second = Gguf::open(&adapter(dir.path(), "second.gguf", 4.0, 2, 20)).unwrap();
    let density = Density::new(0.4).unwrap();
    for method in [
        Method::Linear,
        Method::Ties { density },
        Method::Dare { density, seed: 3 },
    ] {
        let files: Vec<_> = [1, 2, 4]
            .map(|n| {
                let made = merged(&base, &[(&first, 1.0), (&second, 1.0)], method, n).unwrap();
                std::fs::read(made.path()).unwrap()
            })
            .into();
        assert!(files.iter().all(|file| *file == files[0]), "{method:?}");
    }
}

#[test]
fn what_cannot_be_merged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = common::llama_base_with_head(dir.path());
    let good = Gguf::open(&adapter(dir.path(), "good.gguf", 8.0, 3, 10)).unwrap();
    for scale in [f32::INFINITY, f32::NAN] {
        let error = merged(&base, &[(&good, scale)], Method::Linear, 1).unwrap_err();
        assert!(error.to_string().contains("scale"), "{error}");
    }
    let error = merged(&base, &[(&good, 3e38)], Method::Linear, 1).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    assert!(merged(&base, &[], Method::Linear, 1).is_err());
    let other = tempfile::tempdir().unwrap();
    let other = wide_model(other.path());
    let error = merged(&other, &[(&good, 1.0)], Method::Linear, 1).unwrap_err();
    assert!(matches!(error, Error::BaseMismatch { .. }), "{error}");
    // Scale 0 leaves every weight as it was.
    let same = merged(&base, &[(&good, 0.0)], Method::Linear, 1).unwrap();
    for (old, new) in base.tensors().iter().zip(same.tensors()) {
        assert_eq!(base.tensor_bytes(old), same.tensor_bytes(new));
    }
    assert!(
        !listing(dir.path())
            .iter()
            .any(|name| name.ends_with(".part"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Header, types, offsets and data: whatever is accepted is rewritten or refused, and nothing is left half done.
    #[test]
    fn flipped_bits_of_a_model_or_an_adapter_never_panic(
        of_adapter in any::<bool>(),
        flips in proptest::collection::vec((any::<usize>(), 0..8_u32), 1..4),
        cut in proptest::option::of(any::<usize>()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let base = common::llama_base_with_head(dir.path());
        let adapter = adapter(dir.path(), "adapter.gguf", 8.0, 3, 10);
        let victim = if of_adapter { &adapter } else { base.path() };
        let mut bytes = std::fs::read(victim).unwrap();
        for (at, bit) in flips {
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut % bytes.len());
        }
        let damaged = dir.path().join("damaged.gguf");
        std::fs::write(&damaged, bytes).unwrap();
        let before = listing(dir.path());
        let out = dir.path().join("out.gguf");
        if let Ok(file) = Gguf::open(&damaged) {
            let done = if of_adapter {
                merged(&base, &[(&file, 1.0)], Method::Linear, 1).map(|_| ())
            } else {
                quantize::quantize(&file, &out, &request(FileType::Q8_0), &threads(1)).map(|_| ())
            };
            prop_assert!(done.is_ok() || !out.exists());
        }
        std::fs::remove_file(&out).ok();
        let left = listing(dir.path());
        prop_assert!(left.iter().all(|name| before.contains(name) || name.ends_with(".gguf")), "{:?}", left);
    }
}
