//! The ways to make one change of several deltas, and their settings.

use serde::Serialize;

/// The share of a delta that is kept: above 0, up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Density(f32);

impl Density {
    /// `None` for what is not above 0 and up to 1.
    pub fn new(share: f32) -> Option<Self> {
        (share > 0.0 && share <= 1.0).then_some(Self(share))
    }

    /// The share.
    pub fn get(self) -> f32 {
        self.0
    }
}

/// How the deltas of several adapters become one; the formulas are in [`super`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Method {
    /// Their sum.
    Linear,
    /// Trimmed, a sign elected, the mean of those that agree.
    Ties {
        /// The share that is not trimmed.
        density: Density,
    },
    /// Dropped at random, the rest enlarged, summed.
    Dare {
        /// The share that is not dropped.
        density: Density,
        /// What the random numbers start from.
        seed: u64,
    },
}

impl Method {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Ties { .. } => "ties",
            Self::Dare { .. } => "dare",
        }
    }
}
