//! Small files that the tests share: a llama base, and safetensors written by the reference crate.
#![allow(dead_code)] // each test binary uses its own part

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Metadata, Writer};

/// Sizes of the little llama: two heads of 8, one key-value head, two layers.
pub const N_EMBD: usize = 16;
pub const N_FF: usize = 24;
pub const N_KV: usize = 8;
pub const N_HEADS: usize = 2;
pub const N_LAYERS: usize = 2;
pub const N_VOCAB: usize = 20;

/// `(name, columns, rows)` of the weights of a layer, by PEFT module.
pub const MODULES: &[(&str, &str, usize, usize)] = &[
    ("self_attn.q_proj", "attn_q", N_EMBD, N_EMBD),
    ("self_attn.k_proj", "attn_k", N_EMBD, N_KV),
    ("self_attn.v_proj", "attn_v", N_EMBD, N_KV),
    ("self_attn.o_proj", "attn_output", N_EMBD, N_EMBD),
    ("mlp.gate_proj", "ffn_gate", N_EMBD, N_FF),
    ("mlp.up_proj", "ffn_up", N_EMBD, N_FF),
    ("mlp.down_proj", "ffn_down", N_FF, N_EMBD),
];

/// Numbers without a pattern that a wrong order could hide behind.
pub fn noise(n: usize, seed: usize) -> Vec<f32> {
    (0..n)
        .map(|i| (((i * 7 + seed * 131) as f32) * 12.9898).sin())
        .collect()
}

pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub fn f16_bytes(values: &[f32]) -> Vec<u8> {
    let halves = values.iter().map(|v| half::f16::from_f32(*v));
    halves.flat_map(|v| v.to_le_bytes()).collect()
}

/// Writes the little llama, whose embedding is its head too; `change` may alter its metadata.
pub fn llama_base(dir: &Path, change: impl FnOnce(&mut Metadata)) -> Gguf {
    little_llama(dir, false, change)
}

/// Writes the little llama with an output head of its own.
pub fn llama_base_with_head(dir: &Path) -> Gguf {
    little_llama(dir, true, |_| {})
}

fn little_llama(dir: &Path, has_head: bool, change: impl FnOnce(&mut Metadata)) -> Gguf {
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", "llama")
        .set("llama.block_count", N_LAYERS as u32)
        .set("llama.embedding_length", N_EMBD as u32)
        .set("llama.attention.head_count", N_HEADS as u32)
        .set("llama.attention.head_count_kv", 1_u32);
    change(&mut metadata);
    let mut writer = Writer::new(metadata);
    let mut add = |name: String, cols: usize, rows: usize| {
        let bytes = f32_bytes(&noise(cols * rows, name.len()));
        writer.tensor(name, &[cols as u64, rows as u64], GgmlType::F32, bytes);
    };
    add("token_embd.weight".into(), N_EMBD, N_VOCAB);
    if has_head {
        add("output.weight".into(), N_EMBD, N_VOCAB);
    }
    for layer in 0..N_LAYERS {
        for (_, kind, cols, rows) in MODULES {
            add(format!("blk.{layer}.{kind}.weight"), *cols, *rows);
        }
    }
    let path = dir.join("base.gguf");
    writer.write(&path).unwrap();
    Gguf::open(&path).unwrap()
}

/// Tensors of a safetensors file by name: type, row-major shape, bytes.
pub type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// Writes `tensors` with the reference crate.
pub fn write_safetensors(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A PEFT folder with this configuration (added to rank 4, alpha 8) and these tensors.
pub fn peft_folder(dir: &Path, options: &str, tensors: &Tensors) -> PathBuf {
    let folder = dir.join("peft");
    std::fs::create_dir_all(&folder).unwrap();
    let mut config: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(r#"{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none"}"#)
            .unwrap();
    let options: serde_json::Map<_, _> = serde_json::from_str(options).unwrap();
    config.extend(options);
    let text = serde_json::to_string(&config).unwrap();
    std::fs::write(folder.join("adapter_config.json"), text).unwrap();
    write_safetensors(&folder.join("adapter_model.safetensors"), tensors);
    folder
}

/// Both factors of `module` of `layer` with `rank`, as F32, or F16 where `half`.
pub fn factors(tensors: &mut Tensors, layer: usize, module: &str, rank: usize, half: bool) {
    let (_, _, cols, rows) = *MODULES.iter().find(|m| m.0 == module).unwrap();
    let name = format!("base_model.model.model.layers.{layer}.{module}");
    let seed = layer * 100 + module.len();
    for (part, shape, seed) in [
        ("A", vec![rank, cols], seed),
        ("B", vec![rows, rank], seed + 50),
    ] {
        let values = noise(shape.iter().product(), seed);
        let stored = if half {
            (Dtype::F16, shape, f16_bytes(&values))
        } else {
            (Dtype::F32, shape, f32_bytes(&values))
        };
        tensors.insert(format!("{name}.lora_{part}.weight"), stored);
    }
}

/// Factors of every module of every layer.
pub fn all_factors(rank: usize, half: bool) -> Tensors {
    let mut tensors = Tensors::new();
    for layer in 0..N_LAYERS {
        for (module, ..) in MODULES {
            factors(&mut tensors, layer, module, rank, half);
        }
    }
    tensors
}

/// What is in `dir`, part files included.
pub fn listing(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
