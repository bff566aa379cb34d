//! The boundary to ggml: its block types, and converting between them and `f32` with ggml's own
//! kernels. All calls into C of this crate are here. Files and tensors are left to [`crate::gguf`].

mod blocks;
mod convert;
mod kind;
#[cfg(test)]
mod reference;

pub use blocks::Blocks;
pub use convert::{
    dequantize, dequantize_into, is_storage, needs_importance, quantize, quantize_into,
};
pub use kind::GgmlType;
