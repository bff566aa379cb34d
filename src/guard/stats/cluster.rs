//! Items that share something are not independent: how much less they say.
//!
//! The design effect (L. Kish, "Survey Sampling", 1965) is the variance of a mean over clusters divided by what it
//! would be over as many independent items. It is never taken below 1.

use std::collections::HashMap;

/// Items sorted into clusters: the sum of their differences and how many there are.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    sums: Vec<(f64, f64)>,
    squares: f64,
    clustered: bool,
}

impl Clusters {
    /// Sorts differences by cluster. An item without one is a cluster of its own. The order of clusters is that of
    /// their first items.
    pub fn new<'a>(items: impl IntoIterator<Item = (Option<&'a str>, f64)>) -> Self {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut clusters = Self {
            sums: Vec::new(),
            squares: 0.0,
            clustered: false,
        };
        for (name, value) in items {
            clusters.squares += value * value;
            let next = clusters.sums.len();
            let place = match name {
                Some(name) => *places.entry(name).or_insert(next),
                None => next,
            };
            match clusters.sums.get_mut(place) {
                Some((sum, count)) => {
                    *sum += value;
                    *count += 1.0;
                    clusters.clustered = true;
                }
                None => clusters.sums.push((value, 1.0)),
            }
        }
        clusters
    }

    /// Sum of the differences and number of items of each cluster.
    #[must_use]
    pub fn sums(&self) -> &[(f64, f64)] {
        &self.sums
    }

    /// How many clusters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// Whether any cluster holds more than one item.
    #[must_use]
    pub const fn is_clustered(&self) -> bool {
        self.clustered
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> f64 {
        self.sums.iter().map(|(_, count)| count).sum()
    }

    /// Mean difference over all items; 0 without items.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let total: f64 = self.sums.iter().map(|(sum, _)| sum).sum();
        total / self.items().max(1.0)
    }

    /// Degrees of freedom of the variance, where it comes from clusters.
    #[must_use]
    pub fn degrees(&self) -> Option<usize> {
        self.clustered.then(|| self.len().saturating_sub(1))
    }

    /// How many times as uncertain the mean is as that of as many independent items, at least 1. It is 1 where all
    /// differences are equal, which tells nothing of clusters.
    #[must_use]
    pub fn design_effect(&self) -> f64 {
        let (n, k, mean) = (self.items(), self.len() as f64, self.mean());
        if !self.clustered || k < 2.0 {
            return 1.0;
        }
        let independent = (self.squares - n * mean * mean) / (n * (n - 1.0));
        let deviations = self.sums.iter().map(|(sum, count)| sum - mean * count);
        let clustered = k / (k - 1.0) * deviations.map(|d| d * d).sum::<f64>() / (n * n);
        // Rounding may leave something where there is no variance at all.
        if independent <= f64::EPSILON * self.squares / n.max(1.0) {
            return 1.0;
        }
        (clustered / independent).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_alone_have_no_design_effect() {
        let alone = Clusters::new([
            (None, 1.0),
            (None, 0.0),
            (Some("a"), -1.0),
            (Some("b"), 0.5),
        ]);
        assert_eq!((alone.len(), alone.is_clustered()), (4, false));
        assert_eq!((alone.design_effect(), alone.degrees()), (1.0, None));
        assert_eq!(alone.mean(), 0.125);
    }

    #[test]
    fn copies_of_an_item_count_once() {
        // Ten different items, each four times: nearly as if there were only ten.
        let items: Vec<(String, f64)> = (0..40)
            .map(|i| (format!("passage {}", i / 4), f64::from(i / 4 % 3)))
            .collect();
        let clusters = Clusters::new(items.iter().map(|(name, x)| (Some(name.as_str()), *x)));
        // By hand: sums 0 4 8 0 4 8 0 4 8 0, mean 0.9; deviations from 3.6 squared and added 110.4, so
        // 10/9 * 110.4 / 1600 over (60 - 40 * 0.81) / (40 * 39).
        let by_hand = (10.0 / 9.0 * 110.4 / 1600.0) / (27.6 / 1560.0);
        assert!(
            (clusters.design_effect() - by_hand).abs() < 1e-9,
            "{}",
            clusters.design_effect()
        );
        assert_eq!(clusters.degrees(), Some(9));
    }

    #[test]
    fn no_variance_no_effect() {
        let same = Clusters::new([(Some("a"), 0.1), (Some("a"), 0.1), (Some("b"), 0.1)]);
        assert_eq!(same.design_effect(), 1.0);
        assert_eq!(Clusters::new([]).design_effect(), 1.0);
        assert!(Clusters::new([]).is_empty());
    }
}
