//! What a GGUF file says about the transformer inside, and which ones can be trained on.

use unforget_quant::gguf::Gguf;

use super::feed_forward::Gate;
use crate::{Error, Result};

/// Architectures whose backward pass is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// LLaMA and what is built like it, such as SmolLM2.
    Llama,
    /// Qwen 2 and 2.5: biases on q, k and v.
    Qwen2,
    /// Qwen 3: norms on the heads of q and k.
    Qwen3,
    /// Gemma 3: norms also behind attention and feed-forward network, GELU, layers that see a window.
    Gemma3,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma3];

    /// As `general.architecture` says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
        }
    }

    /// Whether the rotary embedding turns neighbours (`2i`, `2i + 1`), as GGUF has it for `llama`, and not the halves of
    /// a head (`i`, `i + n / 2`).
    pub(super) fn rotates_neighbours(self) -> bool {
        self == Self::Llama
    }

    /// What gates the feed-forward network.
    pub(super) fn gate(self) -> Gate {
        match self {
            Self::Gemma3 => Gate::Gelu,
            Self::Llama | Self::Qwen2 | Self::Qwen3 => Gate::Silu,
        }
    }
}

/// Sizes of a transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Its family.
    pub architecture: Architecture,
    /// Layers.
    pub n_layers: usize,
    /// Values of a token between layers.
    pub n_embd: usize,
    /// Values inside of the feed-forward network.
    pub n_ff: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads.
    pub n_kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Values of a head that are rotated.
    pub n_rot: usize,
    /// Entries of the vocabulary.
    pub n_vocab: usize,
    /// What the norms add to the mean square.
    pub epsilon: f32,
    /// Base of the rotary embedding's frequencies.
    pub rope_base: f32,
    /// What embeddings are multiplied with.
    pub embedding_scale: f32,
    /// Layers that see a window only.
    pub window: Option<Window>,
}

/// Layers that see the last tokens only, between others that see all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Tokens that they see.
    pub n_tokens: usize,
    /// Every so many layers, the last sees all.
    pub pattern: usize,
    /// Base of their rotary embedding's frequencies.
    pub rope_base: f32,
}

impl Window {
    /// Whether a layer sees a window only.
    #[must_use]
    pub fn is_of(&self, layer: usize) -> bool {
        self.pattern == 0 || layer % self.pattern < self.pattern - 1
    }
}

/// What changes the computation in a way that is not written here.
const REFUSED: &[(&str, &str)] = &[
    ("expert_count", "a mixture of experts"),
    ("attention.clamp_kqv", "clamped projections"),
    ("attention.scale", "an attention scale of its own"),
    ("attn_logit_softcapping", "capped attention scores"),
    ("final_logit_softcapping", "capped logits"),
    ("logit_scale", "scaled logits"),
    ("embedding_scale", "scaled embeddings"),
    ("residual_scale", "scaled residuals"),
];

impl Shape {
    /// Reads the sizes.
    ///
    /// # Errors
    /// [`Error::WrongModelKind`] for an architecture that cannot be trained on, [`Error::Format`] where the metadata lack
    /// a size, contradict themselves or ask for what is not supported.
    pub fn of(gguf: &Gguf) -> Result<Self> {
        let name = gguf.architecture().unwrap_or_default();
        let architecture = Architecture::ALL
            .into_iter()
            .find(|one| one.name() == name)
            .ok_or_else(|| Error::WrongModelKind {
                name: gguf.path().display().to_string(),
                architecture: name.to_owned(),
                purpose: "train an adapter; llama, qwen2, qwen3 and gemma3 can",
            })?;
        let reader = Reader { gguf, name };
        reader.refuse()?;
        let n_embd = reader.size("embedding_length")?;
        let n_heads = reader.size("attention.head_count")?;
        let head_dim = reader
            .optional("attention.key_length")
            .unwrap_or(n_embd / n_heads);
        let embedding = gguf
            .tensor("token_embd.weight")
            .ok_or_else(|| reader.invalid("it has no token_embd.weight".to_owned()))?;
        let shape = Self {
            architecture,
            n_layers: reader.size("block_count")?,
            n_embd,
            n_ff: reader.size("feed_forward_length")?,
            n_heads,
            n_kv_heads: reader
                .optional("attention.head_count_kv")
                .unwrap_or(n_heads),
            head_dim,
            n_rot: reader.optional("rope.dimension_count").unwrap_or(head_dim),
            n_vocab: embedding
                .shape
                .get(1)
                .map_or(0, |&n| usize::try_from(n).unwrap_or(0)),
            epsilon: reader.float("attention.layer_norm_rms_epsilon", 1e-5),
            rope_base: reader.float("rope.freq_base", 10_000.0),
            embedding_scale: match architecture {
                Architecture::Gemma3 => (n_embd as f32).sqrt(),
                Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => 1.0,
            },
            window: reader.window(architecture)?,
        };
        match shape.contradiction() {
            Some(why) => Err(reader.invalid(why)),
            None => Ok(shape),
        }
    }

    fn contradiction(&self) -> Option<String> {
        if self.n_kv_heads == 0 || !self.n_heads.is_multiple_of(self.n_kv_heads) {
            return Some(format!(
                "{} query heads cannot share {} key heads",
                self.n_heads, self.n_kv_heads
            ));
        }
        if self.head_dim == 0 || self.n_rot > self.head_dim || !self.n_rot.is_multiple_of(2) {
            return Some(format!(
                "{} values of heads of {} cannot be rotated",
                self.n_rot, self.head_dim
            ));
        }
        None
    }

    /// Values of all query heads of a token.
    #[must_use]
    pub fn n_query(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Values of all key heads of a token.
    #[must_use]
    pub fn n_key(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }
}

struct Reader<'a> {
    gguf: &'a Gguf,
    name: &'a str,
}

impl Reader<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn optional(&self, key: &str) -> Option<usize> {
        let value = self.gguf.metadata().u32(&self.key(key))?;
        usize::try_from(value).ok().filter(|&n| n > 0)
    }

    fn size(&self, key: &str) -> Result<usize> {
        self.optional(key)
            .ok_or_else(|| self.invalid(format!("it states no single {}", self.key(key))))
    }

    fn float(&self, key: &str, default: f32) -> f32 {
        self.gguf.metadata().f32(&self.key(key)).unwrap_or(default)
    }

    /// As llama.cpp reads it for Gemma 3; no other architecture here has one.
    fn window(&self, architecture: Architecture) -> Result<Option<Window>> {
        const PATTERN: &str = "attention.sliding_window_pattern";
        let Some(n_tokens) = self.optional("attention.sliding_window") else {
            return Ok(None);
        };
        if architecture != Architecture::Gemma3 {
            return Err(self.unsupported("a sliding window"));
        }
        let metadata = self.gguf.metadata();
        let pattern = match metadata.get(&self.key(PATTERN)) {
            None => 6,
            Some(value) => (value.unsigned().and_then(|n| usize::try_from(n).ok()))
                .ok_or_else(|| self.unsupported("a window that is stated for each layer"))?,
        };
        Ok(Some(Window {
            n_tokens,
            pattern,
            rope_base: self.float("rope.freq_base_swa", 10_000.0),
        }))
    }

    fn refuse(&self) -> Result<()> {
        let metadata = self.gguf.metadata();
        for (key, what) in REFUSED {
            if metadata
                .get(&self.key(key))
                .is_some_and(|v| v.unsigned() != Some(0))
            {
                return Err(self.unsupported(what));
            }
        }
        match metadata.str(&self.key("rope.scaling.type")) {
            None | Some("none") => Ok(()),
            Some(other) => Err(self.unsupported(&format!("rotary scaling of type {other}"))),
        }
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::Format(unforget_quant::Error::Unsupported {
            path: self.gguf.path().to_owned(),
            reason: format!("{what}, which training does not know"),
        })
    }

    fn invalid(&self, reason: String) -> Error {
        Error::Format(unforget_quant::Error::Invalid {
            path: self.gguf.path().to_owned(),
            reason,
        })
    }
}
