//! The whole check: measured in parts, judged after each, stopped when the verdict stands.

use std::collections::{HashMap, HashSet};

use super::{MeasureOptions, Next, Progress, measure};
use crate::engine::{AdapterStack, Model};
use crate::guard::budget::{Action, Budget, Rule};
use crate::guard::measurement::Measurements;
use crate::guard::stats::sequential::Plan;
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
/// The error over all looks stays within the budget's confidence.
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
            let stop = match judged.verdict {
                Verdict::Fail => true,
                Verdict::Pass => !has_more_to_judge(&judged, budget, totals),
                Verdict::Undecided => false,
            };
            let next = if stop || look.is_last() {
                Next::Stop
            } else {
                Next::Without(settled(&judged))
            };
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

/// Groups whose part of the verdict stands: they have blocking rules, all met, and no pool that they are in is open. On
/// the same items a later look, which needs to be less sure, says the same.
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
    blocking()
        .filter(|group| group.verdict == Some(Verdict::Pass) && !open.contains(group.name.as_str()))
        .map(|group| group.name.clone())
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
