//! Adapters to measure: the reference pair, and ones made for a test.

use std::path::{Path, PathBuf};

use unforget::engine::{Adapter, AdapterStack, Model};
use unforget_quant::gguf::Gguf;
use unforget_quant::lora::{self, RandomAdapter};

use crate::common;

/// One of the project's adapters as GGUF.
pub fn reference(folder: &Path, name: &str) -> PathBuf {
    let out = folder.join(format!("{name}.gguf"));
    let base = Gguf::open(&common::base_file()).expect("the base");
    let peft = common::repository().join("models/adapters").join(name);
    lora::convert_peft(&peft, &base, &out).expect("it converts");
    out
}

/// An adapter of noise whose deltas are this share of the base's weights, see [`lora::write_random`].
pub fn random(folder: &Path, size: f32, seed: u64) -> PathBuf {
    let base = Gguf::open(&common::base_file()).expect("the base");
    let out = folder.join(format!("random-{seed}.gguf"));
    let random = RandomAdapter {
        rank: 8,
        size,
        seed,
    };
    lora::write_random(&base, random, &out).expect("it is written");
    out
}

/// A stack of one adapter at scale 1.
pub fn stack(model: &Model, path: &Path) -> AdapterStack {
    let mut stack = AdapterStack::base();
    let adapter = Adapter::load(model, path, "measured").expect("it loads");
    stack.push(adapter, 1.0).expect("a stack of one");
    stack
}
