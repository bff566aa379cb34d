//! The boundary to ggml: its block types, and converting between them and `f32` with ggml's own
//! kernels. All calls into C of this crate are here. Files and tensors are left to [`crate::gguf`].

mod convert;
mod kind;

pub use convert::{dequantize, quantize};
pub use kind::GgmlType;
