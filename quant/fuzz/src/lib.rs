//! What the fuzz targets do with their bytes. The readers map files, so each input becomes a file in a
//! folder of this process.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Metadata, Writer};
use unforget_quant::lora;
use unforget_quant::safetensors::Safetensors;

/// Values of a tensor are read up to this many: a header can announce far more than the fuzzer's time.
const MAX_VALUES: u64 = 1 << 16;

/// In memory where the system has such a folder: thousands of files a second are written.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    folder.expect("a temporary folder")
});

/// The sizes of the base: two heads of 8, one layer.
const EMBEDDING: u64 = 16;
const FEED_FORWARD: u64 = 24;
const VOCABULARY: u64 = 20;

static BASE: LazyLock<Gguf> = LazyLock::new(|| {
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", "llama")
        .set("llama.block_count", 1_u32)
        .set("llama.attention.head_count", 2_u32)
        .set("llama.attention.head_count_kv", 1_u32);
    let mut writer = Writer::new(metadata);
    for (name, columns, rows) in [
        ("token_embd.weight", EMBEDDING, VOCABULARY),
        ("output.weight", EMBEDDING, VOCABULARY),
        ("blk.0.attn_q.weight", EMBEDDING, EMBEDDING),
        ("blk.0.attn_k.weight", EMBEDDING, EMBEDDING / 2),
        ("blk.0.attn_v.weight", EMBEDDING, EMBEDDING / 2),
        ("blk.0.attn_output.weight", EMBEDDING, EMBEDDING),
        ("blk.0.ffn_gate.weight", EMBEDDING, FEED_FORWARD),
        ("blk.0.ffn_up.weight", EMBEDDING, FEED_FORWARD),
        ("blk.0.ffn_down.weight", FEED_FORWARD, EMBEDDING),
    ] {
        let bytes = 0.5_f32.to_le_bytes().repeat((columns * rows) as usize);
        writer.tensor(name, &[columns, rows], GgmlType::F32, bytes);
    }
    let path = FOLDER.path().join("base.gguf");
    writer.write(&path).expect("the base is written");
    Gguf::open(&path).expect("the base opens")
});

fn file(name: &str, data: &[u8]) -> PathBuf {
    let path = FOLDER.path().join(name);
    std::fs::write(&path, data).expect("the input is written");
    path
}

/// Reads a GGUF file.
pub fn gguf(data: &[u8]) {
    if let Ok(gguf) = Gguf::open(&file("input.gguf", data)) {
        let _ = gguf.summary();
        for tensor in gguf.tensors() {
            assert_eq!(gguf.tensor_bytes(tensor).len() as u64, tensor.n_bytes);
            if tensor.n_elements() <= MAX_VALUES {
                let _ = gguf.tensor_values(tensor);
            }
        }
    }
}

/// Reads a safetensors file.
pub fn safetensors(data: &[u8]) {
    if let Ok(file) = Safetensors::open(&file("input.safetensors", data)) {
        let _ = file.summary();
        for tensor in file.tensors() {
            assert_eq!(file.bytes(tensor).len() as u64, tensor.n_bytes);
            let _ = file.values(tensor);
        }
    }
}

/// Converts a PEFT folder for the little base.
pub fn convert(data: &[u8]) {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (config, rest) = data.split_at(end);
    file("adapter_config.json", config);
    file("adapter_model.safetensors", rest.get(1..).unwrap_or_default());
    let out = FOLDER.path().join("out.gguf");
    if lora::convert_peft(FOLDER.path(), &BASE, &out).is_ok() {
        let adapter = Gguf::open(&out).expect("what was converted opens");
        measure(&adapter);
    }
}

/// Checks a GGUF adapter for the little base.
pub fn adapter(data: &[u8]) {
    let Ok(adapter) = Gguf::open(&file("input-adapter.gguf", data)) else {
        return;
    };
    if lora::validate(&adapter, &BASE).is_ok() {
        measure(&adapter);
    }
}

/// A sound adapter can be measured and scaled.
fn measure(adapter: &Gguf) {
    let stats = lora::stats(adapter, &BASE).expect("a sound adapter is measured");
    let _ = stats.findings();
    let out = FOLDER.path().join("scaled.gguf");
    lora::write_scaled(adapter, |_| 0.5, &out).expect("a sound adapter is scaled");
    let scaled = Gguf::open(&out).expect("what was scaled opens");
    lora::validate(&scaled, &BASE).expect("what was scaled is sound");
}
