//! What a series says: means, their difference with its interval, flips.

use super::measurement::Series;
use super::stats::chance;
use super::stats::cluster::Clusters;
use super::stats::newcombe::PairedTable;
use super::stats::schedule::Schedule;
use super::stats::{Confidence, Interval, bootstrap, mcnemar};

/// Figures of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Items measured.
    pub n: usize,
    /// As many independent items would say as much.
    pub effective_n: f64,
    /// Mean score of the base.
    pub base: f64,
    /// Mean score of base and adapter.
    pub adapted: f64,
    /// Adapted minus base. `None` where there are too few clusters to say how much it varies.
    pub delta: Option<Interval>,
    /// Flips, where each item scores 0 or 1.
    pub flips: Option<FlipCounts>,
}

/// How many items changed sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlipCounts {
    /// Right under the base, wrong under the adapter.
    pub negative: usize,
    /// Wrong under the base, right under the adapter.
    pub positive: usize,
}

impl FlipCounts {
    /// McNemar's exact p value.
    #[must_use]
    pub fn mcnemar_p(self) -> f64 {
        mcnemar::exact(self.negative, self.positive)
    }
}

impl Estimate {
    /// Computes them. The interval is Newcombe's for right-or-wrong scores and a bootstrap for all others.
    #[must_use]
    pub fn of(series: &Series, confidence: Confidence) -> Self {
        let clusters = clusters(series, |pair| pair.adapted - pair.base);
        let n = series.pairs().len();
        let effective_n = n as f64 / clusters.design_effect();
        let (delta, flips) = if series.metric().is_proportion() {
            let scores = series.pairs().iter().map(|pair| (pair.base, pair.adapted));
            let table = PairedTable::count(scores);
            (
                proportion(&table, &clusters, confidence),
                Some(flips(series, &table)),
            )
        } else {
            let interval = bootstrap::mean_difference(&clusters, confidence, schedule(series));
            (interval, None)
        };
        Self {
            n,
            effective_n,
            base: series.base_mean(),
            adapted: series.adapted_mean(),
            delta,
            flips,
        }
    }

    /// The loss in the metric's bad direction.
    #[must_use]
    pub fn harm(&self, series: &Series) -> Option<Interval> {
        let delta = self.delta?;
        Some(if series.metric().higher_is_better() {
            delta.negated()
        } else {
            delta
        })
    }
}

/// Whether the base does better than guessing: one-sided exact binomial test at [`chance::LEVEL`], with the effective
/// number of items. `None` where guessing has no known rate.
#[must_use]
pub fn above_chance(series: &Series) -> Option<bool> {
    let chance = series.chance().filter(|_| series.metric().has_chance())?;
    let n = series.pairs().len() as f64 / clusters(series, |pair| pair.base).design_effect();
    let p = chance::p_value(series.base_mean() * n, n, chance);
    Some(p < chance::LEVEL)
}

fn clusters(series: &Series, value: impl Fn(&super::measurement::Pair) -> f64) -> Clusters {
    let pairs = series.pairs().iter();
    Clusters::new(pairs.map(|pair| (pair.cluster.as_deref(), value(pair))))
}

fn proportion(
    table: &PairedTable,
    clusters: &Clusters,
    confidence: Confidence,
) -> Option<Interval> {
    let degrees = clusters.degrees();
    if degrees == Some(0) {
        return None;
    }
    table
        .scaled(1.0 / clusters.design_effect())
        .difference(confidence, degrees)
}

fn flips(series: &Series, table: &PairedTable) -> FlipCounts {
    let (lost, gained) = (table.lost as usize, table.gained as usize);
    let (negative, positive) = if series.metric().higher_is_better() {
        (lost, gained)
    } else {
        (gained, lost)
    };
    FlipCounts { negative, positive }
}

/// Resamples follow from what was measured on, not from the scores: nothing can be tried until it fits.
fn schedule(series: &Series) -> Schedule {
    let head = [series.group(), series.metric().as_str()];
    let ids = series.pairs().iter().map(|pair| pair.id.as_str());
    Schedule::from_parts(head.into_iter().chain(ids))
}

#[cfg(test)]
mod tests {
    use super::super::measurement::Pair;
    use super::super::metric::Metric;
    use super::*;

    fn series(metric: Metric, chance: Option<f64>, pairs: Vec<Pair>) -> Series {
        Series::new("g", metric, chance, pairs).unwrap()
    }

    fn of_n(n: usize, score: impl Fn(usize) -> (f64, f64)) -> Vec<Pair> {
        let pair = |i| {
            let (base, adapted) = score(i);
            Pair::new(i.to_string(), base, adapted)
        };
        (0..n).map(pair).collect()
    }

    #[test]
    fn harm_points_the_same_way_for_both_kinds_of_metric() {
        let worse = of_n(100, |i| (f64::from(i % 10 < 8), f64::from(i % 10 < 4)));
        let acc = series(Metric::Acc, None, worse);
        let found = Estimate::of(&acc, Confidence::DEFAULT);
        let flips = found.flips.unwrap();
        assert_eq!((flips.negative, flips.positive), (40, 0));
        assert!(found.delta.unwrap().high < -0.25 && found.harm(&acc).unwrap().low > 0.25);

        let collapsed = of_n(100, |i| (0.0, f64::from(i % 2 < 1)));
        let collapse = series(Metric::FormatCollapse, None, collapsed);
        let found = Estimate::of(&collapse, Confidence::DEFAULT);
        assert_eq!(found.flips.unwrap().negative, 50);
        assert!(found.harm(&collapse).unwrap().low > 0.35);

        let kl = series(Metric::Kl, None, of_n(50, |i| (0.0, 0.1 + i as f64 * 0.01)));
        let found = Estimate::of(&kl, Confidence::DEFAULT);
        let harm = found.harm(&kl).unwrap();
        assert!(harm.low > 0.25 && harm.high < 0.45, "{harm:?}");
        assert_eq!(found.flips, None);
    }

    #[test]
    fn clusters_cost_items() {
        let score = |i: usize| (1.0, f64::from(!(i / 5).is_multiple_of(3)));
        let alone = series(Metric::Acc, None, of_n(100, score));
        let mut together = of_n(100, score);
        for (i, pair) in together.iter_mut().enumerate() {
            pair.cluster = Some(format!("p{}", i / 5));
        }
        let together = series(Metric::Acc, None, together);
        let width = |series: &Series| {
            let found = Estimate::of(series, Confidence::DEFAULT);
            let delta = found.delta.unwrap();
            (found.effective_n, delta.high - delta.low)
        };
        let ((n, narrow), (n_together, wide)) = (width(&alone), width(&together));
        assert_eq!(n, 100.0);
        assert!(n_together < 25.0 && wide > 1.8 * narrow);
        let one: Vec<Pair> = of_n(9, score)
            .into_iter()
            .map(|p| p.in_cluster("x"))
            .collect();
        let one = series(Metric::Acc, None, one);
        assert_eq!(Estimate::of(&one, Confidence::DEFAULT).delta, None);
    }

    #[test]
    fn chance_is_tested_where_it_is_known() {
        let right = |share: usize| of_n(100, move |i| (f64::from(i < share), 1.0));
        let is_above = |share| above_chance(&series(Metric::Acc, Some(0.25), right(share)));
        assert_eq!((is_above(27), is_above(45)), (Some(false), Some(true)));
        assert_eq!(above_chance(&series(Metric::Acc, None, right(45))), None);
        assert_eq!(
            above_chance(&series(Metric::ExactMatch, Some(0.25), right(45))),
            None
        );
    }
}
