//! One series against one rule of the budget.
//!
//! `pass` when the whole interval of the harm is within the budget, `fail` when the whole interval is beyond it, else
//! `undecided`. Too few items are undecided whatever they say.

use super::budget::{Action, Direction, Rule};
use super::estimate::{Estimate, above_chance};
use super::measurement::Series;
use super::stats::projection::more_items;
use super::stats::{Confidence, Interval};
use super::verdict::{GroupResult, Verdict};

/// Whether something else of the same group can be judged instead of right choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandIn {
    /// A continuous metric of the group has a rule that is as strict.
    Judged,
    /// None has.
    Missing,
}

/// Judges a series by a rule, or only reports it where there is none.
pub(super) fn judge(
    series: &Series,
    rule: Option<&Rule>,
    confidence: Confidence,
    stand_in: StandIn,
) -> GroupResult {
    let estimate = Estimate::of(series, confidence);
    let above = above_chance(series);
    let decision = match rule {
        None => Decision::not_judged("no rule of the budget is about it".to_owned()),
        Some(rule) if above == Some(false) && rule.direction == Direction::Retain => {
            guessing(series, rule, stand_in)
        }
        Some(rule) => decide(rule, &estimate, estimate.harm(series)),
    };
    let share = |count: usize| count as f64 / estimate.n as f64;
    GroupResult {
        name: series.group().to_owned(),
        metric: series.metric(),
        n: estimate.n,
        effective_n: estimate.effective_n,
        base: estimate.base,
        adapted: estimate.adapted,
        delta: estimate.adapted - estimate.base,
        ci_low: estimate.delta.map(|delta| delta.low),
        ci_high: estimate.delta.map(|delta| delta.high),
        negative_flip_rate: estimate.flips.map(|flips| share(flips.negative)),
        positive_flip_rate: estimate.flips.map(|flips| share(flips.positive)),
        mcnemar_p: estimate.flips.map(super::estimate::FlipCounts::mcnemar_p),
        chance: series.chance(),
        above_chance: above,
        pooled: Vec::new(),
        verdict: decision.verdict,
        action: rule.map_or(Action::Allow, |rule| rule.action),
        direction: rule.map_or(Direction::Retain, |rule| rule.direction),
        budget: rule.map(|rule| rule.budget),
        items_needed: decision.items_needed,
        too_few_items: decision.verdict.is_some()
            && rule.is_some_and(|rule| estimate.n < rule.min_items),
        reason: decision.reason,
    }
}

struct Decision {
    verdict: Option<Verdict>,
    items_needed: Option<usize>,
    reason: String,
}

impl Decision {
    const fn not_judged(reason: String) -> Self {
        Self {
            verdict: None,
            items_needed: None,
            reason,
        }
    }

    const fn of(verdict: Verdict, items_needed: Option<usize>, reason: String) -> Self {
        Self {
            verdict: Some(verdict),
            items_needed,
            reason,
        }
    }
}

/// A base that merely guesses has no right choices to lose.
fn guessing(series: &Series, rule: &Rule, stand_in: StandIn) -> Decision {
    let base = series.base_mean();
    let chance = series.chance().unwrap_or_default();
    let what = format!("the base scores {base:.3}, not above chance {chance:.3}");
    match (stand_in, rule.action) {
        (StandIn::Missing, Action::Block) => Decision::of(
            Verdict::Undecided,
            None,
            format!("{what}, and no continuous metric of the group has a blocking rule"),
        ),
        (StandIn::Missing, _) => Decision::not_judged(what),
        (StandIn::Judged, _) => {
            Decision::not_judged(format!("{what}: judged by its continuous metrics only"))
        }
    }
}

fn decide(rule: &Rule, estimate: &Estimate, harm: Option<Interval>) -> Decision {
    let missing = rule.min_items.saturating_sub(estimate.n);
    if missing > 0 {
        let (n, least) = (estimate.n, rule.min_items);
        let reason = format!("{n} items, fewer than the {least} that the budget asks for");
        return Decision::of(Verdict::Undecided, Some(missing), reason);
    }
    let Some(harm) = harm else {
        let reason = "all items share one cluster; add items from others".to_owned();
        return Decision::of(Verdict::Undecided, None, reason);
    };
    // A wanted gain is a harm of at most minus that gain.
    let (what, limit, value) = match rule.direction {
        Direction::Retain => ("harm", rule.budget, harm),
        Direction::Gain => ("gain", -rule.budget, harm.negated()),
    };
    let budget = rule.budget;
    let Interval { low, high, .. } = value;
    let range = format!("{what} {low:+.4} to {high:+.4}, budget {budget}");
    if harm.high <= limit {
        return Decision::of(Verdict::Pass, None, range);
    }
    if harm.low > limit {
        return Decision::of(Verdict::Fail, None, range);
    }
    let (arm, distance) = if harm.estimate <= limit {
        (harm.high - harm.estimate, limit - harm.estimate)
    } else {
        (harm.estimate - harm.low, harm.estimate - limit)
    };
    let needed = more_items(estimate.n, arm, distance).map(|more| more.max(1));
    let advice = match needed {
        Some(more) => format!("about {more} more items would decide"),
        None => format!("the {what} is too near the budget to be decided by more items"),
    };
    Decision::of(Verdict::Undecided, needed, format!("{range}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::super::measurement::Pair;
    use super::super::metric::Metric;
    use super::*;

    fn rule(metric: &str, direction: &str, budget: f64) -> Rule {
        let text = format!(
            "version = 1\n[[rule]]\ngroup = \"g\"\nmetric = \"{metric}\"\ndirection = \"{direction}\"\n\
             budget = {budget}\nmin_items = 50\naction = \"block\"\n"
        );
        Budget::parse(&text, "test").unwrap().rules()[0].clone()
    }

    /// `n` items of which the base gets `base` in ten right and loses `lost` in ten.
    fn acc(n: usize, base: usize, lost: usize, chance: Option<f64>) -> Series {
        let pair = |i: usize| {
            let right = i % 10 < base;
            let kept = right && i % 10 >= lost;
            Pair::new(i.to_string(), f64::from(right), f64::from(kept))
        };
        Series::new("g", Metric::Acc, chance, (0..n).map(pair).collect()).unwrap()
    }

    fn judged(series: &Series, rule: &Rule) -> GroupResult {
        judge(series, Some(rule), Confidence::DEFAULT, StandIn::Missing)
    }

    #[test]
    fn the_three_verdicts() {
        let rule = rule("acc", "retain", 0.1);
        let verdict = |lost, n| judged(&acc(n, 8, lost, None), &rule).verdict;
        assert_eq!(verdict(0, 200), Some(Verdict::Pass));
        assert_eq!(verdict(3, 200), Some(Verdict::Fail));
        assert_eq!(verdict(1, 200), Some(Verdict::Undecided));
        assert_eq!(verdict(3, 40), Some(Verdict::Undecided));
    }

    #[test]
    fn undecided_says_how_many_more() {
        let wide = rule("acc", "retain", 0.15);
        let open = judged(&acc(100, 8, 1, None), &wide);
        let more = open.items_needed.expect("a number");
        assert!(
            open.reason.contains(&format!("about {more} more items")),
            "{}",
            open.reason
        );
        let then = judged(&acc((100 + more).next_multiple_of(10), 8, 1, None), &wide);
        assert_eq!(then.verdict, Some(Verdict::Pass));
        let few = judged(&acc(20, 8, 0, None), &wide);
        assert_eq!(
            (few.verdict, few.items_needed),
            (Some(Verdict::Undecided), Some(30))
        );
        let at = judged(&acc(200, 8, 1, None), &rule("acc", "retain", 0.1));
        assert!(at.reason.contains("too near the budget"), "{}", at.reason);
    }

    #[test]
    fn a_gain_is_judged_from_the_other_side() {
        let learned = |n: usize, share: usize| {
            let pair = |i: usize| Pair::new(i.to_string(), 0.0, f64::from(i % 10 < share));
            Series::new("g", Metric::ExactMatch, None, (0..n).map(pair).collect()).unwrap()
        };
        let rule = rule("exact_match", "gain", 0.5);
        let verdict = |share| judged(&learned(100, share), &rule).verdict;
        assert_eq!(verdict(10), Some(Verdict::Pass));
        assert_eq!(verdict(5), Some(Verdict::Undecided));
        assert_eq!(verdict(2), Some(Verdict::Fail));
    }

    #[test]
    fn a_group_at_chance_is_left_to_its_continuous_metric() {
        let rule = rule("acc", "retain", 0.1);
        let series = acc(100, 2, 0, Some(0.25));
        let of = |stand_in| judge(&series, Some(&rule), Confidence::DEFAULT, stand_in);
        let left = of(StandIn::Judged);
        assert_eq!((left.verdict, left.above_chance), (None, Some(false)));
        assert!(
            left.reason.contains("continuous metrics only"),
            "{}",
            left.reason
        );
        assert_eq!(of(StandIn::Missing).verdict, Some(Verdict::Undecided));
    }

    #[test]
    fn a_task_that_the_base_guesses_on_can_be_gained() {
        let pair = |i: usize| Pair::new(i.to_string(), f64::from(i % 4 < 1), 1.0);
        let pairs = (0..100).map(pair).collect();
        let series = Series::new("g", Metric::Acc, Some(0.25), pairs).unwrap();
        let gained = judged(&series, &rule("acc", "gain", 0.1));
        assert_eq!(
            (gained.verdict, gained.above_chance),
            (Some(Verdict::Pass), Some(false))
        );
    }

    #[test]
    fn without_a_rule_it_is_only_reported() {
        let found = judge(
            &acc(100, 8, 8, None),
            None,
            Confidence::DEFAULT,
            StandIn::Missing,
        );
        assert_eq!((found.verdict, found.action), (None, Action::Allow));
        assert_eq!((found.base, found.adapted, found.n), (0.8, 0.0, 100));
        assert_eq!(found.negative_flip_rate, Some(0.8));
    }

    #[test]
    fn no_change_at_all_passes_a_budget_of_zero_only_where_nothing_can_hide() {
        // Accuracy: an interval is left even without a flip. Divergence: all items are exactly 0.
        let strict = judged(&acc(100, 8, 0, None), &rule("acc", "retain", 0.0));
        assert_eq!(strict.verdict, Some(Verdict::Undecided));
        let pairs = (0..100)
            .map(|i| Pair::new(i.to_string(), 0.0, 0.0))
            .collect();
        let kl = Series::new("g", Metric::Kl, None, pairs).unwrap();
        assert_eq!(
            judged(&kl, &rule("kl", "retain", 0.0)).verdict,
            Some(Verdict::Pass)
        );
    }
}
