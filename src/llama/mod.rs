//! The safe boundary to llama.cpp: the only module that touches `llama-cpp-2` and `llama-cpp-sys-2`,
//! and all of the engine's `unsafe`.
//!
//! It knows models, contexts, batches, adapters and samplers as llama.cpp has them, one wrapper each, and
//! adds only what makes them safe: ownership (a context keeps its model and its adapters alive),
//! serialized creation, and the engine's log as the reason in an error. What to do with them (prefix
//! reuse, stop strings, templates) is left to [`crate::engine`].
//!
//! Model loading, vocabulary, samplers and grammar come from `llama-cpp-2`. Contexts and adapters are owned
//! here over the sys crate, because `llama-cpp-2` can neither stack adapters, nor load one while a context
//! borrows the model, nor unload it.

mod adapter;
mod backend;
mod batch;
mod context;
#[cfg_attr(
    not(all(
        target_arch = "x86_64",
        any(target_os = "linux", target_os = "macos"),
        not(feature = "dynamic-backends")
    )),
    path = "cpu/absent.rs"
)]
mod cpu;
mod device;
mod kv_type;
mod log;
mod model;
mod observe;
mod sampler;

pub use adapter::LoraAdapter;
pub use backend::start;
pub use batch::Batch;
pub use context::{CancelToken, Context, ContextParams, MAX_SEQUENCES};
pub use cpu::{MAX_ADAPTER_RANK, has_kernels};
pub use device::{Device, GpuLayers, compiled_backends, devices, system_info};
pub use kv_type::KvType;
pub use llama_cpp_2::token::LlamaToken as Token;
pub use model::{Model, VocabularySize};
pub use observe::{Matrix, Observer};
pub use sampler::{Sampler, grammar_of_json_schema};
