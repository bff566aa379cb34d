//! Which candidate is taken, and why the others are not.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::measure::{Distance, Measured};

/// Standard errors that a mean must keep away from the budget: one in forty is wrong by that much.
const MARGIN: f64 = 2.0;
/// A gain below this is within what two runs of the same file differ by.
const MIN_GAIN: f64 = 0.03;

/// How far a layout may be from the file as shipped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Largest mean KL(shipped || candidate), in nats a token.
    pub kl: f64,
}

impl Default for Budget {
    /// 0.02 nats a token: of a model with 135 million parameters, four times what eight bits cost it and a tenth of what
    /// a second quantization to four bits does.
    fn default() -> Self {
        Self { kl: 0.02 }
    }
}

impl Budget {
    /// Whether a distance is inside, its error counted against it.
    #[must_use]
    pub fn allows(self, distance: &Distance) -> bool {
        distance.kl_mean + MARGIN * distance.kl_standard_error <= self.kl
    }

    /// Whether it is outside whatever else is measured.
    #[must_use]
    pub fn forbids(self, kl_mean: f64, standard_error: f64) -> bool {
        kl_mean - MARGIN * standard_error > self.kl
    }
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The fastest one inside the budget.
    Chosen,
    /// Inside the budget, and another is faster.
    Slower,
    /// Faster than nothing: no gain on the file as shipped, so its distance does not matter.
    NoGain,
    /// Its mean KL, with its error, is not below the budget.
    OverBudget {
        /// The mean KL that was found.
        kl: f64,
        /// The largest that is allowed.
        budget: f64,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen"),
            Self::Slower => f.write_str("another is faster"),
            Self::NoGain => f.write_str("no faster than as shipped"),
            Self::OverBudget { kl, budget } => {
                write!(f, "refused: KL {kl:.4} is over the budget of {budget}")
            }
        }
    }
}

/// The verdict on each candidate, in order. The first is the file as shipped, which is always inside the budget.
#[must_use]
pub fn judge(measured: &[Measured], budget: Budget) -> Vec<Verdict> {
    let best = fastest(measured, budget);
    let verdict = |(at, candidate): (usize, &Measured)| {
        if at == best {
            return Verdict::Chosen;
        }
        match &candidate.distance {
            Some(distance) if !budget.allows(distance) => Verdict::OverBudget {
                kl: distance.kl_mean,
                budget: budget.kl,
            },
            _ if gain(candidate) < MIN_GAIN => Verdict::NoGain,
            _ => Verdict::Slower,
        }
    };
    measured.iter().enumerate().map(verdict).collect()
}

/// Index of the fastest candidate inside the budget: 0, the file as shipped, unless one is faster by more than noise.
#[must_use]
pub fn fastest(measured: &[Measured], budget: Budget) -> usize {
    let mut best = 0;
    for (at, candidate) in measured.iter().enumerate().skip(1) {
        let inside = candidate
            .distance
            .as_ref()
            .is_some_and(|distance| budget.allows(distance));
        let faster = match best {
            0 => gain(candidate) >= MIN_GAIN,
            best => candidate.speedup > measured[best].speedup,
        };
        if inside && faster {
            best = at;
        }
    }
    best
}

fn gain(candidate: &Measured) -> f64 {
    candidate.speedup - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, speedup: f64, kl: Option<f64>) -> Measured {
        Measured {
            layout: name.to_owned(),
            speedup,
            distance: kl.map(|kl| Distance {
                kl_mean: kl,
                kl_standard_error: 0.001,
                perplexity_ratio: 1.0,
                top1_agreement: 1.0,
                n_tokens: 100,
            }),
            ..Measured::default()
        }
    }

    #[test]
    fn the_fastest_inside_the_budget_is_chosen_and_the_rest_is_told_why_not() {
        let measured = [
            candidate("as shipped", 1.0, Some(0.0)),
            candidate("IQ4_NL", 2.0, Some(0.2)),
            candidate("Q8_0", 1.6, Some(0.0055)),
            candidate("Q6_K", 1.2, Some(0.004)),
            candidate("Q5_1", 1.01, Some(0.004)),
            // Inside by its mean, not with its error.
            candidate("near", 1.9, Some(0.0195)),
        ];
        let verdicts = judge(&measured, Budget::default());
        let over = |kl| Verdict::OverBudget { kl, budget: 0.02 };
        assert_eq!(
            verdicts,
            [
                Verdict::NoGain,
                over(0.2),
                Verdict::Chosen,
                Verdict::Slower,
                Verdict::NoGain,
                over(0.0195)
            ]
        );
        assert!(verdicts[1].to_string().contains("KL 0.2000 is over"));
    }

    #[test]
    fn without_a_gain_the_file_stays_as_it_is() {
        let measured = [
            candidate("as shipped", 1.0, Some(0.0)),
            candidate("noise", 1.02, Some(0.0)),
            candidate("unmeasured", 3.0, None),
        ];
        assert_eq!(fastest(&measured, Budget::default()), 0);
        assert_eq!(judge(&measured, Budget::default())[0], Verdict::Chosen);
    }
}
