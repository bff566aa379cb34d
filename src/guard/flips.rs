//! Which items changed sides, and what they have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measurement::{Pair, Series};
use super::metric::Metric;

/// At least so many flips of a part make it worth naming.
const LEAST_FLIPS: usize = 2;
/// Parts named, those with most flips first.
const MOST_SHARED: usize = 5;

/// Items of a group that changed sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flips {
    /// The group.
    pub group: String,
    /// The metric.
    pub metric: Metric,
    /// Ids of those that the adapter made wrong.
    pub negative: Vec<String>,
    /// Ids of those that the adapter made right.
    pub positive: Vec<String>,
    /// Parts of the group where the negative ones are more frequent than elsewhere.
    pub common: Vec<Shared>,
}

/// A part of a group that flips share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    /// `task` (an id's part before the last slash) or `cluster`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Negative flips in it.
    pub flips: usize,
    /// Items in it.
    pub items: usize,
}

impl Flips {
    /// Lists them; `None` for metrics that do not score 0 or 1, and where nothing flipped.
    #[must_use]
    pub fn of(series: &Series) -> Option<Self> {
        let metric = series.metric();
        if !metric.is_proportion() {
            return None;
        }
        let harm = |pair: &Pair| metric.harm(pair.base, pair.adapted);
        let ids = |is: fn(f64) -> bool| -> Vec<String> {
            let flipped = series.pairs().iter().filter(|pair| is(harm(pair)));
            flipped.map(|pair| pair.id.clone()).collect()
        };
        let (negative, positive) = (ids(|harm| harm > 0.5), ids(|harm| harm < -0.5));
        if negative.is_empty() && positive.is_empty() {
            return None;
        }
        let is_negative = |pair: &Pair| harm(pair) > 0.5;
        let mut common = shared(series, "task", task, is_negative);
        common.extend(shared(
            series,
            "cluster",
            |p| p.cluster.as_deref(),
            is_negative,
        ));
        common.sort_by_key(|part| std::cmp::Reverse(part.flips));
        common.truncate(MOST_SHARED);
        Some(Self {
            group: series.group().to_owned(),
            metric,
            negative,
            positive,
            common,
        })
    }
}

fn task(pair: &Pair) -> Option<&str> {
    pair.id.rsplit_once('/').map(|(task, _)| task)
}

/// Parts in which the share of flips is above that of the whole group.
fn shared(
    series: &Series,
    kind: &str,
    part: impl Fn(&Pair) -> Option<&str>,
    is_flip: impl Fn(&Pair) -> bool,
) -> Vec<Shared> {
    let mut parts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut all = 0;
    for pair in series.pairs() {
        let flip = usize::from(is_flip(pair));
        all += flip;
        if let Some(name) = part(pair) {
            let (flips, items) = parts.entry(name).or_default();
            *flips += flip;
            *items += 1;
        }
    }
    let group = all as f64 / series.pairs().len() as f64;
    let stands_out =
        |flips: usize, items: usize| flips >= LEAST_FLIPS && flips as f64 / items as f64 > group;
    parts
        .into_iter()
        .filter(|(_, (flips, items))| stands_out(*flips, *items))
        .map(|(name, (flips, items))| Shared {
            kind: kind.to_owned(),
            name: name.to_owned(),
            flips,
            items,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_are_listed_with_what_they_share() {
        let mut pairs = Vec::new();
        for i in 0..10 {
            pairs.push(Pair::new(format!("add/{i}"), 1.0, f64::from(i >= 6)));
            pairs.push(Pair::new(format!("units/{i}"), f64::from(i != 3), 1.0));
        }
        let series = Series::new("arithmetic", Metric::AccNorm, None, pairs).unwrap();
        let flips = Flips::of(&series).unwrap();
        assert_eq!(flips.negative.len(), 6);
        assert_eq!(flips.positive, ["units/3"]);
        let [part] = flips.common.as_slice() else {
            panic!("one part: {:?}", flips.common)
        };
        assert_eq!((part.name.as_str(), part.flips, part.items), ("add", 6, 10));
    }

    #[test]
    fn no_flips_no_list() {
        let pair = || vec![Pair::new("a", 1.0, 1.0)];
        let acc = Series::new("g", Metric::Acc, None, pair()).unwrap();
        let likeness = Series::new("g", Metric::AnswerSimilarity, None, pair()).unwrap();
        assert_eq!((Flips::of(&acc), Flips::of(&likeness)), (None, None));
    }
}
