//! The factors that learn: `W + alpha / rank * B A` for chosen linear layers (LoRA, Hu et al., arXiv 2106.09685).

use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::shape::Shape;
use crate::train::dice::Dice;
use crate::{Error, Result};

/// A linear layer of a transformer's layer. Its names are PEFT's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // each is the projection of its name
pub enum Target {
    QProj,
    KProj,
    VProj,
    OProj,
    GateProj,
    UpProj,
    DownProj,
}

impl Target {
    /// All of them, in the order in which they are used.
    pub const ALL: [Self; 7] = [
        Self::QProj,
        Self::KProj,
        Self::VProj,
        Self::OProj,
        Self::GateProj,
        Self::UpProj,
        Self::DownProj,
    ];

    /// PEFT's name of the module.
    #[must_use]
    pub fn peft_name(self) -> &'static str {
        match self {
            Self::QProj => "q_proj",
            Self::KProj => "k_proj",
            Self::VProj => "v_proj",
            Self::OProj => "o_proj",
            Self::GateProj => "gate_proj",
            Self::UpProj => "up_proj",
            Self::DownProj => "down_proj",
        }
    }

    pub(super) fn gguf_name(self) -> &'static str {
        match self {
            Self::QProj => "attn_q",
            Self::KProj => "attn_k",
            Self::VProj => "attn_v",
            Self::OProj => "attn_output",
            Self::GateProj => "ffn_gate",
            Self::UpProj => "ffn_up",
            Self::DownProj => "ffn_down",
        }
    }

    /// The weight's name in a GGUF file.
    #[must_use]
    pub fn weight(self, layer: usize) -> String {
        format!("blk.{layer}.{}.weight", self.gguf_name())
    }

    /// Columns and rows of the weight.
    #[must_use]
    pub fn sizes(self, shape: &Shape) -> (usize, usize) {
        match self {
            Self::QProj => (shape.n_embd, shape.n_query()),
            Self::KProj | Self::VProj => (shape.n_embd, shape.n_key()),
            Self::OProj => (shape.n_query(), shape.n_embd),
            Self::GateProj | Self::UpProj => (shape.n_embd, shape.n_ff),
            Self::DownProj => (shape.n_ff, shape.n_embd),
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|target| target.peft_name() == text)
            .ok_or_else(|| Error::InvalidArgument {
                what: "target",
                value: text.to_owned(),
                expected: Self::ALL.map(Self::peft_name).join(", "),
            })
    }
}

/// Where the factors of a weight lie among the parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    a: Range<usize>,
    b: Range<usize>,
}

/// An adapter that learns. All its parameters are one vector, so that the optimizer, gradients and checkpoints need not
/// know what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    rank: usize,
    alpha: f32,
    pairs: Vec<[Option<Pair>; Target::ALL.len()]>,
    /// Of each pair A, `rank` rows of `n_in` values, then B, `n_out` rows of `rank`.
    pub values: Vec<f32>,
}

/// The factors of a weight.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    pub(super) a: &'a [f32],
    pub(super) b: &'a [f32],
    pub(super) rank: usize,
    /// `alpha / rank`.
    pub(super) scale: f32,
}

impl Lora {
    /// An adapter without effect, as PEFT begins: B is zero, A uniform within `1 / sqrt(n_in)` (Kaiming's uniform
    /// initialization with `a = sqrt(5)`).
    #[must_use]
    pub fn new(base: &Base, rank: usize, alpha: f32, targets: &[Target], seed: u64) -> Self {
        let shape = base.shape();
        let mut dice = Dice::new(seed);
        let mut values = Vec::new();
        let pairs = (0..shape.n_layers)
            .map(|_| {
                Target::ALL.map(|target| {
                    targets.contains(&target).then(|| {
                        let (n_in, n_out) = target.sizes(shape);
                        let bound = 1.0 / (n_in as f32).sqrt();
                        let start = values.len();
                        values.extend((0..rank * n_in).map(|_| dice.symmetric(bound)));
                        let middle = values.len();
                        values.resize(middle + n_out * rank, 0.0);
                        Pair {
                            a: start..middle,
                            b: middle..values.len(),
                        }
                    })
                })
            })
            .collect();
        Self {
            rank,
            alpha,
            pairs,
            values,
        }
    }

    /// Whether both adapt the same weights, by the same rank and alpha.
    pub(in crate::train) fn is_like(&self, other: &Self) -> bool {
        self.rank == other.rank && self.alpha == other.alpha && self.pairs == other.pairs
    }

    /// The same adapter with `scale` times the effect.
    #[must_use]
    pub fn scaled(&self, scale: f32) -> Self {
        Self {
            alpha: self.alpha * scale,
            ..self.clone()
        }
    }

    /// The rank of every pair.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// What the product is multiplied with, times the rank.
    #[must_use]
    pub fn alpha(&self) -> f32 {
        self.alpha
    }

    /// The factors of a weight, if it is adapted: A in rows of `n_in` values, B in rows of `rank`.
    #[must_use]
    pub fn factors(&self, layer: usize, target: Target) -> Option<(&[f32], &[f32])> {
        let pair = self.pairs.get(layer)?[target as usize].as_ref()?;
        Some((&self.values[pair.a.clone()], &self.values[pair.b.clone()]))
    }

    /// Sets the factors of a weight; false, and nothing changes, where it is not adapted or they have other sizes.
    pub(in crate::train) fn set_factors(
        &mut self,
        layer: usize,
        target: Target,
        a: &[f32],
        b: &[f32],
    ) -> bool {
        let pairs = self.pairs.get(layer).map(|pairs| &pairs[target as usize]);
        let Some(Some(Pair { a: to_a, b: to_b })) = pairs else {
            return false;
        };
        if a.len() != to_a.len() || b.len() != to_b.len() {
            return false;
        }
        self.values[to_a.clone()].copy_from_slice(a);
        self.values[to_b.clone()].copy_from_slice(b);
        true
    }

    pub(super) fn of(&self, layer: usize, target: Target) -> Option<Factors<'_>> {
        let (a, b) = self.factors(layer, target)?;
        Some(Factors {
            a,
            b,
            rank: self.rank,
            scale: self.alpha / self.rank as f32,
        })
    }

    /// Layers of the base.
    pub(in crate::train) fn n_layers(&self) -> usize {
        self.pairs.len()
    }

    /// The places of a weight's factors in a vector of gradients.
    pub(in crate::train) fn split<'g>(
        &self,
        gradients: &'g mut [f32],
        layer: usize,
        target: Target,
    ) -> Option<(&'g mut [f32], &'g mut [f32])> {
        let pair = self.pairs.get(layer)?[target as usize].as_ref()?;
        let (a, b) = gradients[pair.a.start..pair.b.end].split_at_mut(pair.a.len());
        Some((a, b))
    }
}
