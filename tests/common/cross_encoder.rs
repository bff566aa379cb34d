//! A cross-encoder for the tests: the embedder's own layers under a classification head. What it says means nothing; that
//! it is read, pooled and computed rightly is what the tests look at.

use std::path::Path;

use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, Value, Writer};

/// llama.cpp's number for pooling by a classification head.
const POOLING_RANK: u32 = 4;

/// The head: `output * tanh(dense * x + dense_bias) + output_bias`, with `x` the first token's hidden state.
pub struct Head {
    /// What all weights of the dense layer are computed from: `dense(row, column)`.
    pub dense: fn(usize, usize) -> f32,
    pub dense_bias: f32,
    pub output: f32,
    pub output_bias: f32,
}

/// Writes the cross-encoder to `path`.
pub fn write(path: &Path, head: &Head) {
    let embedder = Gguf::open(&super::embedder_file()).expect("the embedder");
    let mut metadata = embedder.metadata().clone();
    metadata.set("bert.pooling_type", Value::U32(POOLING_RANK));
    let width = metadata.u64("bert.embedding_length").expect("a width");
    let n = usize::try_from(width).expect("small");
    let mut writer = Writer::new(metadata);
    for tensor in embedder.tensors() {
        writer.tensor(
            tensor.name.clone(),
            &tensor.shape,
            tensor.ty,
            embedder.tensor_bytes(tensor),
        );
    }
    let bytes = |values: Vec<f32>| {
        values
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let dense = (0..n * n).map(|at| (head.dense)(at / n, at % n)).collect();
    writer.tensor("cls.weight", &[width, width], GgmlType::F32, bytes(dense));
    writer.tensor(
        "cls.bias",
        &[width],
        GgmlType::F32,
        bytes(vec![head.dense_bias; n]),
    );
    writer.tensor(
        "cls.output.weight",
        &[width, 1],
        GgmlType::F32,
        bytes(vec![head.output; n]),
    );
    writer.tensor(
        "cls.output.bias",
        &[1],
        GgmlType::F32,
        bytes(vec![head.output_bias]),
    );
    writer.write(path).expect("it is written");
}

/// Pseudo-random weights of the size that a trained head has, the same each time.
pub fn scrambled(row: usize, column: usize) -> f32 {
    let hash = (row as u32).wrapping_mul(0x9e37_79b9) ^ (column as u32).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d);
    ((hash >> 8) as f32 / (1u32 << 24) as f32 - 0.5) * 0.2
}
