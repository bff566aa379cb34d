//! The frozen weights, as floats.

use std::collections::HashSet;

use unforget_quant::gguf::{Gguf, TensorInfo};

use super::lora::Target;
use super::shape::Shape;
use crate::{Error, Result};

/// A linear layer: `n_out` rows of `n_in` values.
#[derive(Debug)]
pub(super) struct Weight {
    pub(super) values: Vec<f32>,
    pub(super) n_in: usize,
    pub(super) n_out: usize,
    pub(super) bias: Option<Vec<f32>>,
}

/// What a layer computes with.
#[derive(Debug)]
pub(super) struct LayerWeights {
    pub(super) attention_norm: Vec<f32>,
    pub(super) feed_forward_norm: Vec<f32>,
    pub(super) query_norm: Option<Vec<f32>>,
    pub(super) key_norm: Option<Vec<f32>>,
    /// Norms of what attention and feed-forward network add, where the architecture has them.
    pub(super) attention_post_norm: Option<Vec<f32>>,
    pub(super) feed_forward_post_norm: Option<Vec<f32>>,
    linear: [Weight; Target::ALL.len()],
}

impl LayerWeights {
    pub(super) fn linear(&self, target: Target) -> &Weight {
        &self.linear[target as usize]
    }
}

/// A whole model, dequantized.
#[derive(Debug)]
pub struct Base {
    shape: Shape,
    pub(super) embedding: Vec<f32>,
    /// `None` where the embedding serves as the head, too.
    pub(super) own_head: Option<Vec<f32>>,
    pub(super) output_norm: Vec<f32>,
    /// Divisors of the rotary frequencies, as Llama 3.1 has them.
    pub(super) rope_factors: Option<Vec<f32>>,
    pub(super) layers: Vec<LayerWeights>,
}

impl Base {
    /// Dequantizes `gguf`.
    ///
    /// # Errors
    /// As [`Shape::of`], and [`Error::Format`] where a tensor is missing, has another shape than the metadata say, or is
    /// one that takes no part in the computation that is written here: nothing is left out silently.
    pub fn load(gguf: &Gguf) -> Result<Self> {
        let shape = Shape::of(gguf)?;
        let mut reader = Reader {
            gguf,
            read: HashSet::new(),
        };
        let base = Self {
            embedding: reader.matrix("token_embd.weight", shape.n_embd, shape.n_vocab)?,
            own_head: reader.optional("output.weight", &[shape.n_embd, shape.n_vocab])?,
            output_norm: reader.vector("output_norm.weight", shape.n_embd)?,
            rope_factors: reader.optional("rope_freqs.weight", &[shape.n_rot / 2])?,
            layers: (0..shape.n_layers)
                .map(|layer| reader.layer(&shape, layer))
                .collect::<Result<_>>()?,
            shape,
        };
        reader.nothing_left()?;
        Ok(base)
    }

    /// The sizes.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What hidden states are multiplied with to become logits: a row for each token of the vocabulary.
    pub(super) fn head(&self) -> &[f32] {
        self.own_head.as_deref().unwrap_or(&self.embedding)
    }

    /// Bytes that the matrices take as floats.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let head = self.own_head.as_ref().map_or(0, Vec::len);
        let layers = self.layers.iter().flat_map(|layer| &layer.linear);
        let linear: usize = layers.map(|weight| weight.values.len()).sum();
        4 * (self.embedding.len() + head + linear) as u64
    }

    /// Parameters of an adapter on it.
    #[must_use]
    pub fn n_parameters(&self, rank: usize, targets: &[Target]) -> usize {
        let pairs = targets.iter().map(|target| {
            let (n_in, n_out) = target.sizes(&self.shape);
            rank * (n_in + n_out)
        });
        self.shape.n_layers * pairs.sum::<usize>()
    }
}

/// Reads tensors by name and remembers which.
struct Reader<'a> {
    gguf: &'a Gguf,
    read: HashSet<&'a str>,
}

impl<'a> Reader<'a> {
    fn layer(&mut self, shape: &Shape, layer: usize) -> Result<LayerWeights> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let mut linear = Vec::with_capacity(Target::ALL.len());
        for target in Target::ALL {
            let (n_in, n_out) = target.sizes(shape);
            linear.push(Weight {
                values: self.matrix(&target.weight(layer), n_in, n_out)?,
                n_in,
                n_out,
                bias: self.optional(
                    &format!("blk.{layer}.{}.bias", target.gguf_name()),
                    &[n_out],
                )?,
            });
        }
        let linear = linear
            .try_into()
            .map_err(|_| Error::Engine("a layer has seven weights".to_owned()))?;
        Ok(LayerWeights {
            attention_norm: self.vector(&name("attn_norm"), shape.n_embd)?,
            feed_forward_norm: self.vector(&name("ffn_norm"), shape.n_embd)?,
            query_norm: self.optional(&name("attn_q_norm"), &[shape.head_dim])?,
            key_norm: self.optional(&name("attn_k_norm"), &[shape.head_dim])?,
            attention_post_norm: self.optional(&name("post_attention_norm"), &[shape.n_embd])?,
            feed_forward_post_norm: self.optional(&name("post_ffw_norm"), &[shape.n_embd])?,
            linear,
        })
    }

    fn matrix(&mut self, name: &str, n_in: usize, n_out: usize) -> Result<Vec<f32>> {
        self.required(name, &[n_in, n_out])
    }

    fn vector(&mut self, name: &str, n: usize) -> Result<Vec<f32>> {
        self.required(name, &[n])
    }

    fn required(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.optional(name, shape)?
            .ok_or_else(|| self.invalid(format!("it has no {name}")))
    }

    fn optional(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        let gguf = self.gguf;
        let Some(tensor) = gguf.tensor(name) else {
            return Ok(None);
        };
        if !has_shape(tensor, shape) {
            return Err(self.invalid(format!(
                "{name} has the shape {:?}, not {shape:?} as its metadata say",
                tensor.shape
            )));
        }
        self.read.insert(&tensor.name);
        let values = gguf.tensor_values(tensor)?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(Error::Format(unforget_quant::Error::NonFinite {
                path: gguf.path().to_owned(),
                tensor: name.to_owned(),
                index,
                value: values[index],
            })),
            None => Ok(Some(values)),
        }
    }

    fn nothing_left(&self) -> Result<()> {
        let mut names = self.gguf.tensors().iter().map(|tensor| &tensor.name);
        match names.find(|name| !self.read.contains(name.as_str())) {
            Some(name) => Err(Error::Format(unforget_quant::Error::Unsupported {
                path: self.gguf.path().to_owned(),
                reason: format!("tensor {name}, which training does not know"),
            })),
            None => Ok(()),
        }
    }

    fn invalid(&self, reason: String) -> Error {
        Error::Format(unforget_quant::Error::Invalid {
            path: self.gguf.path().to_owned(),
            reason,
        })
    }
}

fn has_shape(tensor: &TensorInfo, shape: &[usize]) -> bool {
    tensor.shape.len() == shape.len()
        && tensor.shape.iter().zip(shape).all(|(&a, &b)| a == b as u64)
}
