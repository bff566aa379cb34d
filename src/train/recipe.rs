//! How an adapter is trained: everything that decides the result beside base, rows and replay.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::compute::Target;
use crate::{Error, Result};

/// The largest rank. More than the width of a layer of a small model saves nothing.
const MAX_RANK: usize = 256;
/// The most steps: months of work on a laptop.
const MAX_STEPS: usize = 1_000_000;
/// The longest sequence. Attention takes memory by the square of it.
const MAX_SEQ_LEN: usize = 4096;
/// The most sequences of a part.
const MAX_BATCH: usize = 1024;

/// How an adapter is held to what is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// To all that the base held likely: Kullback-Leibler divergence.
    Divergence,
    /// To the tokens that the base chose: cross-entropy.
    Tokens,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Divergence => "divergence",
            Self::Tokens => "tokens",
        })
    }
}

impl FromStr for Hold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Divergence, Self::Tokens]
            .into_iter()
            .find(|hold| hold.to_string() == text)
            .ok_or_else(|| invalid("hold", text, "divergence or tokens"))
    }
}

/// The settings, in PEFT's terms where it has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Rank of every pair of factors.
    pub rank: usize,
    /// The product of a pair counts `alpha / rank`.
    pub alpha: f32,
    /// Which linear layers are adapted.
    pub targets: Vec<Target>,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps in which the learning rate rises, in a line.
    pub warmup: usize,
    /// Steps of the optimizer.
    pub steps: usize,
    /// Rows of a part of a step.
    pub batch: usize,
    /// Parts of a step: their gradients are summed, so a step of two parts of 4 rows learns what one of 8 does, in half
    /// the memory.
    pub accumulation: usize,
    /// Replayed sequences of a part.
    pub replay: usize,
    /// How the adapter is held to the replay.
    pub hold: Hold,
    /// What the loss on the replay counts, beside the cross-entropy on the answers.
    pub kl: f32,
    /// What the divergence from the base beside the learnt tokens counts (Mask-the-Target).
    pub mask_target: f32,
    /// What holds the parameters of the version that is continued (elastic weight consolidation).
    pub ewc: f32,
    /// What keeps the adapter apart from those beside it (O-LoRA).
    pub orthogonal: f32,
    /// Tokens of the longest sequence.
    pub seq_len: usize,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The longest gradient; a longer one is shortened to this.
    pub clip: f64,
    /// What the first factors and the order of rows start from.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            targets: Target::ALL.to_vec(),
            learning_rate: 4e-4,
            warmup: 10,
            steps: 200,
            batch: 4,
            accumulation: 1,
            replay: 4,
            hold: Hold::Divergence,
            kl: 2.0,
            mask_target: 0.0,
            ewc: 0.0,
            orthogonal: 0.0,
            seq_len: 512,
            weight_decay: 0.0,
            clip: 1.0,
            seed: 0,
        }
    }
}

impl Recipe {
    /// Checks that it can be trained by.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the setting.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("rank", self.rank, 1, MAX_RANK),
            ("steps", self.steps, 1, MAX_STEPS),
            ("batch", self.batch, 1, MAX_BATCH),
            ("gradient accumulation", self.accumulation, 1, MAX_BATCH),
            ("replay", self.replay, 0, MAX_BATCH),
            ("sequence length", self.seq_len, 8, MAX_SEQ_LEN),
        ];
        for (what, value, low, high) in sizes {
            if !(low..=high).contains(&value) {
                return Err(invalid(
                    what,
                    &value.to_string(),
                    &format!("{low} to {high}"),
                ));
            }
        }
        let numbers = [
            ("alpha", f64::from(self.alpha), 1e-6),
            ("learning rate", self.learning_rate, 1e-12),
            ("kl", f64::from(self.kl), 0.0),
            ("mask target", f64::from(self.mask_target), 0.0),
            ("ewc", f64::from(self.ewc), 0.0),
            ("orthogonal", f64::from(self.orthogonal), 0.0),
            ("weight decay", self.weight_decay, 0.0),
            ("clip", self.clip, 1e-12),
        ];
        for (what, value, low) in numbers {
            if !(low..=1e6).contains(&value) {
                return Err(invalid(
                    what,
                    &value.to_string(),
                    &format!("{low} to 1000000"),
                ));
            }
        }
        if self.targets.is_empty() {
            return Err(invalid("targets", "", "at least one linear layer"));
        }
        Ok(())
    }

    /// The learning rate of a step, counted from 0: up in a line, then down along half a cosine, to 0 after the last
    /// step (SGDR without restarts, Loshchilov and Hutter, arXiv 1608.03983).
    #[must_use]
    pub fn rate_at(&self, step: usize) -> f64 {
        let warmup = self.warmup.min(self.steps);
        if step < warmup {
            return self.learning_rate * (step + 1) as f64 / warmup as f64;
        }
        let share = (step - warmup) as f64 / (self.steps - warmup).max(1) as f64;
        self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
    }
}

fn invalid(what: &'static str, value: &str, expected: &str) -> Error {
    Error::InvalidArgument {
        what,
        value: value.to_owned(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        let recipe = Recipe {
            learning_rate: 1.0,
            warmup: 4,
            steps: 104,
            ..Recipe::default()
        };
        let rates: Vec<f64> = [0, 3, 4, 54, 104].map(|step| recipe.rate_at(step)).into();
        for (rate, expected) in rates.iter().zip([0.25, 1.0, 1.0, 0.5, 0.0]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn what_cannot_be_trained_by_is_refused_by_name() {
        Recipe::default().check().unwrap();
        let broken = [
            (
                "rank",
                Recipe {
                    rank: 0,
                    ..Recipe::default()
                },
            ),
            (
                "steps",
                Recipe {
                    steps: 0,
                    ..Recipe::default()
                },
            ),
            (
                "learning rate",
                Recipe {
                    learning_rate: f64::NAN,
                    ..Recipe::default()
                },
            ),
            (
                "kl",
                Recipe {
                    kl: -1.0,
                    ..Recipe::default()
                },
            ),
            (
                "targets",
                Recipe {
                    targets: Vec::new(),
                    ..Recipe::default()
                },
            ),
        ];
        for (named, recipe) in broken {
            let message = recipe.check().unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
