//! The statistics that verdicts rest on. Pure functions: the same scores give the same figures, everywhere.
//!
//! Base and adapted model score the same items, so everything here is *paired*: what counts is the difference on each
//! item, and items that both score alike carry no evidence of change.
//!
//! - Right-or-wrong scores: [`newcombe`], an interval that keeps its promise near 0 and 1 and with few items, and
//!   [`mcnemar`], the exact test reported beside it.
//! - All other scores: [`bootstrap`], whose resamples follow from the data's hash.
//! - Items that share a passage or a template count for less: [`cluster`].
//! - When to stop measuring: [`sequential`]; how many more items would decide: [`projection`].

pub mod bootstrap;
pub mod chance;
pub mod cluster;
pub mod distribution;
pub mod mcnemar;
pub mod newcombe;
pub mod projection;
pub mod schedule;
pub mod sequential;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How sure an interval is: the probability that it covers the truth, as a type that cannot be out of range.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence(f64);

impl Confidence {
    /// The usual 95 %.
    pub const DEFAULT: Self = Self(0.95);
    /// Less than an even chance either way is no evidence.
    const LEAST: f64 = 0.5;
    /// Beyond it, [`bootstrap`] has no resamples in the tails.
    const MOST: f64 = 0.9999;

    /// A confidence between 0.5 and 0.9999.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] outside that range.
    pub fn new(value: f64) -> Result<Self> {
        if (Self::LEAST..=Self::MOST).contains(&value) {
            return Ok(Self(value));
        }
        Err(Error::InvalidArgument {
            what: "confidence",
            value: value.to_string(),
            expected: format!("a number from {} to {}", Self::LEAST, Self::MOST),
        })
    }

    /// The probability that the interval covers the truth.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }

    /// Probability of missing the truth on either side together.
    #[must_use]
    pub const fn error(self) -> f64 {
        1.0 - self.0
    }

    /// Half widths of an interval in standard errors: of the normal distribution, or of Student's t where the
    /// variance comes from so few clusters that it is itself uncertain.
    #[must_use]
    pub fn critical(self, degrees: Option<usize>) -> f64 {
        let upper = 1.0 - self.error() / 2.0;
        match degrees {
            None => distribution::normal_quantile(upper),
            Some(degrees) => distribution::t_quantile(upper, degrees as f64),
        }
    }
}

impl TryFrom<f64> for Confidence {
    type Error = Error;

    fn try_from(value: f64) -> Result<Self> {
        Self::new(value)
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> Self {
        confidence.0
    }
}

/// An estimate and the range that covers the truth with the wanted confidence; `low <= high`, both finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// What was measured.
    pub estimate: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Interval {
    /// The same in the other direction.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            estimate: -self.estimate,
            low: -self.high,
            high: -self.low,
        }
    }
}
