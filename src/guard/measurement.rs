//! What a check measured, as plain data: the seam between measuring with the engine and deciding.
//!
//! A [`Series`] is one [`Metric`] over one group of items, a [`Pair`] of scores for each item: what the base got and
//! what base and adapter got. Constructors refuse what no verdict could rest on: no items, an id twice, NaN or
//! infinity, a score outside the metric's range. So whoever holds a [`Measurements`] need not check again.

mod series;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
pub use series::{Pair, Series};

use super::metric::Metric;
use crate::{Error, Result};

/// How far apart base and adapted model are on one stratum of text, over all its tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextDivergence {
    /// Kind of text: `prose`, `base_answers`, ...
    pub stratum: String,
    /// Tokens compared.
    pub n_tokens: usize,
    /// Mean KL(base, adapted), nats a token.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Maximum.
    pub max: f64,
    /// Share of tokens after which both hold the same next token most likely.
    pub top1_agreement: f64,
    /// Logarithm of the perplexity ratio, adapted over base.
    pub ln_perplexity_ratio: f64,
    /// Mean KL by token position, in buckets of [`TextDivergence::bucket`] tokens.
    #[serde(default)]
    pub by_position: Vec<f64>,
    /// Tokens a bucket.
    #[serde(default)]
    pub bucket: usize,
}

impl TextDivergence {
    fn check(&self) -> Result<()> {
        let figures = [self.mean, self.p50, self.p99, self.max, self.top1_agreement];
        let all = figures.iter().chain(&self.by_position);
        let finite = all
            .chain([&self.ln_perplexity_ratio])
            .all(|x| x.is_finite());
        if self.n_tokens == 0 || !finite {
            return Err(Error::Measurement {
                group: self.stratum.clone(),
                reason: "no tokens were compared, or a figure is not a number".to_owned(),
            });
        }
        Ok(())
    }
}

/// Harm that the machinery measures where there is none to find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    /// What was measured against the base: `base`, `q8_0`, `random adapter`...
    pub null: String,
    /// The group.
    pub group: String,
    /// The metric.
    pub metric: Metric,
    /// Mean harm found, see [`Metric::harm`].
    pub harm: f64,
}

/// What measuring cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Tokens computed.
    pub n_tokens: u64,
    /// Items measured.
    pub n_items: usize,
    /// Items that sequential stopping left out.
    pub items_saved: usize,
    /// Seconds in all.
    pub seconds: f64,
    /// Tokens a second through the whole check.
    pub tokens_per_s: f64,
    /// Tokens a second of the bare prefill, measured in the same run.
    pub raw_prefill_tokens_per_s: f64,
    /// Seconds that the bare prefill of all these tokens, without logits, would take at the speed measured in the same run.
    #[serde(default)]
    pub prefill_floor_seconds: f64,
    /// Rows of logits computed: one for each token that was scored or chosen.
    #[serde(default)]
    pub n_rows: u64,
    /// Seconds that these rows take beyond the prefill, at the speed measured in the same run.
    #[serde(default)]
    pub rows_floor_seconds: f64,
    /// Whether the base's scores came from the cache.
    pub base_cached: bool,
}

impl Work {
    /// How near it came to the bare prefill of its tokens, without any logits: 1 is as fast.
    #[must_use]
    pub fn share_of_prefill(&self) -> f64 {
        self.prefill_floor_seconds / self.seconds.max(1e-9)
    }

    /// How near it came to its floor, the prefill with the rows of logits that were asked for: 1 is as fast.
    #[must_use]
    pub fn share_of_floor(&self) -> f64 {
        (self.prefill_floor_seconds + self.rows_floor_seconds) / self.seconds.max(1e-9)
    }
}

/// All that a check measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurements {
    series: Vec<Series>,
    noise_floor: Vec<NoiseFloor>,
    text: Vec<TextDivergence>,
    work: Work,
}

impl Measurements {
    /// Puts a check's measurements together.
    ///
    /// # Errors
    /// [`Error::Measurement`] if nothing was measured, a group has a metric twice, or a figure is not a number.
    pub fn new(
        series: Vec<Series>,
        text: Vec<TextDivergence>,
        noise_floor: Vec<NoiseFloor>,
        work: Work,
    ) -> Result<Self> {
        let wrong = |group: &str, reason: String| Error::Measurement {
            group: group.to_owned(),
            reason,
        };
        if series.is_empty() {
            return Err(wrong("all", "nothing was measured".to_owned()));
        }
        let mut seen = HashSet::new();
        for one in &series {
            if !seen.insert((one.group(), one.metric())) {
                let reason = format!("{} was measured twice", one.metric());
                return Err(wrong(one.group(), reason));
            }
        }
        if let Some(floor) = noise_floor.iter().find(|floor| !floor.harm.is_finite()) {
            let reason = format!("noise floor {} is not a number", floor.harm);
            return Err(wrong(&floor.group, reason));
        }
        text.iter().try_for_each(TextDivergence::check)?;
        Ok(Self {
            series,
            noise_floor,
            text,
            work,
        })
    }

    /// Every series, never empty.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The series of a group and a metric.
    #[must_use]
    pub fn get(&self, group: &str, metric: Metric) -> Option<&Series> {
        let is_it = |one: &&Series| one.group() == group && one.metric() == metric;
        self.series.iter().find(is_it)
    }

    /// The harm found where there is none, see [`NoiseFloor`].
    #[must_use]
    pub fn noise_floor(&self) -> &[NoiseFloor] {
        &self.noise_floor
    }

    /// Divergence by stratum of text.
    #[must_use]
    pub fn text(&self) -> &[TextDivergence] {
        &self.text
    }

    /// What measuring cost.
    #[must_use]
    pub const fn work(&self) -> &Work {
        &self.work
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_need_a_series_and_no_metric_twice() {
        let none = Measurements::new(vec![], vec![], vec![], Work::default());
        assert!(
            none.unwrap_err()
                .to_string()
                .contains("nothing was measured")
        );
        let one = Series::new("g", Metric::Acc, None, vec![Pair::new("a", 1.0, 1.0)]).unwrap();
        let twice = Measurements::new(vec![one.clone(), one], vec![], vec![], Work::default());
        assert!(
            twice
                .unwrap_err()
                .to_string()
                .contains("acc was measured twice")
        );
    }
}
