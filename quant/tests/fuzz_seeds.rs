//! Seeds for the fuzz targets: small sound files of every kind. Written where `UNFORGET_FUZZ_CORPUS` says
//! (`make fuzz` sets it), and checked in any case.

mod common;

use std::path::{Path, PathBuf};

use common::{all_factors, f32_bytes, llama_base, noise, peft_folder};
use unforget_quant::ggml::{GgmlType, quantize};
use unforget_quant::gguf::{Array, Gguf, Metadata, StringArray, Value, Writer};
use unforget_quant::lora;
use unforget_quant::safetensors::Safetensors;

/// Metadata of every type and a tensor of some formats.
fn varied(path: &Path) {
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", "llama")
        .set("a.u8", 1_u8)
        .set("a.f64", Value::F64(0.5))
        .set("a.flag", true)
        .set("a.i64", -1_i64)
        .set("tokens", ["a", "", "ä"].iter().collect::<StringArray>())
        .set("numbers", Value::Array(Array::I32(vec![1, -2, 3])));
    let mut writer = Writer::new(metadata);
    for ty in [
        GgmlType::F32,
        GgmlType::F16,
        GgmlType::Q8_0,
        GgmlType::Q4_1,
        GgmlType::Q4_K,
    ] {
        let bytes = quantize(ty, &noise(512, 3), 256).unwrap();
        writer.tensor(format!("blk.0.{ty}.weight"), &[256, 2], ty, bytes);
    }
    writer.write(path).unwrap();
}

fn corpus(root: &Path) -> Vec<PathBuf> {
    let scratch = tempfile::tempdir().unwrap();
    let base = llama_base(scratch.path(), |_| {});
    let mut files = Vec::new();
    let mut seed = |target: &str, name: &str, bytes: &[u8]| {
        let folder = root.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
        files.push(folder.join(name));
    };
    let path = scratch.path().join("varied.gguf");
    varied(&path);
    seed("gguf", "varied", &std::fs::read(&path).unwrap());
    seed("gguf", "base", &std::fs::read(base.path()).unwrap());
    for (name, options, half) in [
        ("plain", "{}", false),
        ("half", r#"{"use_rslora": true}"#, true),
        (
            "patterns",
            r#"{"alpha_pattern": {"layers.0.*q_proj": 3}}"#,
            false,
        ),
    ] {
        let mut tensors = all_factors(4, half);
        // The fuzz targets' base has one layer.
        tensors.retain(|name, _| name.contains("layers.0."));
        let folder = peft_folder(scratch.path(), options, &tensors);
        let weights = std::fs::read(folder.join("adapter_model.safetensors")).unwrap();
        seed("safetensors", name, &weights);
        let mut input = std::fs::read(folder.join("adapter_config.json")).unwrap();
        input.push(0);
        input.extend(&weights);
        seed("convert", name, &input);
        let out = scratch.path().join("adapter.gguf");
        lora::convert_peft(&folder, &base, &out).unwrap();
        seed("adapter", name, &std::fs::read(&out).unwrap());
    }
    let mut writer = Writer::new(
        Gguf::open(&scratch.path().join("adapter.gguf"))
            .unwrap()
            .metadata()
            .clone(),
    );
    writer.tensor(
        "token_embd.weight.lora_a",
        &[4, 20],
        GgmlType::F32,
        f32_bytes(&noise(80, 1)),
    );
    writer.tensor(
        "token_embd.weight.lora_b",
        &[4, 16],
        GgmlType::F32,
        f32_bytes(&noise(64, 2)),
    );
    let embedding = scratch.path().join("embedding.gguf");
    writer.write(&embedding).unwrap();
    seed("adapter", "embedding", &std::fs::read(&embedding).unwrap());
    files
}

#[test]
fn seeds_are_sound_files() {
    let scratch = tempfile::tempdir().unwrap();
    let root = std::env::var_os("UNFORGET_FUZZ_CORPUS")
        .map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let files = corpus(&root);
    assert_eq!(files.len(), 12);
    for file in files {
        let target = file.parent().unwrap().file_name().unwrap();
        match target.to_str().unwrap() {
            "gguf" | "adapter" => drop(Gguf::open(&file).unwrap()),
            "safetensors" => drop(Safetensors::open(&file).unwrap()),
            _ => assert!(std::fs::read(&file).unwrap().contains(&0)),
        }
    }
}
