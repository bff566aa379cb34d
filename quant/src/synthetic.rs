//! Models of known shapes with random weights: for measuring the speed of sizes that are not at hand. They say nothing.
//!
//! What is read a token and how it is computed depend on shapes and types alone, so that throughput is that of a real file
//! of the same layout. Weights are drawn once a type and repeated: a random block costs as much to compute with as any other,
//! and making seven billion of them does not take longer than writing them.

use std::io::Write;
use std::path::Path;

use crate::ggml::{self, GgmlType};
use crate::gguf::{Metadata, Writer};
use crate::quantize::FileType;
use crate::{Error, Result};

/// Values drawn a type: rows of any width are cut from their blocks.
const DRAWN: usize = 1 << 20;
/// Largest magnitude of a weight: small enough that sums over 16,384 of them stay finite in half precision.
const MAGNITUDE: f32 = 0.04;

/// A shape of the llama architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// What it goes by.
    pub name: &'static str,
    /// Tokens of the vocabulary.
    pub n_vocab: u32,
    /// Width of a hidden state.
    pub n_embd: u32,
    /// Width of the feed-forward state.
    pub n_ff: u32,
    /// Layers.
    pub n_layer: u32,
    /// Heads.
    pub n_head: u32,
    /// Heads of keys and values.
    pub n_head_kv: u32,
    /// Length of context.
    pub n_ctx: u32,
    /// Whether the matrix that makes logits is the embedding.
    pub is_tied: bool,
}

const fn shape(name: &'static str, dims: [u32; 7], is_tied: bool) -> Shape {
    let [n_vocab, n_embd, n_ff, n_layer, n_head, n_head_kv, n_ctx] = dims;
    Shape {
        name,
        n_vocab,
        n_embd,
        n_ff,
        n_layer,
        n_head,
        n_head_kv,
        n_ctx,
        is_tied,
    }
}

/// Shapes by name, as their authors published them; `llama-tiny` is for tests.
pub const SHAPES: [Shape; 8] = [
    shape("llama-tiny", [512, 256, 512, 2, 4, 2, 512], false),
    shape("smollm2-135m", [49_152, 576, 1536, 30, 9, 3, 8192], true),
    shape("smollm2-1.7b", [49_152, 2048, 8192, 24, 32, 32, 8192], true),
    shape(
        "tinyllama-1.1b",
        [32_000, 2048, 5632, 22, 32, 4, 2048],
        false,
    ),
    shape(
        "llama3.2-3b",
        [128_256, 3072, 8192, 28, 24, 8, 131_072],
        true,
    ),
    shape("llama-7b", [32_000, 4096, 11_008, 32, 32, 32, 4096], false),
    shape("llama3-8b", [128_256, 4096, 14_336, 32, 32, 8, 8192], false),
    shape("llama-13b", [32_000, 5120, 13_824, 40, 40, 40, 4096], false),
];

/// A tensor of the file.
struct Planned {
    name: String,
    shape: Vec<u64>,
    ty: GgmlType,
}

impl Shape {
    /// The shape of that name.
    pub fn of(name: &str) -> Option<Self> {
        SHAPES.into_iter().find(|shape| shape.name == name)
    }

    fn tensors(&self, file_type: FileType) -> Vec<Planned> {
        let (embd, ff) = (u64::from(self.n_embd), u64::from(self.n_ff));
        let (vocab, kv) = (
            u64::from(self.n_vocab),
            embd / u64::from(self.n_head) * u64::from(self.n_head_kv),
        );
        let base = file_type.base();
        // As llama-quantize has it for files of k-quants; others have one type.
        let head = match is_mix(file_type) {
            true => GgmlType::Q6_K,
            false => base,
        };
        let tensor = |name: String, shape: &[u64], ty| Planned {
            name,
            shape: shape.to_vec(),
            ty: fitting(ty, shape),
        };
        let embedding = if self.is_tied { head } else { base };
        let mut all = vec![tensor(
            "token_embd.weight".into(),
            &[embd, vocab],
            embedding,
        )];
        for layer in 0..self.n_layer {
            let more = match is_mix(file_type) && more_bits(layer, self.n_layer) {
                true => GgmlType::Q6_K,
                false => base,
            };
            let matrices = [
                ("attn_q", [embd, embd], base),
                ("attn_k", [embd, kv], base),
                ("attn_v", [embd, kv], more),
                ("attn_output", [embd, embd], base),
                ("ffn_gate", [embd, ff], base),
                ("ffn_up", [embd, ff], base),
                ("ffn_down", [ff, embd], more),
            ];
            for (name, shape, ty) in matrices {
                all.push(tensor(format!("blk.{layer}.{name}.weight"), &shape, ty));
            }
            for name in ["attn_norm", "ffn_norm"] {
                all.push(tensor(
                    format!("blk.{layer}.{name}.weight"),
                    &[embd],
                    GgmlType::F32,
                ));
            }
        }
        all.push(tensor("output_norm.weight".into(), &[embd], GgmlType::F32));
        if !self.is_tied {
            all.push(tensor("output.weight".into(), &[embd, vocab], head));
        }
        all
    }

    /// Bytes of all tensors in such a file.
    pub fn n_bytes(&self, file_type: FileType) -> u64 {
        self.tensors(file_type)
            .iter()
            .filter_map(|tensor| tensor.ty.bytes_for(tensor.shape.iter().product()))
            .sum()
    }

    /// Parameters.
    pub fn n_params(&self) -> u64 {
        let tensors = self.tensors(FileType::Q8_0);
        tensors
            .iter()
            .map(|t| t.shape.iter().product::<u64>())
            .sum()
    }

    fn metadata(&self, file_type: FileType) -> Metadata {
        let mut metadata = Metadata::new();
        let name = format!("{} with random weights", self.name);
        metadata.set("general.architecture", "llama");
        metadata.set("general.name", name.as_str());
        metadata.set("general.file_type", file_type.id());
        metadata.set("tokenizer.ggml.model", "none");
        metadata.set("llama.attention.layer_norm_rms_epsilon", 1e-5_f32);
        metadata.set("llama.rope.freq_base", 10_000_f32);
        let numbers = [
            ("vocab_size", self.n_vocab),
            ("context_length", self.n_ctx),
            ("embedding_length", self.n_embd),
            ("feed_forward_length", self.n_ff),
            ("block_count", self.n_layer),
            ("attention.head_count", self.n_head),
            ("attention.head_count_kv", self.n_head_kv),
            ("rope.dimension_count", self.n_embd / self.n_head),
        ];
        for (key, number) in numbers {
            metadata.set(format!("llama.{key}"), number);
        }
        metadata
    }

    /// Writes such a file, a tensor at a time. `progress` gets bytes done and says whether to go on. Returns its size.
    ///
    /// # Errors
    ///
    /// [`Error::Convert`] for a type that cannot be made, [`Error::Io`], [`Error::Cancelled`].
    pub fn write(
        &self,
        file_type: FileType,
        path: &Path,
        progress: &dyn Fn(u64) -> bool,
    ) -> Result<u64> {
        let tensors = self.tensors(file_type);
        let mut drawn: Vec<(GgmlType, Vec<u8>)> = Vec::new();
        for tensor in &tensors {
            if drawn.iter().all(|(ty, _)| *ty != tensor.ty) {
                drawn.push((tensor.ty, draw(tensor.ty)?));
            }
        }
        let done = std::cell::Cell::new(0_u64);
        let mut writer = Writer::new(self.metadata(file_type));
        for (number, tensor) in tensors.iter().enumerate() {
            let n = tensor.ty.bytes_for(tensor.shape.iter().product());
            let blocks = drawn.iter().find(|(ty, _)| *ty == tensor.ty);
            let (Some(n), Some((ty, blocks))) = (n, blocks) else {
                return Err(Error::Convert {
                    ty: tensor.ty,
                    reason: format!("tensor {} has no whole blocks", tensor.name),
                });
            };
            let (norm, done) = (tensor.shape.len() == 1, &done);
            // Each tensor begins elsewhere, so that they are not alike.
            let skip = number * 37 % (blocks.len() / ty.block_bytes()) * ty.block_bytes();
            writer.stream(tensor.name.as_str(), &tensor.shape, *ty, move |out| {
                let ones = 1_f32.to_le_bytes().repeat(if norm { DRAWN } else { 0 });
                let blocks = if norm { &ones } else { blocks };
                repeat(out, blocks, if norm { 0 } else { skip }, n, path)?;
                done.set(done.get() + n);
                match progress(done.get()) {
                    true => Ok(()),
                    false => Err(Error::Cancelled),
                }
            });
        }
        writer.write(path)
    }
}

/// Whether files of this name mix types.
fn is_mix(file_type: FileType) -> bool {
    file_type.name().ends_with("_K_M")
}

/// llama-quantize's `use_more_bits`: the first and last eighth, and every third layer between.
fn more_bits(layer: u32, n: u32) -> bool {
    layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2
}

/// The type, or one whose blocks rows are a whole number of.
fn fitting(ty: GgmlType, shape: &[u64]) -> GgmlType {
    match shape.first() {
        Some(columns) if columns.is_multiple_of(ty.block_size() as u64) => ty,
        _ => GgmlType::Q8_0,
    }
}

/// Blocks of random values, the same in every run.
fn draw(ty: GgmlType) -> Result<Vec<u8>> {
    let mut state = 1_u64;
    let mut values = Vec::with_capacity(DRAWN);
    for _ in 0..DRAWN {
        // Knuth's MMIX generator.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let unit = (state >> 40) as f32 / (1_u32 << 24) as f32;
        values.push((2.0 * unit - 1.0) * MAGNITUDE);
    }
    ggml::quantize(ty, &values, 256)
}

/// Writes `n` bytes of `blocks`, over and over from `skip` on.
fn repeat(out: &mut dyn Write, blocks: &[u8], skip: usize, n: u64, path: &Path) -> Result<()> {
    let mut from = skip;
    let mut left = n;
    while left > 0 {
        let rest = &blocks[from..];
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        out.write_all(&rest[..take]).map_err(|cause| Error::Io {
            path: path.to_owned(),
            cause,
        })?;
        left -= take as u64;
        from = 0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Gguf;

    #[test]
    fn sizes_are_those_of_the_published_models() {
        let billions = |name: &str| Shape::of(name).unwrap().n_params() as f64 / 1e9;
        for (name, published) in [
            ("smollm2-135m", 0.1345),
            ("tinyllama-1.1b", 1.1),
            ("llama-7b", 6.738),
            ("llama3-8b", 8.03),
            ("llama-13b", 13.016),
        ] {
            assert!((billions(name) / published - 1.0).abs() < 0.002, "{name}");
        }
        // llama-2-7b.Q4_K_M.gguf as it is published has 4,081,004,224 bytes, with its vocabulary.
        let bytes = Shape::of("llama-7b").unwrap().n_bytes(FileType::Q4_K_M);
        assert!((4.07e9..4.082e9).contains(&(bytes as f64)), "{bytes}");
    }

    #[test]
    fn a_file_is_read_back_and_its_weights_are_finite() {
        let scratch = tempfile::tempdir().unwrap();
        let shape = Shape::of("llama-tiny").unwrap();
        for file_type in [
            FileType::Q4_K_M,
            FileType::Q8_0,
            FileType::Q4_1,
            FileType::F16,
        ] {
            let path = scratch.path().join(file_type.name());
            let n = shape.write(file_type, &path, &|_| true).unwrap();
            let file = Gguf::open(&path).unwrap();
            assert_eq!(file.file_len(), n);
            let bytes: u64 = file.tensors().iter().map(|t| t.n_bytes).sum();
            assert_eq!(bytes, shape.n_bytes(file_type));
            for tensor in file.tensors() {
                let values = file.tensor_values(tensor).unwrap();
                assert!(
                    values.iter().all(|value| value.is_finite()),
                    "{}",
                    tensor.name
                );
                let is_norm = tensor.shape.len() == 1;
                assert_eq!(values.iter().all(|value| *value == 1.0), is_norm);
            }
        }
    }

    #[test]
    fn writing_can_be_stopped_and_leaves_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        let shape = Shape::of("llama-tiny").unwrap();
        let stopped = shape.write(FileType::Q8_0, &path, &|done| done < 100_000);
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
