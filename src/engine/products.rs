//! Whether products with a model's weights round a token's numbers the same, whatever it is computed together with.
//!
//! llama.cpp has several kernels for a product and chooses by the number of tokens. For some types all of them add in the
//! same order, for others a batch differs from single tokens in the last bits, and the likeliest token may be another one.
//! `tests/reuse.rs` compares bit by bit, on a file of the types that are taken.

use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::Gguf;

use crate::llama;

/// Types whose kernels agree, on processors for which there are kernels of ours.
const ALIKE: [GgmlType; 2] = [GgmlType::Q4_1, GgmlType::Q8_0];

/// Whether a token's numbers are its own in a model. The backend must be up.
pub(super) fn are_alike(file: &Gguf) -> bool {
    let mut weights = file
        .tensors()
        .iter()
        .filter(|tensor| tensor.shape.len() > 1);
    llama::has_kernels() && weights.all(|tensor| ALIKE.contains(&tensor.ty))
}
