//! The declared, acceptable forgetting: for each group and metric how much may be lost, and what happens beyond.
//!
//! ```toml
//! version = 1
//! confidence = 0.95            # of every interval
//!
//! [[rule]]
//! group = "arithmetic"         # a name, or a pattern with *
//! metric = "acc_norm"
//! direction = "retain"         # lose at most `budget`; "gain": gain at least `budget`
//! budget = 0.05
//! min_items = 100              # fewer are never judged
//! action = "block"             # or "warn", "allow"
//! reason = "why this number"
//! ```
//!
//! For each group and metric the most specific rule holds: a name before a pattern, a pattern with more letters before
//! one with fewer. A rule with `pool = true` takes all groups that match (and are not in `except`) as one.

mod file;
mod pattern;

use std::path::Path;

pub use pattern::Pattern;
use serde::{Deserialize, Serialize};

use super::measurement::NoiseFloor;
use super::metric::Metric;
use super::stats::Confidence;
use crate::Result;
use crate::engine::ContentHash;

/// The budget that holds where none is given.
const EMBEDDED: &str = include_str!("../../models/budget.toml");
/// Which way a rule looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// At most the budget may be lost.
    Retain,
    /// At least the budget must be gained.
    Gain,
}

/// What a rule that is not met does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Decides the verdict.
    Block,
    /// Is said beside the verdict.
    Warn,
    /// Is only reported.
    Allow,
}

/// One line of the budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rule {
    /// Name of a group, or a pattern with `*`.
    pub group: Pattern,
    /// The metric that is limited.
    pub metric: Metric,
    /// Loss or gain.
    pub direction: Direction,
    /// Most harm allowed, or least gain wanted; never negative.
    pub budget: f64,
    /// Fewer items are never judged.
    pub min_items: usize,
    /// What follows when it is not met.
    pub action: Action,
    /// Whether all groups that match are taken as one.
    pub pool: bool,
    /// Groups that the pattern does not mean.
    pub except: Vec<Pattern>,
    /// Whether no match leaves the verdict open. A rule for one named group is.
    pub required: bool,
    /// Why this number.
    pub reason: String,
}

impl Rule {
    /// Whether it is meant for that group and metric.
    #[must_use]
    pub fn applies(&self, group: &str, metric: Metric) -> bool {
        self.metric == metric
            && self.group.matches(group)
            && !self.except.iter().any(|pattern| pattern.matches(group))
    }
}

/// A whole budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    confidence: Confidence,
    rules: Vec<Rule>,
    sha256: ContentHash,
}

/// A budget below what the machinery measures where nothing changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BelowFloor {
    /// The group.
    pub group: String,
    /// The metric.
    pub metric: Metric,
    /// The budget.
    pub budget: f64,
    /// Harm found without any harm.
    pub floor: f64,
    /// What was measured there.
    pub null: String,
}

impl std::fmt::Display for BelowFloor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            group,
            metric,
            budget,
            floor,
            null,
        } = self;
        write!(
            f,
            "the budget {budget} for {metric} of '{group}' is below the noise floor {floor:.4} ({null} against the \
             base); raise it above, or an adapter without harm may fail"
        )
    }
}

impl Budget {
    /// The budget that ships with this program, see `models/budget.toml`.
    ///
    /// # Errors
    /// Never for a build that passed its tests.
    pub fn embedded() -> Result<Self> {
        Self::parse(EMBEDDED, "models/budget.toml")
    }

    /// Reads a budget from a file.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if it cannot be read, [`crate::Error::InvalidArgument`] for what [`Self::parse`] refuses.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = fs_err::metadata(path)?.len();
        if bytes > file::MAX_BYTES as u64 {
            return Err(file::invalid(&name, file::too_large(bytes)));
        }
        Self::parse(&fs_err::read_to_string(path)?, &name)
    }

    /// Parses a budget; `name` is what errors call it.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for text that is too long, is not TOML or of a newer version, names an unknown key or
    /// metric, holds a budget that is negative or not a number, or a rule twice.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        file::parse(text, name)
    }

    /// Confidence of every interval.
    #[must_use]
    pub const fn confidence(&self) -> Confidence {
        self.confidence
    }

    /// Hash of the text it was read from.
    #[must_use]
    pub const fn sha256(&self) -> ContentHash {
        self.sha256
    }

    /// All rules, in the file's order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule that holds for a group and a metric, if any.
    #[must_use]
    pub fn rule(&self, group: &str, metric: Metric) -> Option<&Rule> {
        let applying = self.rules.iter().filter(|rule| !rule.pool);
        applying
            .filter(|rule| rule.applies(group, metric))
            // Of equals the first: `max_by_key` would take the last.
            .rev()
            .max_by_key(|rule| rule.group.specificity())
    }

    /// Rules that take several groups as one.
    pub fn pools(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.pool)
    }

    /// Every budget of a blocking or warning rule that is below what was measured without harm.
    #[must_use]
    pub fn below_floor(&self, floors: &[NoiseFloor]) -> Vec<BelowFloor> {
        let below = |floor: &NoiseFloor| {
            let rule = self.rule(&floor.group, floor.metric)?;
            let judged = rule.action != Action::Allow && rule.direction == Direction::Retain;
            (judged && rule.budget < floor.harm).then(|| BelowFloor {
                group: floor.group.clone(),
                metric: floor.metric,
                budget: rule.budget,
                floor: floor.harm,
                null: floor.null.clone(),
            })
        };
        floors.iter().filter_map(below).collect()
    }
}

#[cfg(test)]
mod tests;
