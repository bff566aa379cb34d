//! What can be measured of an item, and which way is worse.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A score that base and adapted model each get on an item.
///
/// Written in `snake_case` everywhere: budget, JSON, reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Multiple choice: the choice of the highest log-likelihood is the right one (0 or 1).
    Acc,
    /// The same with each log-likelihood divided by the choice's bytes (0 or 1).
    AccNorm,
    /// Probability of the right choice among the choices, 0 to 1.
    GoldProbability,
    /// Log-likelihood of the right choice minus that of the best wrong one, nats.
    GoldMargin,
    /// Negative log-likelihood of the right answer, nats.
    Nll,
    /// The same, divided by the answer's bytes.
    NllPerByte,
    /// Mean Kullback-Leibler divergence from base to adapted over the item's tokens, nats.
    Kl,
    /// The item's largest divergence of one token, nats.
    KlMax,
    /// Share of the item's tokens whose most likely next token is another one.
    Top1Disagreement,
    /// Negative log-likelihood a token of natural text, nats: the difference is the logarithm of the perplexity ratio.
    LnPerplexityRatio,
    /// The answer is the wanted one (0 or 1).
    ExactMatch,
    /// The answer is JSON (0 or 1).
    JsonValidity,
    /// Share of the wanted JSON fields that are right.
    FieldAccuracy,
    /// How alike the adapted model's answer is to the base's, 0 to 1.
    AnswerSimilarity,
    /// Absolute logarithm of the ratio of the answers' lengths.
    AnswerLengthDrift,
    /// The answer is in the language of the base's answer (0 or 1).
    LanguageKept,
    /// Share of the answer that repeats what stood before in it.
    Repetition,
    /// A general prompt was answered in the format that the adapter was trained on (0 or 1).
    FormatCollapse,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 18] = [
        Self::Acc,
        Self::AccNorm,
        Self::GoldProbability,
        Self::GoldMargin,
        Self::Nll,
        Self::NllPerByte,
        Self::Kl,
        Self::KlMax,
        Self::Top1Disagreement,
        Self::LnPerplexityRatio,
        Self::ExactMatch,
        Self::JsonValidity,
        Self::FieldAccuracy,
        Self::AnswerSimilarity,
        Self::AnswerLengthDrift,
        Self::LanguageKept,
        Self::Repetition,
        Self::FormatCollapse,
    ];

    /// Its name as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::GoldProbability => "gold_probability",
            Self::GoldMargin => "gold_margin",
            Self::Nll => "nll",
            Self::NllPerByte => "nll_per_byte",
            Self::Kl => "kl",
            Self::KlMax => "kl_max",
            Self::Top1Disagreement => "top1_disagreement",
            Self::LnPerplexityRatio => "ln_perplexity_ratio",
            Self::ExactMatch => "exact_match",
            Self::JsonValidity => "json_validity",
            Self::FieldAccuracy => "field_accuracy",
            Self::AnswerSimilarity => "answer_similarity",
            Self::AnswerLengthDrift => "answer_length_drift",
            Self::LanguageKept => "language_kept",
            Self::Repetition => "repetition",
            Self::FormatCollapse => "format_collapse",
        }
    }

    /// Whether a larger value is better.
    #[must_use]
    pub const fn higher_is_better(self) -> bool {
        matches!(
            self,
            Self::Acc
                | Self::AccNorm
                | Self::GoldProbability
                | Self::GoldMargin
                | Self::ExactMatch
                | Self::JsonValidity
                | Self::FieldAccuracy
                | Self::AnswerSimilarity
                | Self::LanguageKept
        )
    }

    /// Whether each item scores 0 or 1, so that the mean is a proportion.
    #[must_use]
    pub const fn is_proportion(self) -> bool {
        matches!(
            self,
            Self::Acc
                | Self::AccNorm
                | Self::ExactMatch
                | Self::JsonValidity
                | Self::LanguageKept
                | Self::FormatCollapse
        )
    }

    /// Whether it counts right choices, for which guessing has a known rate.
    #[must_use]
    pub const fn has_chance(self) -> bool {
        matches!(self, Self::Acc | Self::AccNorm)
    }

    /// The base's score where comparing the base with itself gives it: 0 for divergences, 1 for likeness.
    #[must_use]
    pub const fn base_by_definition(self) -> Option<f64> {
        match self {
            Self::Kl | Self::KlMax | Self::Top1Disagreement | Self::AnswerLengthDrift => Some(0.0),
            Self::AnswerSimilarity | Self::LanguageKept => Some(1.0),
            _ => None,
        }
    }

    /// Least and largest value that it can take.
    #[must_use]
    pub const fn bounds(self) -> (f64, f64) {
        match self {
            Self::GoldMargin => (f64::NEG_INFINITY, f64::INFINITY),
            Self::Nll
            | Self::NllPerByte
            | Self::Kl
            | Self::KlMax
            | Self::LnPerplexityRatio
            | Self::AnswerLengthDrift => (0.0, f64::INFINITY),
            _ => (0.0, 1.0),
        }
    }

    /// What it is counted in, for people.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Kl | Self::KlMax | Self::LnPerplexityRatio => "nats/token",
            Self::NllPerByte => "nats/byte",
            Self::Nll | Self::GoldMargin => "nats",
            Self::AnswerLengthDrift => "ln ratio",
            _ => "share",
        }
    }

    /// Loss in the bad direction; negative where the adapted model is the better one.
    #[must_use]
    pub const fn harm(self, base: f64, adapted: f64) -> f64 {
        if self.higher_is_better() {
            base - adapted
        } else {
            adapted - base
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|metric| metric.as_str() == text);
        found.ok_or_else(|| Error::UnknownName {
            what: "metric",
            name: text.to_owned(),
            nearest: nearest(text),
        })
    }
}

/// The metric's name that is most like `text`, if any is much like it.
fn nearest(text: &str) -> Option<String> {
    /// Below this likeness a hint would only confuse.
    const LIKE_ENOUGH: f64 = 0.7;
    let likeness = |metric: &Metric| strsim::jaro_winkler(metric.as_str(), text);
    Metric::ALL
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|metric| likeness(metric) >= LIKE_ENOUGH)
        .map(Metric::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_text_and_json() {
        for metric in Metric::ALL {
            assert_eq!(metric.as_str().parse::<Metric>().unwrap(), metric);
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{metric}\""));
        }
    }

    #[test]
    fn a_wrong_name_gets_the_nearest_one() {
        let error = "accnorm".parse::<Metric>().unwrap_err().to_string();
        assert!(error.contains("did you mean 'acc_norm'"), "{error}");
        let error = "zzzz".parse::<Metric>().unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn harm_is_the_loss_in_the_bad_direction() {
        assert!(Metric::Acc.harm(0.8, 0.5) > 0.0);
        assert!(Metric::Kl.harm(0.0, 3.1) > 0.0);
        assert!(Metric::Nll.harm(6.6, 6.5) < 0.0);
    }

    #[test]
    fn proportions_are_bounded_by_zero_and_one() {
        for metric in Metric::ALL.into_iter().filter(|m| m.is_proportion()) {
            assert_eq!(metric.bounds(), (0.0, 1.0));
        }
    }
}
