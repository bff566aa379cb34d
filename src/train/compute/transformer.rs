//! The whole model: from tokens to hidden states, and back to the gradients of the adapter.

use super::base::Base;
use super::head::{self, Scored};
use super::layer::{Layer, Saved};
use super::lora::Lora;
use super::loss::{self, Fit};
use super::norm;
use super::pack::Pack;
use super::rope::Rope;
use crate::{Error, Result};

/// How much of the forward pass is kept for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All that it needs: the fastest.
    All,
    /// What goes into each layer; the rest is computed again (gradient checkpointing, Chen et al., arXiv 1604.06174).
    /// A third more time, a tenth of the memory.
    Inputs,
    /// Nothing: there will be no backward pass.
    Nothing,
}

/// A model to train on.
#[derive(Debug)]
pub struct Transformer {
    base: Base,
    rope: Rope,
    /// Of layers that see a window.
    window_rope: Option<Rope>,
    max_len: usize,
}

/// A forward pass.
pub struct Trace<'a> {
    pack: &'a Pack,
    lora: Option<&'a Lora>,
    layers: Vec<Kept>,
    /// What comes out of the last layer.
    last: Vec<f32>,
}

enum Kept {
    All(Box<Saved>),
    Input(Vec<f32>),
}

impl Transformer {
    /// A model for sequences of at most `max_len` tokens; of fewer where layers see a window of fewer: within it they see
    /// everything.
    #[must_use]
    pub fn new(base: Base, max_len: usize) -> Self {
        let (shape, factors) = (base.shape(), base.rope_factors.as_deref());
        let window = shape.window;
        let max_len = window.map_or(max_len, |window| max_len.min(window.n_tokens));
        let rope = |base| Rope::new(shape, base, factors, max_len);
        Self {
            rope: rope(shape.rope_base),
            window_rope: window.map(|window| rope(window.rope_base)),
            max_len,
            base,
        }
    }

    /// Tokens of the longest sequence.
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// The weights.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Computes the hidden states of all tokens, under the adapter if there is one.
    ///
    /// # Errors
    /// [`Error::ContextFull`] for a sequence that is too long, [`Error::InvalidArgument`] for a token that is not of the
    /// vocabulary.
    pub fn forward<'a>(
        &self,
        pack: &'a Pack,
        lora: Option<&'a Lora>,
        keep: Keep,
    ) -> Result<Trace<'a>> {
        let mut x = self.embed(pack)?;
        let mut layers = Vec::new();
        for index in 0..self.base.layers.len() {
            let (y, saved) = self.layer(index, lora, pack).forward(x);
            x = y;
            match keep {
                Keep::All => layers.push(Kept::All(Box::new(saved))),
                Keep::Inputs => layers.push(Kept::Input(saved.into_input())),
                Keep::Nothing => {}
            }
        }
        Ok(Trace {
            pack,
            lora,
            layers,
            last: x,
        })
    }

    /// The logits of some rows of the pack, one row of the vocabulary's size each.
    #[must_use]
    pub fn logits(&self, trace: &Trace, rows: &[usize]) -> Vec<f32> {
        head::logits(&self.base, &self.normed(trace, rows))
    }

    /// How well what comes after each of some rows fits.
    pub(in crate::train) fn fits(
        &self,
        trace: &Trace,
        rows: &[usize],
        targets: impl Iterator<Item = u32>,
    ) -> Vec<Fit> {
        let logits = self.logits(trace, rows);
        let rows = logits.chunks_exact(self.base.shape().n_vocab);
        rows.zip(targets)
            .map(|(row, target)| loss::fit(row, target))
            .collect()
    }

    /// Scores rows of a forward pass, adds the gradient of the weighted sum of their losses to `gradients`, and gives
    /// the losses, unweighted, in the order of `scored`.
    pub fn backward(&self, trace: Trace, scored: &[Scored], gradients: &mut [f32]) -> Vec<f64> {
        let rows: Vec<usize> = scored.iter().map(|one| one.row).collect();
        let (losses, d_normed) = head::score(&self.base, &self.normed(&trace, &rows), scored);
        let n = self.base.shape().n_embd;
        let mut d_rows = vec![0.0; trace.last.len()];
        for (&row, d) in rows.iter().zip(d_normed.chunks_exact(n)) {
            let place = &mut d_rows[row * n..][..n];
            place.iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
        }
        let mut d = vec![0.0; trace.last.len()];
        let shape = self.base.shape();
        norm::backward(
            &mut d,
            &d_rows,
            &trace.last,
            &self.base.output_norm,
            shape.epsilon,
        );
        for (index, kept) in trace.layers.into_iter().enumerate().rev() {
            let layer = self.layer(index, trace.lora, trace.pack);
            let saved = match kept {
                Kept::All(saved) => saved,
                Kept::Input(x) => Box::new(layer.forward(x).1),
            };
            d = layer.backward(&saved, d, gradients);
        }
        losses
    }

    fn layer<'a>(&'a self, index: usize, lora: Option<&'a Lora>, pack: &'a Pack) -> Layer<'a> {
        let shape = self.base.shape();
        let is_window = shape.window.is_some_and(|window| window.is_of(index));
        let window_rope = self.window_rope.as_ref().filter(|_| is_window);
        Layer {
            index,
            shape,
            weights: &self.base.layers[index],
            lora,
            rope: window_rope.unwrap_or(&self.rope),
            pack,
        }
    }

    fn embed(&self, pack: &Pack) -> Result<Vec<f32>> {
        if pack.longest() > self.max_len {
            return Err(Error::ContextFull {
                n_tokens: pack.longest(),
                n_ctx: self.max_len,
            });
        }
        let (n, scale) = (self.base.shape().n_embd, self.base.shape().embedding_scale);
        let mut x = Vec::with_capacity(pack.tokens().len() * n);
        for &token in pack.tokens() {
            let start = token as usize * n;
            let row = self.base.embedding.get(start..start + n);
            let row = row.ok_or_else(|| Error::InvalidArgument {
                what: "token",
                value: token.to_string(),
                expected: format!("below {}", self.base.shape().n_vocab),
            })?;
            x.extend(row.iter().map(|value| value * scale));
        }
        Ok(x)
    }

    /// Chosen rows of the last layer's result, normed.
    fn normed(&self, trace: &Trace, rows: &[usize]) -> Vec<f32> {
        let n = self.base.shape().n_embd;
        let mut chosen = Vec::with_capacity(rows.len() * n);
        for &row in rows {
            chosen.extend_from_slice(&trace.last[row * n..][..n]);
        }
        norm::forward(&chosen, &self.base.output_norm, self.base.shape().epsilon)
    }
}
