//! BERT sentence embedders, such as all-MiniLM-L6-v2, from Hugging Face's layout (`config.json`,
//! `tokenizer.json`, `model.safetensors`, and sentence-transformers' `1_Pooling/config.json`) to
//! the GGUF that llama.cpp's `bert` architecture reads.
//!
//! llama.cpp embeds with the approximated GELU, so its vectors agree with PyTorch's to about three
//! digits. A text longer than `bert.context_length` tokens must be cut before it reaches llama.cpp,
//! which asserts on positions beyond it.

mod config;
mod convert;
mod names;
mod vocab;

pub use convert::convert;
