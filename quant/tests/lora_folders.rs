//! PEFT folders that are incomplete, in several files, or damaged.

mod common;

use std::path::Path;

use common::{Tensors, all_factors, factors, llama_base, peft_folder};
use proptest::prelude::*;
use unforget_quant::Error;
use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

/// One factor pair of layer 0's up_proj.
fn up() -> Tensors {
    let mut tensors = Tensors::new();
    factors(&mut tensors, 0, "mlp.up_proj", 4, false);
    tensors
}

/// Splits the tensors over two files with an index; `change` may alter the index.
fn sharded(tensors: &Tensors, change: impl FnOnce(&mut serde_json::Value)) -> Result<(), Error> {
    let dir = tempfile::tempdir().unwrap();
    let base = llama_base(dir.path(), |_| {});
    let folder = peft_folder(dir.path(), "{}", tensors);
    std::fs::remove_file(folder.join("adapter_model.safetensors")).unwrap();
    let mut map = serde_json::Map::new();
    for (shard, file) in ["one.safetensors", "two.safetensors"].iter().enumerate() {
        let part: Tensors = tensors
            .iter()
            .skip(shard)
            .step_by(2)
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        map.extend(part.keys().map(|name| (name.clone(), (*file).into())));
        common::write_safetensors(&folder.join(file), &part);
    }
    let mut index = serde_json::json!({ "metadata": {}, "weight_map": map });
    change(&mut index);
    let path = folder.join("adapter_model.safetensors.index.json");
    std::fs::write(path, index.to_string()).unwrap();
    lora::convert_peft(&folder, &base, &dir.path().join("out.gguf")).map(|_| ())
}

#[test]
fn an_index_must_name_every_tensor_once_and_only_files_beside_it() {
    let tensors = all_factors(4, false);
    sharded(&tensors, |_| {}).unwrap();
    type Change = fn(&mut serde_json::Value);
    let cases: [(&str, Change); 6] = [
        ("beside", |index| {
            index["weight_map"]["extra"] = "../peft/one.safetensors".into();
        }),
        ("beside", |index| index["weight_map"]["extra"] = "..".into()),
        ("is not in one", |index| {
            index["weight_map"]["extra"] = "one.safetensors".into();
        }),
        ("does not have it", |index| {
            let map = index["weight_map"].as_object_mut().unwrap();
            let first = map.keys().next().unwrap().clone();
            map.remove(&first);
        }),
        ("gone.safetensors", |index| {
            index["weight_map"]["extra"] = "gone.safetensors".into();
        }),
        ("not an index", |index| *index = 5.into()),
    ];
    for (reason, change) in cases {
        let error = sharded(&tensors, change).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn two_sets_of_weights_are_one_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let base = llama_base(dir.path(), |_| {});
    let folder = peft_folder(dir.path(), "{}", &up());
    std::fs::write(folder.join("adapter_model.safetensors.index.json"), "{}").unwrap();
    let error = lora::convert_peft(&folder, &base, &dir.path().join("out.gguf")).unwrap_err();
    assert!(error.to_string().contains("both"), "{error}");
}

#[test]
fn incomplete_folders_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = llama_base(dir.path(), |_| {});
    let out = dir.path().join("out.gguf");
    let convert = |folder: &Path| lora::convert_peft(folder, &base, &out).unwrap_err();
    let missing = convert(&dir.path().join("nowhere"));
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
    let folder = peft_folder(dir.path(), "{}", &up());
    let weights = folder.join("adapter_model.safetensors");
    std::fs::rename(&weights, folder.join("adapter_model.bin")).unwrap();
    assert!(convert(&folder).to_string().contains("pickle"));
    std::fs::remove_file(folder.join("adapter_model.bin")).unwrap();
    assert!(
        convert(&folder)
            .to_string()
            .contains("adapter_model.safetensors")
    );
    std::fs::write(&weights, "x").unwrap();
    std::fs::remove_file(folder.join("adapter_config.json")).unwrap();
    assert!(convert(&folder).to_string().contains("adapter_config.json"));
    assert!(!out.exists());
}

/// A folder whose `file` has some bytes changed or its end cut off, after `change`.
fn damaged(file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let dir = tempfile::tempdir().unwrap();
    let base = llama_base(dir.path(), |_| {});
    let options = r#"{"rank_pattern": {"k_proj": 4}}"#;
    let folder = peft_folder(dir.path(), options, &all_factors(4, false));
    let mut bytes = std::fs::read(folder.join(file)).unwrap();
    change(&mut bytes);
    std::fs::write(folder.join(file), bytes).unwrap();
    let out = dir.path().join("out.gguf");
    match lora::convert_peft(&folder, &base, &out) {
        // What is accepted is whole, and sound.
        Ok(summary) => {
            let found = lora::validate(&Gguf::open(&out).unwrap(), &base).unwrap();
            assert_eq!(found, summary);
        }
        Err(error) => {
            assert!(!out.exists(), "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

const FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn flipped_bits_never_panic_and_leave_nothing_half_written(
        file in proptest::sample::select(&FILES[..]),
        flips in proptest::collection::vec((any::<usize>(), 0..8_u32), 1..4),
    ) {
        damaged(file, |bytes| {
            for (at, bit) in flips {
                // Most of the weights are data; the header is where damage tells.
                let at = at % bytes.len().min(4000);
                bytes[at] ^= 1 << bit;
            }
        });
    }

    #[test]
    fn cut_files_never_panic(file in proptest::sample::select(&FILES[..]), at in any::<usize>()) {
        damaged(file, |bytes| bytes.truncate(at % bytes.len()));
    }
}
