//! Files on disk for unforget: reading and writing GGUF, ggml's block types, and converting PEFT
//! adapters and BERT embedders to GGUF.
//!
//! ```no_run
//! use std::path::Path;
//! use unforget_quant::{gguf::Gguf, lora};
//!
//! let base = Gguf::open(Path::new("base.gguf"))?;
//! let adapter = lora::convert_peft(Path::new("peft-folder"), &base, Path::new("adapter.gguf"))?;
//! assert!(adapter.rank_max <= 4096);
//! # Ok::<(), unforget_quant::Error>(())
//! ```
//!
//! Every file is untrusted: readers check sizes before they allocate, limits are named constants,
//! and nothing here panics on what a file says. [`gguf::Gguf::open`] also asks what llama.cpp's
//! loader asserts, because a failed assertion there aborts the process. Every file written is
//! written beside its place, synced and renamed.
//!
//! Inference is left to the engine; names, states and downloads to the registry.

pub mod bert;
mod error;
pub mod ggml;
pub mod gguf;
pub mod imatrix;
pub mod lora;
mod map;
pub mod merge;
pub mod quantize;
pub mod rewrite;
pub mod safetensors;
pub mod splitmix;
pub mod synthetic;

pub use error::{Error, Result};
