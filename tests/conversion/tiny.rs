//! Tiny random models of each architecture: their weights in Hugging Face's layout, and the GGUF file that llama.cpp's
//! own converter would make of them.

use std::collections::BTreeMap;
use std::path::Path;

use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Array, Metadata, StringArray, Value, Writer};

pub const N_EMBD: usize = 32;
pub const N_FF: usize = 48;
pub const N_HEADS: usize = 4;
pub const N_KV_HEADS: usize = 2;
pub const HEAD: usize = 8;
pub const N_LAYERS: usize = 3;
/// `<unk>`, `<s>`, `</s>` and a token for each byte.
pub const N_VOCAB: usize = 3 + 256;
pub const EPSILON: f32 = 1e-5;
pub const ROPE_BASE: f32 = 10_000.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    Llama,
    Qwen2,
    Qwen3,
    Gemma3,
}

impl Arch {
    pub const ALL: [Self; 4] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma3];

    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
        }
    }

    pub fn has_biases(self) -> bool {
        self == Self::Qwen2
    }

    pub fn has_head_norms(self) -> bool {
        matches!(self, Self::Qwen3 | Self::Gemma3)
    }

    pub fn has_post_norms(self) -> bool {
        self == Self::Gemma3
    }
}

/// `(module, weight, columns, rows)` of the linear layers.
pub const LINEAR: [(&str, &str, usize, usize); 7] = [
    ("self_attn.q_proj", "attn_q", N_EMBD, N_HEADS * HEAD),
    ("self_attn.k_proj", "attn_k", N_EMBD, N_KV_HEADS * HEAD),
    ("self_attn.v_proj", "attn_v", N_EMBD, N_KV_HEADS * HEAD),
    ("self_attn.o_proj", "attn_output", N_HEADS * HEAD, N_EMBD),
    ("mlp.gate_proj", "ffn_gate", N_EMBD, N_FF),
    ("mlp.up_proj", "ffn_up", N_EMBD, N_FF),
    ("mlp.down_proj", "ffn_down", N_FF, N_EMBD),
];

/// A reproducible source of numbers: xorshift64*.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Between -1 and 1.
    pub fn next(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40;
        bits as f32 / (1_u64 << 23) as f32 - 1.0
    }

    pub fn many(&mut self, n: usize, size: f32) -> Vec<f32> {
        (0..n).map(|_| self.next() * size).collect()
    }
}

/// A matrix in rows, as Hugging Face has it.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub values: Vec<f32>,
    pub cols: usize,
}

impl Matrix {
    pub fn rows(&self) -> usize {
        self.values.len() / self.cols
    }
}

/// Weights by module name, such as `layers.0.self_attn.q_proj`; vectors have one column.
#[derive(Debug, Clone)]
pub struct Model {
    pub arch: Arch,
    pub tied: bool,
    pub weights: BTreeMap<String, Matrix>,
}

impl Model {
    pub fn random(arch: Arch, tied: bool, seed: u64) -> Self {
        let mut noise = Noise::new(seed);
        let mut weights = BTreeMap::new();
        let mut add = |name: String, cols: usize, rows: usize, size: f32, around: f32| {
            let mut values = noise.many(cols * rows, size);
            values.iter_mut().for_each(|value| *value += around);
            weights.insert(name, Matrix { values, cols });
        };
        add("embed_tokens".into(), N_EMBD, N_VOCAB, 0.5, 0.0);
        add("norm".into(), 1, N_EMBD, 0.2, 1.0);
        if !tied {
            add("lm_head".into(), N_EMBD, N_VOCAB, 0.5, 0.0);
        }
        for layer in 0..N_LAYERS {
            for (module, _, cols, rows) in LINEAR {
                let size = 1.5 / (cols as f32).sqrt();
                add(format!("layers.{layer}.{module}"), cols, rows, size, 0.0);
                if arch.has_biases()
                    && matches!(
                        module,
                        "self_attn.q_proj" | "self_attn.k_proj" | "self_attn.v_proj"
                    )
                {
                    add(format!("layers.{layer}.{module}.bias"), 1, rows, 0.3, 0.0);
                }
            }
            for (name, _, n, used) in norms(arch) {
                if used {
                    add(format!("layers.{layer}.{name}"), 1, n, 0.2, 1.0);
                }
            }
        }
        Self {
            arch,
            tied,
            weights,
        }
    }

    pub fn get(&self, name: &str) -> &Matrix {
        &self.weights[name]
    }

    /// Writes the model as F32.
    pub fn write(&self, path: &Path) {
        self.write_with(path, self.metadata());
    }

    /// As [`Self::write`], where every other layer sees a window of so many tokens, and turns by other frequencies.
    #[allow(dead_code)] // not every test that has this file uses it
    pub fn write_windowed(&self, path: &Path, window: u32) {
        let name = self.arch.name();
        let mut metadata = self.metadata();
        metadata
            .set(format!("{name}.attention.sliding_window"), window)
            .set(format!("{name}.attention.sliding_window_pattern"), 2_u32)
            .set(format!("{name}.rope.freq_base_swa"), 50.0_f32);
        self.write_with(path, metadata);
    }

    /// As [`Self::write`], with a chat template, and room for long texts.
    #[allow(dead_code)]
    pub fn write_chatting(&self, path: &Path) {
        const TEMPLATE: &str = "{{ bos_token }}{% for message in messages %}{% if message.role == 'assistant' %}\
            {{ message.content }}{{ eos_token }}{% else %}{{ message.content }}\n{% endif %}{% endfor %}";
        let mut metadata = self.metadata();
        metadata
            .set(format!("{}.context_length", self.arch.name()), 2048_u32)
            .set("tokenizer.chat_template", TEMPLATE)
            .set("tokenizer.ggml.add_space_prefix", false);
        self.write_with(path, metadata);
    }

    fn write_with(&self, path: &Path, metadata: Metadata) {
        let mut writer = Writer::new(metadata);
        let mut tensor = |name: String, matrix: &Matrix| {
            let bytes: Vec<u8> = matrix.values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let shape = match matrix.cols {
                1 => vec![matrix.rows() as u64],
                cols => vec![cols as u64, matrix.rows() as u64],
            };
            writer.tensor(name, &shape, GgmlType::F32, bytes);
        };
        tensor("token_embd.weight".into(), self.get("embed_tokens"));
        tensor("output_norm.weight".into(), self.get("norm"));
        if !self.tied {
            tensor("output.weight".into(), self.get("lm_head"));
        }
        for layer in 0..N_LAYERS {
            for (module, name, ..) in LINEAR {
                let heads = match module {
                    "self_attn.q_proj" => N_HEADS,
                    "self_attn.k_proj" => N_KV_HEADS,
                    _ => 0,
                };
                let weight = self.get(&format!("layers.{layer}.{module}"));
                let weight = if self.arch == Arch::Llama && heads > 0 {
                    &neighbours(weight, heads)
                } else {
                    weight
                };
                tensor(format!("blk.{layer}.{name}.weight"), weight);
                if let Some(bias) = self.weights.get(&format!("layers.{layer}.{module}.bias")) {
                    tensor(format!("blk.{layer}.{name}.bias"), bias);
                }
            }
            for (module, name, _, used) in norms(self.arch) {
                if used {
                    let norm = self.get(&format!("layers.{layer}.{module}"));
                    tensor(format!("blk.{layer}.{name}.weight"), norm);
                }
            }
        }
        writer.write(path).expect("the model is written");
    }

    fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        let name = self.arch.name();
        metadata
            .set("general.architecture", name)
            .set(format!("{name}.block_count"), N_LAYERS as u32)
            .set(format!("{name}.context_length"), 128_u32)
            .set(format!("{name}.embedding_length"), N_EMBD as u32)
            .set(format!("{name}.feed_forward_length"), N_FF as u32)
            .set(format!("{name}.attention.head_count"), N_HEADS as u32)
            .set(format!("{name}.attention.head_count_kv"), N_KV_HEADS as u32)
            .set(format!("{name}.attention.key_length"), HEAD as u32)
            .set(format!("{name}.attention.value_length"), HEAD as u32)
            .set(format!("{name}.rope.dimension_count"), HEAD as u32)
            .set(format!("{name}.rope.freq_base"), ROPE_BASE)
            .set(format!("{name}.attention.layer_norm_rms_epsilon"), EPSILON);
        vocabulary(&mut metadata);
        metadata
    }
}

/// `(module, weight, length, whether the architecture has it)` of a layer's norms.
fn norms(arch: Arch) -> [(&'static str, &'static str, usize, bool); 6] {
    // Gemma 3 calls the norm after attention what others call the one before the feed-forward network.
    [
        ("input_layernorm", "attn_norm", N_EMBD, true),
        ("pre_feedforward_layernorm", "ffn_norm", N_EMBD, true),
        (
            "self_attn.q_norm",
            "attn_q_norm",
            HEAD,
            arch.has_head_norms(),
        ),
        (
            "self_attn.k_norm",
            "attn_k_norm",
            HEAD,
            arch.has_head_norms(),
        ),
        (
            "post_attention_layernorm",
            "post_attention_norm",
            N_EMBD,
            arch.has_post_norms(),
        ),
        (
            "post_feedforward_layernorm",
            "post_ffw_norm",
            N_EMBD,
            arch.has_post_norms(),
        ),
    ]
}

/// What llama.cpp's converter does with q and k of the `llama` architecture: the halves of each head take turns.
fn neighbours(weight: &Matrix, heads: usize) -> Matrix {
    let head = weight.rows() / heads;
    let mut values = Vec::with_capacity(weight.values.len());
    for first in (0..weight.rows()).step_by(head) {
        for i in 0..head / 2 {
            for row in [first + i, first + head / 2 + i] {
                values
                    .extend_from_slice(&weight.values[row * weight.cols..(row + 1) * weight.cols]);
            }
        }
    }
    Matrix {
        values,
        cols: weight.cols,
    }
}

fn vocabulary(metadata: &mut Metadata) {
    const UNKNOWN: i32 = 2;
    const CONTROL: i32 = 3;
    const BYTE: i32 = 6;
    let mut tokens = StringArray::default();
    let mut kinds = Vec::new();
    for (token, kind) in [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)] {
        tokens.push(token);
        kinds.push(kind);
    }
    for byte in 0..=255 {
        tokens.push(&format!("<0x{byte:02X}>"));
        kinds.push(BYTE);
    }
    metadata
        .set("tokenizer.ggml.model", "llama")
        .set("tokenizer.ggml.tokens", tokens)
        .set(
            "tokenizer.ggml.scores",
            Value::Array(Array::F32(vec![0.0; N_VOCAB])),
        )
        .set("tokenizer.ggml.token_type", Value::Array(Array::I32(kinds)))
        .set("tokenizer.ggml.bos_token_id", 1_u32)
        .set("tokenizer.ggml.eos_token_id", 2_u32);
}
