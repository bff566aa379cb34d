//! One candidate measured beside the file as shipped.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::choice::Budget;
use crate::engine::{
    AdapterStack, CancelToken, Contender, Job, JobTime, KlSoFar, Model, ModelOptions,
    SessionOptions, TextDivergence, Token, bench_in_turn, memory_use,
};
use crate::{Error, Result};

/// Windows after which a candidate far outside the budget is given up: fewer say little about their own spread.
const MIN_WINDOWS: usize = 4;

/// How far a candidate is from the file as shipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// Mean KL(shipped || candidate), nats a token.
    pub kl_mean: f64,
    /// Standard error of the mean, over windows of text.
    pub kl_standard_error: f64,
    /// Perplexity of the candidate over that of the file as shipped.
    pub perplexity_ratio: f64,
    /// Share of tokens where both hold the same one for the likeliest.
    pub top1_agreement: f64,
    /// Tokens that this is from: fewer where it was clear early.
    pub n_tokens: usize,
}

/// What was measured of a candidate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// The layout, in words.
    pub layout: String,
    /// Size of its file.
    pub bytes: u64,
    /// Median over rounds.
    pub prefill_tokens_per_s: f64,
    /// Median over rounds.
    pub decode_tokens_per_s: f64,
    /// Prefill against the file as shipped: median of the ratios of a round.
    pub prefill_ratio: f64,
    /// Decode likewise.
    pub decode_ratio: f64,
    /// Time of the whole job as shipped over its time here: median of the ratios of a round.
    pub speedup: f64,
    /// Pages of the file in memory, which are shared and can be dropped.
    pub mapped_bytes: u64,
    /// Memory of the process's own: weights in another order.
    pub own_bytes: u64,
    /// How far it is from the file as shipped.
    pub distance: Option<Distance>,
}

/// What is the same for all candidates.
pub(super) struct Bench<'a> {
    pub(super) shipped: &'a Model,
    pub(super) windows: &'a [Vec<Token>],
    pub(super) job: Job,
    pub(super) rounds: usize,
    pub(super) budget: Budget,
    pub(super) cancel: &'a CancelToken,
}

impl Bench<'_> {
    /// Measures the file at `path`. The file as shipped is at no distance from itself.
    pub(super) fn measure(&self, path: &Path, layout: &str, mapped: bool) -> Result<Measured> {
        let before = memory_use();
        let options = ModelOptions {
            mapped,
            ..ModelOptions::default()
        };
        let model = Model::open(path, options)?;
        let times = bench_in_turn(
            [&contender(self.shipped), &contender(&model)],
            self.job,
            self.rounds,
            self.cancel,
        )?;
        let after = memory_use();
        let is_shipped = path == self.shipped.path() && !mapped;
        let distance = match is_shipped {
            true => Distance {
                kl_mean: 0.0,
                kl_standard_error: 0.0,
                perplexity_ratio: 1.0,
                top1_agreement: 1.0,
                n_tokens: 0,
            },
            false => self.distance(&model)?,
        };
        let of = |value: fn(JobTime) -> f64| median(times.iter().map(|pair| value(pair[1])));
        let ratio = |value: fn(JobTime) -> f64| {
            median(times.iter().map(|pair| value(pair[0]) / value(pair[1])))
        };
        Ok(Measured {
            layout: layout.to_owned(),
            bytes: fs_err::metadata(path)?.len(),
            prefill_tokens_per_s: self.job.n_prompt as f64 / of(|time| time.prefill_s),
            decode_tokens_per_s: self.job.n_answer as f64 / of(|time| time.decode_s),
            prefill_ratio: ratio(|time| time.prefill_s),
            decode_ratio: ratio(|time| time.decode_s),
            speedup: ratio(JobTime::total_s),
            mapped_bytes: after.file_bytes.saturating_sub(before.file_bytes),
            own_bytes: after.anonymous_bytes.saturating_sub(before.anonymous_bytes),
            distance: Some(distance),
        })
    }

    fn distance(&self, candidate: &Model) -> Result<Distance> {
        let none = AdapterStack::base();
        let mut last: Option<KlSoFar> = None;
        let found = TextDivergence::measure_while(
            (self.shipped, &none),
            (candidate, &none),
            self.windows,
            self.cancel,
            |so_far| {
                last = Some(so_far);
                so_far.n_windows < MIN_WINDOWS
                    || !self.budget.forbids(so_far.mean, so_far.standard_error)
            },
        )?;
        let last = last.ok_or_else(|| Error::Engine("no text was measured".to_owned()))?;
        Ok(Distance {
            kl_mean: found.kl_mean,
            kl_standard_error: last.standard_error,
            perplexity_ratio: found.ln_perplexity_ratio.exp(),
            top1_agreement: found.top1_agreement,
            n_tokens: found.n_tokens,
        })
    }
}

fn contender(model: &Model) -> Contender<'_> {
    // A static: a stack without adapters holds nothing.
    static NONE: std::sync::LazyLock<AdapterStack> = std::sync::LazyLock::new(AdapterStack::base);
    Contender {
        model,
        stack: &NONE,
        options: SessionOptions::default(),
    }
}

/// Median; the mean of the middle two of an even number.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert!(median(std::iter::empty()).is_nan());
    }
}
