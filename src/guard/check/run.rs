//! The whole check: measured in parts, judged after each, stopped when the verdict stands.

use std::collections::{HashMap, HashSet};

use super::{MeasureOptions, Next, Progress, measure};
use crate::engine::{AdapterStack, Model};
use crate::guard::budget::{Action, Budget, Rule};
use crate::guard::measurement::Measurements;
use crate::guard::stats::sequential::{Look, Plan};
use crate::guard::suite::Suite;
use crate::guard::verdict::{GroupResult, Outcome, Verdict, judge_look, screen_look};
use crate::{Error, Result};

/// What a check came to.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The judgement.
    pub outcome: Outcome,
    /// What it rests on.
    pub measurements: Measurements,
}

/// Measures `stack` against the base on `suite` and judges it by `budget`.
///
/// Looks several times, and stops as soon as the adapter failed, or passed with every group that will be judged at all.
/// What is undecided in the end is measured on, up to the tier's extension. The error over all looks stays within the budget's confidence.
///
/// # Errors
/// [`Error::InvalidArgument`] if no adapter has an effect, or a blocking rule's budget is below the noise floor; as
/// [`measure`].
pub fn check(
    model: &Model,
    stack: &AdapterStack,
    suite: &Suite,
    budget: &Budget,
    options: &MeasureOptions,
    progress: impl FnMut(Progress<'_>),
) -> Result<Checked> {
    // A quick look judges what it has enough items for; the other tiers judge everything or say that they cannot.
    let judge = if options.screen {
        screen_look
    } else {
        judge_look
    };
    let plan = Plan::new(budget.confidence(), options.sizes.looks)?;
    let plan = match options.sizes.extension {
        ..=1 => plan,
        _ => plan.extended(),
    };
    let mut outcome = None;
    let measurements = measure(
        model,
        stack,
        suite,
        plan,
        options,
        progress,
        |figures, look, totals| {
            refuse_below_floor(budget, figures)?;
            let judged = judge(figures, budget, look);
            let next = next(&judged, look, budget, totals);
            outcome = Some(judged);
            Ok(next)
        },
    )?;
    let outcome = outcome.unwrap_or_else(|| judge(&measurements, budget, plan.last()));
    Ok(Checked {
        outcome,
        measurements,
    })
}

/// What to measure after a look.
fn next(judged: &Outcome, look: Look, budget: &Budget, totals: &HashMap<String, usize>) -> Next {
    let stands = match judged.verdict {
        Verdict::Fail => true,
        Verdict::Pass => !has_more_to_judge(judged, budget, totals),
        Verdict::Undecided => false,
    };
    match look {
        _ if stands || look.is_last() => Next::Stop,
        _ if look.is_whole() => Next::Extend(open(judged)),
        _ => Next::Without(settled(judged)),
    }
}

/// A budget that harmless models break would judge noise.
fn refuse_below_floor(budget: &Budget, figures: &Measurements) -> Result<()> {
    let below = budget.below_floor(figures.noise_floor());
    let blocking = below.into_iter().find(|below| {
        let rule = budget.rule(&below.group, below.metric);
        rule.is_some_and(|rule| rule.action == Action::Block)
    });
    let Some(below) = blocking else {
        return Ok(());
    };
    Err(Error::InvalidArgument {
        what: "budget",
        value: format!("{} for {} of '{}'", below.budget, below.metric, below.group),
        expected: format!(
            "more than the noise floor {:.4}, the harm that '{}' shows against the base: below it an adapter without \
             harm fails",
            below.floor, below.null
        ),
    })
}

/// Groups whose part of the verdict stands: their blocking rules are all met, and no pool that they are in is open; or they
/// have none, and it is decided what to warn of.
fn settled(judged: &Outcome) -> HashSet<String> {
    let blocking = || judged.groups.iter().filter(|g| g.action == Action::Block);
    let is_open = |group: &GroupResult| group.verdict != Some(Verdict::Pass);
    let mut open: HashSet<&str> = HashSet::new();
    for group in blocking().filter(|group| group.too_few_items || is_open(group)) {
        // A group at chance is judged by its continuous metrics: no verdict of its own leaves nothing open.
        let guessing = group.verdict.is_none() && !group.too_few_items;
        if !guessing {
            open.insert(&group.name);
            open.extend(group.pooled.iter().map(String::as_str));
        }
    }
    let met = |group: &&GroupResult| group.verdict == Some(Verdict::Pass);
    let is_blocking = |name: &str| blocking().any(|group| group.name == name);
    for group in judged
        .groups
        .iter()
        .filter(|group| !is_blocking(&group.name))
    {
        if group.action == Action::Warn && group.verdict == Some(Verdict::Undecided) {
            open.insert(&group.name);
        }
    }
    let warned = |group: &&GroupResult| {
        group.action == Action::Warn && group.verdict.is_some() && !is_blocking(&group.name)
    };
    let groups = judged.groups.iter();
    groups
        .filter(|group| met(group) && group.action == Action::Block || warned(group))
        .filter(|group| !open.contains(group.name.as_str()))
        .map(|group| group.name.clone())
        .collect()
}

/// Groups that more items would decide.
fn open(judged: &Outcome) -> HashSet<String> {
    judged
        .groups
        .iter()
        .filter(|group| {
            group.action == Action::Block
                && group.verdict == Some(Verdict::Undecided)
                && group.items_needed.is_some()
        })
        .flat_map(|group| match group.pooled.as_slice() {
            [] => vec![group.name.clone()],
            pooled => pooled.to_vec(),
        })
        .collect()
}

/// Whether a group has no items so far, or too few to be judged, and will have enough.
fn has_more_to_judge(judged: &Outcome, budget: &Budget, totals: &HashMap<String, usize>) -> bool {
    let is_measured = |name: &String| judged.groups.iter().any(|group| group.name == *name);
    if !totals.keys().all(is_measured) {
        return true;
    }
    let all: usize = totals.values().sum();
    judged.groups.iter().any(|group| {
        let rule = if group.pooled.is_empty() {
            budget.rule(&group.name, group.metric)
        } else {
            let is_it =
                |rule: &&Rule| rule.metric == group.metric && rule.group.as_str() == group.name;
            budget.pools().find(is_it)
        };
        let total = totals.get(&group.name).copied().unwrap_or(all);
        group.too_few_items
            && rule.is_some_and(|rule| rule.action == Action::Block && rule.min_items <= total)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::measurement::{Pair, Series, Work};
    use crate::guard::metric::Metric;

    /// `n` general prompts of which the adapter answers `collapsed` in its trained format.
    fn prompts(n: usize, collapsed: usize) -> Result<Measurements> {
        let pair = |i: usize| Pair::new(i.to_string(), 0.0, f64::from(i < collapsed));
        let pairs = (0..n).map(pair).collect();
        let series = Series::new("general_prompts", Metric::FormatCollapse, None, pairs)?;
        Measurements::new(vec![series], vec![], vec![], Work::default())
    }

    #[test]
    fn what_is_undecided_in_the_end_is_extended_and_then_decided() -> Result<()> {
        let budget = Budget::embedded()?;
        let looks: Vec<Look> = Plan::new(budget.confidence(), 2)?
            .extended()
            .looks()
            .collect();
        let totals = HashMap::from([("general_prompts".to_owned(), 60)]);
        let after = |look: usize, n: usize, collapsed: usize| -> Result<(Verdict, Next)> {
            let judged = screen_look(&prompts(n, collapsed)?, &budget, looks[look]);
            let next = next(&judged, looks[look], &budget, &totals);
            Ok((judged.verdict, next))
        };
        assert_eq!(after(1, 60, 0)?, (Verdict::Pass, Next::Stop));
        let open = HashSet::from(["general_prompts".to_owned()]);
        assert_eq!(after(1, 60, 1)?, (Verdict::Undecided, Next::Extend(open)));
        assert_eq!(after(2, 180, 3)?, (Verdict::Pass, Next::Stop));
        assert_eq!(after(2, 180, 45)?, (Verdict::Fail, Next::Stop));
        assert_eq!(after(0, 30, 30)?, (Verdict::Fail, Next::Stop));
        Ok(())
    }
}
