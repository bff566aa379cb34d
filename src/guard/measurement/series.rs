//! Scores of one metric over one group of items.

use std::collections::HashSet;

use serde::Serialize;

use crate::guard::metric::Metric;
use crate::{Error, Result};

/// One item's scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The item's id, unique in its series.
    pub id: String,
    /// What it shares with other items, such as a passage or a template: they are not independent then.
    pub cluster: Option<String>,
    /// The base's score.
    pub base: f64,
    /// The score of base and adapter.
    pub adapted: f64,
}

impl Pair {
    /// An item that stands alone.
    #[must_use]
    pub fn new(id: impl Into<String>, base: f64, adapted: f64) -> Self {
        Self {
            id: id.into(),
            cluster: None,
            base,
            adapted,
        }
    }

    /// An item that shares something with the others of its cluster.
    #[must_use]
    pub fn in_cluster(self, cluster: impl Into<String>) -> Self {
        Self {
            cluster: Some(cluster.into()),
            ..self
        }
    }
}

/// One metric over one group of items, in the order they were measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    group: String,
    metric: Metric,
    chance: Option<f64>,
    pairs: Vec<Pair>,
}

impl Series {
    /// Checks and takes the pairs. `chance` is what guessing would score on average (for multiple choice the mean of
    /// one over the number of choices); `None` where guessing has no known rate.
    ///
    /// # Errors
    /// [`Error::Measurement`] for an empty group, an id that stands twice, a score that is not a number or outside the
    /// metric's range, a chance outside 0 to 1.
    pub fn new(
        group: impl Into<String>,
        metric: Metric,
        chance: Option<f64>,
        pairs: Vec<Pair>,
    ) -> Result<Self> {
        let group = group.into();
        let wrong = |reason: String| Error::Measurement {
            group: group.clone(),
            reason: format!("{metric}: {reason}"),
        };
        if pairs.is_empty() {
            return Err(wrong("there are no items; add some to the group".into()));
        }
        if let Some(chance) = chance
            && !(0.0..=1.0).contains(&chance)
        {
            return Err(wrong(format!("chance {chance} is not between 0 and 1")));
        }
        let mut seen = HashSet::with_capacity(pairs.len());
        for pair in &pairs {
            if !seen.insert(pair.id.as_str()) {
                return Err(wrong(format!("item '{}' stands twice", pair.id)));
            }
            for (who, score) in [("base", pair.base), ("adapted", pair.adapted)] {
                check_score(metric, score)
                    .map_err(|why| wrong(format!("item '{}': {who} score {why}", pair.id)))?;
            }
        }
        Ok(Self {
            group,
            metric,
            chance,
            pairs,
        })
    }

    /// The group's name.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The metric.
    #[must_use]
    pub const fn metric(&self) -> Metric {
        self.metric
    }

    /// What guessing would score.
    #[must_use]
    pub const fn chance(&self) -> Option<f64> {
        self.chance
    }

    /// The items, never empty.
    #[must_use]
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// The first `n` items measured, as a series of its own: what a sequential look decides on. At least one item.
    #[must_use]
    pub fn first(&self, n: usize) -> Self {
        let n = n.clamp(1, self.pairs.len());
        Self {
            pairs: self.pairs[..n].to_vec(),
            ..self.clone()
        }
    }

    /// Several groups as one, in their order. `None` without any, or where the metrics differ. Ids and clusters get
    /// their group before them.
    #[must_use]
    pub fn pool(name: impl Into<String>, parts: &[&Self]) -> Option<Self> {
        let metric = parts.first()?.metric;
        if parts.iter().any(|part| part.metric != metric) {
            return None;
        }
        let within = |part: &Self, text: &str| format!("{}: {text}", part.group);
        let pairs = parts.iter().flat_map(|part| {
            part.pairs.iter().map(move |pair| Pair {
                id: within(part, &pair.id),
                cluster: pair.cluster.as_deref().map(|text| within(part, text)),
                ..*pair
            })
        });
        Some(Self {
            group: name.into(),
            metric,
            chance: None,
            pairs: pairs.collect(),
        })
    }

    /// Mean score of the base.
    #[must_use]
    pub fn base_mean(&self) -> f64 {
        self.mean(|pair| pair.base)
    }

    /// Mean score of base and adapter.
    #[must_use]
    pub fn adapted_mean(&self) -> f64 {
        self.mean(|pair| pair.adapted)
    }

    fn mean(&self, score: impl Fn(&Pair) -> f64) -> f64 {
        self.pairs.iter().map(score).sum::<f64>() / self.pairs.len() as f64
    }
}

fn check_score(metric: Metric, score: f64) -> std::result::Result<(), String> {
    let (least, most) = metric.bounds();
    if !score.is_finite() {
        return Err(format!("{score} is not a number that can be judged"));
    }
    if metric.is_proportion() && score != 0.0 && score != 1.0 {
        return Err(format!("{score} is neither 0 nor 1"));
    }
    if score < least || score > most {
        return Err(format!("{score} is not between {least} and {most}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acc(pairs: Vec<Pair>) -> Result<Series> {
        Series::new("arithmetic", Metric::Acc, Some(0.25), pairs)
    }

    #[track_caller]
    fn refused(series: Result<Series>, words: &str) {
        let error = series.expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn what_no_verdict_could_rest_on_is_refused() {
        refused(acc(vec![]), "no items");
        let twice = vec![Pair::new("a", 1.0, 0.0), Pair::new("a", 1.0, 1.0)];
        refused(acc(twice), "'a' stands twice");
        refused(acc(vec![Pair::new("a", f64::NAN, 0.0)]), "base score NaN");
        refused(
            acc(vec![Pair::new("a", 0.0, f64::INFINITY)]),
            "adapted score inf",
        );
        refused(acc(vec![Pair::new("a", 0.0, 0.5)]), "neither 0 nor 1");
        let kl = Series::new("prose", Metric::Kl, None, vec![Pair::new("a", 0.0, -0.1)]);
        refused(kl, "not between 0");
        let chance = Series::new(
            "x",
            Metric::Acc,
            Some(f64::NAN),
            vec![Pair::new("a", 0.0, 0.0)],
        );
        refused(chance, "chance NaN");
    }

    #[test]
    fn means_and_prefixes() {
        let pairs = vec![
            Pair::new("a", 1.0, 0.0),
            Pair::new("b", 1.0, 1.0),
            Pair::new("c", 0.0, 0.0).in_cluster("passage"),
            Pair::new("d", 1.0, 0.0),
        ];
        let series = acc(pairs).unwrap();
        assert_eq!((series.base_mean(), series.adapted_mean()), (0.75, 0.25));
        assert_eq!(series.first(2).adapted_mean(), 0.5);
        assert_eq!(series.first(0).pairs().len(), 1);
        assert_eq!(series.first(9).pairs().len(), 4);
    }

    #[test]
    fn pooling_keeps_groups_apart() {
        let part = |group: &str, metric| {
            let pairs = vec![Pair::new("a", 1.0, 0.0).in_cluster("p")];
            Series::new(group, metric, None, pairs).unwrap()
        };
        let (one, two) = (part("one", Metric::Acc), part("two", Metric::Acc));
        let both = Series::pool("*", &[&one, &two]).unwrap();
        let ids: Vec<&str> = both.pairs().iter().map(|pair| pair.id.as_str()).collect();
        assert_eq!(ids, ["one: a", "two: a"]);
        assert_eq!(both.pairs()[1].cluster.as_deref(), Some("two: p"));
        assert_eq!(
            Series::pool("*", &[&one, &part("two", Metric::AccNorm)]),
            None
        );
        assert_eq!(Series::pool("*", &[]), None);
    }
}
