//! Adapters to measure: the reference pair, and ones made for a test.

use std::path::{Path, PathBuf};

use unforget::engine::{Adapter, AdapterStack, Model};
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Writer};
use unforget_quant::lora;

use crate::common;

/// One of the project's adapters as GGUF.
pub fn reference(folder: &Path, name: &str) -> PathBuf {
    let out = folder.join(format!("{name}.gguf"));
    let base = Gguf::open(&common::base_file()).expect("the base");
    let peft = common::repository().join("models/adapters").join(name);
    lora::convert_peft(&peft, &base, &out).expect("it converts");
    out
}

/// An adapter of the same shapes with random weights of about `size`: with a tiny one it changes nothing that anybody
/// would notice.
pub fn random(folder: &Path, size: f32, seed: u64) -> PathBuf {
    let like = Gguf::open(&reference(folder, "triage-gentle")).expect("an adapter");
    let mut state = seed;
    let mut writer = Writer::new(like.metadata().clone());
    for tensor in like.tensors() {
        let n: u64 = tensor.shape.iter().product();
        let bytes: Vec<u8> = (0..n)
            .flat_map(|_| {
                // Knuth's MMIX constants.
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let unit = (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
                (unit * size).to_le_bytes()
            })
            .collect();
        writer.tensor(&tensor.name, &tensor.shape, GgmlType::F32, bytes);
    }
    let out = folder.join(format!("random-{seed}.gguf"));
    writer.write(&out).expect("it is written");
    out
}

/// A stack of one adapter at scale 1.
pub fn stack(model: &Model, path: &Path) -> AdapterStack {
    let mut stack = AdapterStack::base();
    let adapter = Adapter::load(model, path, "measured").expect("it loads");
    stack.push(adapter, 1.0).expect("a stack of one");
    stack
}
