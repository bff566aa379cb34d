//! Looking at the items before all are measured, without fooling oneself.
//!
//! Who looks five times at 95 % and stops at the first verdict errs far more often than 5 %. Here the error is shared
//! out among the looks beforehand. The first of several is a quick one, for what is beyond doubt after a few items, and gets
//! a twentieth of it (after J. L. Haybittle 1971 and R. Peto 1976, who stop early on three standard errors only, which at
//! 95 % is what a twentieth comes to). The second gets nearly half, because most adapters are clear cases and it is where
//! their checks can end; the others get equal parts of the rest (as S. J. Pocock 1977). By Bonferroni's inequality the error
//! over all looks is then at most the whole, however the scores at the looks depend on each other and however the items
//! are spread. What it costs: of five looks, the last is at 99.2 %, with intervals a third wider than at 95 %.
//!
//! A plan may have an extension: one more look, at more items, of what the last one left undecided, with a part like the
//! others'. Bonferroni's inequality does not mind that what is extended follows from what was seen.

use super::Confidence;
use crate::{Error, Result};

/// Part of the error that the quick look spends.
const QUICK_PART: f64 = 0.05;
/// Part that the look after it spends, where others follow.
const SECOND_PART: f64 = 0.45;
/// More looks would leave each too little.
const MOST_LOOKS: usize = 10;

/// When to look, and how sure each look has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    confidence: Confidence,
    looks: usize,
    is_extended: bool,
}

/// One look at what has been measured so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    plan: Plan,
    number: usize,
}

impl Plan {
    /// A plan of 1 to 10 looks that together err as rarely as `confidence` says.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another number of looks.
    pub fn new(confidence: Confidence, looks: usize) -> Result<Self> {
        if (1..=MOST_LOOKS).contains(&looks) {
            return Ok(Self {
                confidence,
                looks,
                is_extended: false,
            });
        }
        Err(Error::InvalidArgument {
            what: "number of looks",
            value: looks.to_string(),
            expected: format!("1 to {MOST_LOOKS}"),
        })
    }

    /// One look, when all is measured.
    #[must_use]
    pub const fn single(confidence: Confidence) -> Self {
        Self {
            confidence,
            looks: 1,
            is_extended: false,
        }
    }

    /// The same with an extension after the last look.
    #[must_use]
    pub const fn extended(self) -> Self {
        Self {
            is_extended: true,
            ..self
        }
    }

    /// The looks, in order.
    pub fn looks(self) -> impl Iterator<Item = Look> {
        (1..=self.n_looks()).map(move |number| Look { plan: self, number })
    }

    /// The last look.
    #[must_use]
    pub const fn last(self) -> Look {
        Look {
            plan: self,
            number: self.n_looks(),
        }
    }

    const fn n_looks(self) -> usize {
        self.looks + self.is_extended as usize
    }
}

impl Look {
    /// Its number, from 1.
    #[must_use]
    pub const fn number(self) -> usize {
        self.number
    }

    /// Looks of the plan.
    #[must_use]
    pub const fn of(self) -> usize {
        self.plan.n_looks()
    }

    /// Whether no other look follows.
    #[must_use]
    pub const fn is_last(self) -> bool {
        self.number >= self.plan.n_looks()
    }

    /// Whether it is at everything that is planned: all that comes after it is an extension.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.number >= self.plan.looks
    }

    /// Whether it is beyond what is planned.
    #[must_use]
    pub const fn is_extension(self) -> bool {
        self.number > self.plan.looks
    }

    /// Of `total` items in measuring order, how many this look is taken on: an equal part more each time, and half a part for
    /// the quick one.
    #[must_use]
    pub const fn items(self, total: usize) -> usize {
        if self.is_whole() {
            return total;
        }
        // At least two looks: the one at everything and this one.
        let n = self.plan.looks - 1;
        if self.is_quick() {
            return total.div_ceil(2 * n);
        }
        // In this order it cannot overflow.
        let (part, rest, full) = (total / n, total % n, self.number - 1);
        part * full + (rest * full).div_ceil(n)
    }

    /// Whether it is the first of several: for what shows after a few items.
    #[must_use]
    pub const fn is_quick(self) -> bool {
        self.number == 1 && self.plan.looks > 1
    }

    /// How sure this look's intervals have to be.
    #[must_use]
    pub fn confidence(self) -> Confidence {
        let part = match (self.number, self.plan.looks, self.of()) {
            (_, 1, looks) => 1.0 / looks as f64,
            (1, ..) => QUICK_PART,
            (_, _, 2) => 1.0 - QUICK_PART,
            (2, ..) => SECOND_PART,
            (.., looks) => (1.0 - QUICK_PART - SECOND_PART) / (looks - 2) as f64,
        };
        let wanted = 1.0 - self.plan.confidence.error() * part;
        Confidence(wanted.min(Confidence::MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::super::newcombe::PairedTable;
    use super::super::schedule::Schedule;
    use super::*;

    fn plan(looks: usize) -> Plan {
        Plan::new(Confidence::DEFAULT, looks).unwrap()
    }

    #[test]
    fn the_parts_add_up_to_the_error() {
        for looks in 1..=MOST_LOOKS {
            for plan in [plan(looks), plan(looks).extended()] {
                let errors = plan.looks().map(|look| look.confidence().error());
                let spent: f64 = errors.sum();
                assert!((spent - 0.05).abs() < 1e-12, "{plan:?} spends {spent}");
            }
        }
        let early = plan(5).looks().next().unwrap().confidence();
        assert!(
            (early.critical(None) - 3.0).abs() < 0.03,
            "three standard errors"
        );
    }

    #[test]
    fn looks_take_equal_parts_and_end_with_all() {
        let items: Vec<usize> = plan(5).looks().map(|look| look.items(203)).collect();
        assert_eq!(items, [26, 51, 102, 153, 203]);
        let extended: Vec<_> = plan(2).extended().looks().collect();
        let items: Vec<usize> = extended.iter().map(|look| look.items(60)).collect();
        assert_eq!(items, [30, 60, 60]);
        let kinds = |kind: fn(Look) -> bool| extended.iter().map(|&look| kind(look)).collect();
        let (whole, extension): (Vec<bool>, Vec<bool>) =
            (kinds(Look::is_whole), kinds(Look::is_extension));
        assert_eq!(
            (whole, extension),
            (vec![false, true, true], vec![false, false, true])
        );
        assert_eq!(Plan::single(Confidence::DEFAULT).last().items(7), 7);
        assert!(Plan::new(Confidence::DEFAULT, 0).is_err());
        assert!(Plan::new(Confidence::DEFAULT, 11).is_err());
    }

    /// A truth of no change at all: how often does any look's interval leave it out?
    #[test]
    fn error_over_all_looks_by_simulation() {
        const TRIALS: usize = 2000;
        let mut schedule = Schedule::from_parts(["looks"]);
        let (mut planned, mut naive) = (0, 0);
        for _ in 0..TRIALS {
            let pairs: Vec<(f64, f64)> = (0..400)
                .map(|_| {
                    let base = f64::from(schedule.unit() < 0.6);
                    let keeps = schedule.unit() < 0.7;
                    let fresh = f64::from(schedule.unit() < 0.6);
                    (base, if keeps { base } else { fresh })
                })
                .collect();
            let misses = |confidence: Confidence, n: usize| {
                let table = PairedTable::count(pairs[..n].iter().copied());
                let found = table.difference(confidence, None).unwrap();
                found.low > 0.0 || found.high < 0.0
            };
            let looks = || plan(5).looks();
            planned += usize::from(looks().any(|l| misses(l.confidence(), l.items(400))));
            naive += usize::from(looks().any(|l| misses(Confidence::DEFAULT, l.items(400))));
        }
        let share = |count: usize| count as f64 / TRIALS as f64;
        assert!(share(planned) <= 0.05, "{}", share(planned));
        assert!(
            share(naive) > 0.08,
            "the test must see the difference: {}",
            share(naive)
        );
    }
}
