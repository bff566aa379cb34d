//! Newcombe's hybrid score interval for the difference of two proportions measured on the same items.
//!
//! R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired
//! data", Statistics in Medicine 17 (1998), method 10. It squares and adds the arms of two Wilson score intervals,
//! less what the two proportions have in common. Unlike the textbook interval it is not empty when nothing changed:
//! with 54 items and no change it reaches from -0.066 to +0.066.

use super::{Confidence, Interval};

/// Items by what base and adapted model made of them. Real numbers: items that share a passage count for less than one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedTable {
    /// Both 1.
    pub both: f64,
    /// Base 1, adapted 0.
    pub lost: f64,
    /// Base 0, adapted 1.
    pub gained: f64,
    /// Both 0.
    pub neither: f64,
}

impl PairedTable {
    /// Counts pairs of scores that are 0 or 1.
    #[must_use]
    pub fn count(scores: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut table = Self {
            both: 0.0,
            lost: 0.0,
            gained: 0.0,
            neither: 0.0,
        };
        for (base, adapted) in scores {
            let cell = match (base > 0.5, adapted > 0.5) {
                (true, true) => &mut table.both,
                (true, false) => &mut table.lost,
                (false, true) => &mut table.gained,
                (false, false) => &mut table.neither,
            };
            *cell += 1.0;
        }
        table
    }

    /// All items.
    #[must_use]
    pub fn n(&self) -> f64 {
        self.both + self.lost + self.gained + self.neither
    }

    /// The same proportions from fewer items.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            both: self.both * factor,
            lost: self.lost * factor,
            gained: self.gained * factor,
            neither: self.neither * factor,
        }
    }

    /// Interval for the adapted model's proportion minus the base's. `degrees` are those of the variance where it
    /// comes from clusters, see [`Confidence::critical`]. `None` without items.
    #[must_use]
    pub fn difference(&self, confidence: Confidence, degrees: Option<usize>) -> Option<Interval> {
        let n = self.n();
        if n <= 0.0 {
            return None;
        }
        let critical = confidence.critical(degrees);
        let adapted = Wilson::of(self.both + self.gained, n, critical);
        let base = Wilson::of(self.both + self.lost, n, critical);
        let shared = 2.0 * self.correlation();
        let arm = |a: f64, b: f64| (a * a - shared * a * b + b * b).max(0.0).sqrt();
        let estimate = adapted.share - base.share;
        Some(Interval {
            estimate,
            low: (estimate - arm(adapted.below, base.above)).max(-1.0),
            high: (estimate + arm(adapted.above, base.below)).min(1.0),
        })
    }

    /// The phi coefficient of the table, with the paper's continuity correction where it is positive.
    fn correlation(&self) -> f64 {
        let product = (self.both + self.lost)
            * (self.gained + self.neither)
            * (self.both + self.gained)
            * (self.lost + self.neither);
        if product <= 0.0 {
            return 0.0;
        }
        let mut numerator = self.both * self.neither - self.lost * self.gained;
        if numerator > 0.0 {
            numerator = (numerator - self.n() / 2.0).max(0.0);
        }
        numerator / product.sqrt()
    }
}

/// A proportion with the arms of its score interval (E. B. Wilson, 1927).
struct Wilson {
    share: f64,
    below: f64,
    above: f64,
}

impl Wilson {
    fn of(hits: f64, n: f64, critical: f64) -> Self {
        let share = hits / n;
        let square = critical * critical;
        if !square.is_finite() {
            return Self {
                share,
                below: share,
                above: 1.0 - share,
            };
        }
        let middle = (share + square / (2.0 * n)) / (1.0 + square / n);
        let half = (share * (1.0 - share) / n + square / (4.0 * n * n))
            .max(0.0)
            .sqrt()
            * critical
            / (1.0 + square / n);
        Self {
            share,
            below: (share - (middle - half)).clamp(0.0, share),
            above: ((middle + half) - share).clamp(0.0, 1.0 - share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::Schedule;
    use super::*;

    fn table(both: f64, lost: f64, gained: f64, neither: f64) -> PairedTable {
        PairedTable {
            both,
            lost,
            gained,
            neither,
        }
    }

    /// `low` and `high` as published: for base minus adapted.
    #[track_caller]
    fn published(table: PairedTable, low: f64, high: f64, digits: f64) {
        let found = table
            .difference(Confidence::DEFAULT, None)
            .unwrap()
            .negated();
        let near = |a: f64, b: f64| (a - b).abs() < digits;
        assert!(near(found.low, low) && near(found.high, high), "{found:?}");
    }

    #[test]
    fn published_examples() {
        // Newcombe 1998, table II.
        published(table(36.0, 12.0, 2.0, 0.0), 0.0569, 0.3404, 5e-5);
        published(table(20.0, 12.0, 2.0, 16.0), 0.0562, 0.3292, 5e-5);
        published(table(54.0, 0.0, 0.0, 0.0), -0.0664, 0.0664, 5e-5);
        // Altman, Machin, Bryant and Gardner, "Statistics with Confidence" (2000), table 6.2.
        published(table(14.0, 5.0, 0.0, 22.0), 0.011, 0.226, 5e-4);
        // Fagerland, Lydersen and Laake 2014, airway hyper-responsiveness.
        published(table(1.0, 1.0, 7.0, 12.0), -0.507, -0.026, 5e-4);
    }

    #[test]
    fn agrees_with_wilson_intervals_of_statsmodels() {
        // The formula over statsmodels 0.15.0, proportion_confint(method="wilson").
        published(
            table(90.0, 30.0, 10.0, 70.0),
            0.038_538_193_470_365_655,
            0.159_849_519_585_724_24,
            1e-12,
        );
        published(
            table(59.0, 23.0, 3.0, 37.0),
            0.084_690_031_565_553_17,
            0.239_236_124_491_248_3,
            1e-12,
        );
    }

    #[test]
    fn fewer_effective_items_widen_it() {
        let whole = table(90.0, 30.0, 10.0, 70.0);
        let width = |table: PairedTable, degrees| {
            let found = table.difference(Confidence::DEFAULT, degrees).unwrap();
            found.high - found.low
        };
        assert!(width(whole.scaled(0.5), None) > 1.3 * width(whole, None));
        assert!(width(whole, Some(5)) > 1.2 * width(whole, None));
        assert_eq!(
            table(0.0, 0.0, 0.0, 0.0).difference(Confidence::DEFAULT, None),
            None
        );
    }

    /// Of 95 % intervals at least 94 % must cover the truth, over the sizes and flip rates that a guard meets.
    #[test]
    fn coverage_by_simulation() {
        const TRIALS: usize = 4000;
        for (n, base_right, lost, gained) in [
            (40, 0.6, 0.02, 0.02),
            (50, 0.3, 0.10, 0.05),
            (100, 0.5, 0.15, 0.05),
            (200, 0.9, 0.10, 0.20),
            (200, 0.4, 0.30, 0.10),
        ] {
            let mut schedule = Schedule::from_parts(["coverage", &n.to_string()]);
            let truth = (1.0 - base_right) * gained - base_right * lost;
            let mut covered = 0;
            for _ in 0..TRIALS {
                let pairs = (0..n).map(|_| {
                    let base = f64::from(schedule.unit() < base_right);
                    let flip = if base > 0.5 { lost } else { gained };
                    let adapted = if schedule.unit() < flip {
                        1.0 - base
                    } else {
                        base
                    };
                    (base, adapted)
                });
                let table = PairedTable::count(pairs);
                let found = table.difference(Confidence::DEFAULT, None).unwrap();
                covered += usize::from(found.low <= truth && truth <= found.high);
            }
            let share = covered as f64 / TRIALS as f64;
            assert!(share > 0.94, "n {n}, lost {lost}: {share}");
        }
    }
}
