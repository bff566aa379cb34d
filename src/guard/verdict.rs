//! The verdict over a whole check: what was measured, against the budget.
//!
//! Any blocking rule that failed fails the adapter. Otherwise anything left open leaves the verdict open: a blocking
//! rule that is undecided, a required group that was not measured, nothing to judge at all. Only then it passes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::budget::{Action, Budget, Direction, Rule};
use super::estimate::above_chance;
use super::flips::Flips;
use super::judge::{StandIn, judge};
use super::measurement::{Measurements, NoiseFloor, Series, TextDivergence, Work};
use super::metric::Metric;
use super::stats::Confidence;
use super::stats::sequential::{Look, Plan};

/// What the guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Within the budget.
    Pass,
    /// Beyond the budget.
    Fail,
    /// The evidence does not decide.
    Undecided,
}

impl Verdict {
    /// As it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One metric of one group, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupResult {
    /// The group; the pattern of the rule where groups were taken as one.
    pub name: String,
    /// The metric.
    pub metric: Metric,
    /// Items measured.
    pub n: usize,
    /// As many independent items would say as much.
    pub effective_n: f64,
    /// Mean of the base.
    pub base: f64,
    /// Mean of base and adapter.
    pub adapted: f64,
    /// Adapted minus base.
    pub delta: f64,
    /// Lower bound of the interval of `delta`. `None` where all items share one cluster.
    pub ci_low: Option<f64>,
    /// Upper bound.
    pub ci_high: Option<f64>,
    /// Share of items that the adapter made wrong.
    pub negative_flip_rate: Option<f64>,
    /// Share of items that the adapter made right.
    pub positive_flip_rate: Option<f64>,
    /// McNemar's exact p value.
    pub mcnemar_p: Option<f64>,
    /// What guessing would score.
    pub chance: Option<f64>,
    /// Whether the base does better than that.
    pub above_chance: Option<bool>,
    /// The groups that were taken as one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pooled: Vec<String>,
    /// The verdict; `None` where it is not judged, see `reason`.
    pub verdict: Option<Verdict>,
    /// What the rule does.
    pub action: Action,
    /// Which way the rule looks.
    pub direction: Direction,
    /// The rule's budget.
    pub budget: Option<f64>,
    /// About how many more items would decide.
    pub items_needed: Option<usize>,
    /// Whether there are fewer items than the rule asks for.
    #[serde(default)]
    pub too_few_items: bool,
    /// Why, in words.
    pub reason: String,
}

impl GroupResult {
    /// The group's name for people: pooled groups say so.
    #[must_use]
    pub fn title(&self) -> String {
        if self.pooled.is_empty() {
            self.name.clone()
        } else {
            format!("{} ({} as one)", self.name, self.pooled.len())
        }
    }
}

/// Which look a verdict was reached on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookNumber {
    /// From 1.
    pub number: usize,
    /// Of so many planned.
    pub of: usize,
}

/// The whole judgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
    /// Confidence of the intervals.
    pub confidence: Confidence,
    /// The look it was reached on.
    pub look: LookNumber,
    /// Each metric of each group.
    pub groups: Vec<GroupResult>,
    /// The stratum of text that diverges most.
    pub kl: Option<TextDivergence>,
    /// All strata.
    pub text: Vec<TextDivergence>,
    /// Harm found where there is none.
    pub noise_floor: Vec<NoiseFloor>,
    /// Items that changed sides.
    pub flips: Vec<Flips>,
    /// What else should be known: warning rules that are not met, budgets below the noise floor.
    pub warnings: Vec<String>,
    /// Seconds that measuring took.
    pub seconds: f64,
    /// What measuring cost.
    pub work: Work,
}

/// Judges measurements by a budget, with all that was measured.
#[must_use]
pub fn judge_all(measured: &Measurements, budget: &Budget) -> Outcome {
    judge_look(measured, budget, Plan::single(budget.confidence()).last())
}

/// Judges what has been measured up to a look. When the verdict is not [`Verdict::Undecided`], measuring may stop: the
/// error over all looks stays within the budget's confidence.
#[must_use]
pub fn judge_look(measured: &Measurements, budget: &Budget, look: Look) -> Outcome {
    let confidence = look.confidence();
    let mut groups: Vec<GroupResult> = measured
        .series()
        .iter()
        .map(|series| judge_group(series, measured, budget, confidence))
        .collect();
    let pooled = budget
        .pools()
        .filter_map(|rule| judge_pool(rule, measured, confidence));
    groups.extend(pooled);
    let (verdict, reason) = overall(&groups, &unmeasured(measured, budget));
    Outcome {
        verdict,
        reason,
        confidence,
        look: LookNumber {
            number: look.number(),
            of: look.of(),
        },
        kl: worst(measured.text()),
        text: measured.text().to_vec(),
        noise_floor: measured.noise_floor().to_vec(),
        flips: measured.series().iter().filter_map(Flips::of).collect(),
        warnings: warnings(&groups, measured, budget),
        groups,
        seconds: measured.work().seconds,
        work: measured.work().clone(),
    }
}

/// Judges a quick check by those rules only that it has enough items for; the others are reported as not judged. A
/// pass then says that nothing showed where it looked, which is less than [`judge_look`] says.
#[must_use]
pub fn screen_look(measured: &Measurements, budget: &Budget, look: Look) -> Outcome {
    let mut outcome = judge_look(measured, budget, look);
    let mut left_out = 0;
    for group in &mut outcome.groups {
        if group.too_few_items {
            group.verdict = None;
            left_out += 1;
        }
    }
    (outcome.verdict, outcome.reason) = overall(&outcome.groups, &unmeasured(measured, budget));
    if left_out > 0 {
        let warning = format!(
            "{left_out} figures rest on too few items to be judged: a thorougher tier judges them too"
        );
        outcome.warnings.push(warning);
    }
    outcome
}

fn judge_group(
    series: &Series,
    measured: &Measurements,
    budget: &Budget,
    confidence: Confidence,
) -> GroupResult {
    let rule = budget.rule(series.group(), series.metric());
    let stands_in = |other: &&Series| {
        let same = other.group() == series.group() && !other.metric().is_proportion();
        same && budget
            .rule(other.group(), other.metric())
            .is_some_and(|rule| rule.action == Action::Block)
    };
    let stand_in = match measured.series().iter().find(stands_in) {
        Some(_) => StandIn::Judged,
        None => StandIn::Missing,
    };
    judge(series, rule, confidence, stand_in)
}

/// Groups that the base guesses on have nothing to lose and would only water down what the others lost.
fn judge_pool(rule: &Rule, measured: &Measurements, confidence: Confidence) -> Option<GroupResult> {
    let parts: Vec<&Series> = measured
        .series()
        .iter()
        .filter(|series| rule.applies(series.group(), series.metric()))
        .filter(|series| above_chance(series) != Some(false))
        .collect();
    if parts.len() < 2 {
        return None;
    }
    let whole = Series::pool(rule.group.as_str(), &parts)?;
    let result = judge(&whole, Some(rule), confidence, StandIn::Missing);
    Some(GroupResult {
        pooled: parts.iter().map(|part| part.group().to_owned()).collect(),
        ..result
    })
}

/// Required rules that nothing was measured for.
fn unmeasured(measured: &Measurements, budget: &Budget) -> Vec<String> {
    let is_missing = |rule: &&Rule| {
        let applies = |series: &Series| rule.applies(series.group(), series.metric());
        rule.required && rule.action == Action::Block && !measured.series().iter().any(applies)
    };
    let missing = budget.rules().iter().filter(is_missing);
    missing
        .map(|rule| {
            format!(
                "{} of '{}' was not measured",
                rule.metric,
                rule.group.as_str()
            )
        })
        .collect()
}

fn overall(groups: &[GroupResult], unmeasured: &[String]) -> (Verdict, String) {
    let blocking = |verdict: Verdict| -> Vec<String> {
        groups
            .iter()
            .filter(|group| group.action == Action::Block && group.verdict == Some(verdict))
            .map(named)
            .collect()
    };
    let failed = blocking(Verdict::Fail);
    if !failed.is_empty() {
        return (
            Verdict::Fail,
            format!("beyond the budget: {}", failed.join(", ")),
        );
    }
    let mut open = blocking(Verdict::Undecided);
    open.extend_from_slice(unmeasured);
    if !open.is_empty() {
        return (
            Verdict::Undecided,
            format!("not decided: {}", open.join(", ")),
        );
    }
    let passed = blocking(Verdict::Pass).len();
    if passed == 0 {
        let reason = "no blocking rule of the budget is about what was measured";
        return (Verdict::Undecided, reason.to_owned());
    }
    (
        Verdict::Pass,
        format!("all {passed} blocking rules are met"),
    )
}

fn named(group: &GroupResult) -> String {
    format!("{} {}", group.title(), group.metric)
}

fn warnings(groups: &[GroupResult], measured: &Measurements, budget: &Budget) -> Vec<String> {
    let unmet = groups
        .iter()
        .filter(|group| group.action == Action::Warn && group.verdict == Some(Verdict::Fail))
        .map(|group| format!("{}: {}", named(group), group.reason));
    let below = budget.below_floor(measured.noise_floor());
    unmet.chain(below.iter().map(ToString::to_string)).collect()
}

fn worst(text: &[TextDivergence]) -> Option<TextDivergence> {
    let worst = text.iter().max_by(|a, b| a.mean.total_cmp(&b.mean));
    worst.cloned()
}

#[cfg(test)]
mod tests;
