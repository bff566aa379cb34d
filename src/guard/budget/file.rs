//! The budget's file: TOML to rules, with limits and errors that name the place.

use serde::Deserialize;

use super::pattern::Pattern;
use super::{Action, Budget, Direction, Rule};
use crate::engine::ContentHash;
use crate::guard::metric::Metric;
use crate::guard::stats::Confidence;
use crate::{Error, Result};

/// Version of the format that this code reads.
const VERSION: u32 = 1;
/// A budget is written by hand: a larger file is something else.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// Each rule is compared with each measured series.
pub(super) const MAX_RULES: usize = 1000;
/// A reason is a sentence or two, shown in reports.
const MAX_REASON_BYTES: usize = 2000;
/// With fewer items no interval says anything.
const LEAST_ITEMS: usize = 2;
/// More items than any suite holds: a typing mistake.
const MOST_ITEMS: usize = 1_000_000;

pub(super) fn parse(text: &str, name: &str) -> Result<Budget> {
    if text.len() > MAX_BYTES {
        return Err(invalid(name, too_large(text.len() as u64)));
    }
    let file: File = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.get(..offset).unwrap_or("").matches('\n').count() + 1;
        invalid(name, format!("line {line}: {}", error.message()))
    })?;
    if file.version > VERSION {
        let version = file.version;
        let reason = format!("version {version} is newer than {VERSION}; update unforget");
        return Err(invalid(name, reason));
    }
    if file.rule.is_empty() || file.rule.len() > MAX_RULES {
        let reason = format!("{} rules; write 1 to {MAX_RULES}", file.rule.len());
        return Err(invalid(name, reason));
    }
    let confidence = match file.confidence {
        Some(value) => Confidence::new(value).map_err(|error| invalid(name, error.to_string()))?,
        None => Confidence::DEFAULT,
    };
    let mut rules: Vec<Rule> = Vec::with_capacity(file.rule.len());
    for (index, line) in file.rule.into_iter().enumerate() {
        let of = format!("rule {} ({} {})", index + 1, line.group, line.metric);
        let rule = line
            .check()
            .map_err(|reason| invalid(name, format!("{of}: {reason}")))?;
        let same = |other: &&Rule| {
            (&other.group, other.metric, other.pool) == (&rule.group, rule.metric, rule.pool)
        };
        if rules.iter().find(same).is_some() {
            return Err(invalid(
                name,
                format!("{of} stands twice; keep one of them"),
            ));
        }
        rules.push(rule);
    }
    Ok(Budget {
        confidence,
        rules,
        sha256: ContentHash::of(text.as_bytes()),
    })
}

pub(super) fn invalid(name: &str, reason: String) -> Error {
    Error::InvalidArgument {
        what: "budget",
        value: name.to_owned(),
        expected: reason,
    }
}

pub(super) fn too_large(bytes: u64) -> String {
    format!("{bytes} bytes; a budget has at most {MAX_BYTES}")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    confidence: Option<f64>,
    #[serde(default)]
    rule: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    group: String,
    metric: String,
    direction: Direction,
    budget: f64,
    min_items: usize,
    action: Action,
    #[serde(default)]
    pool: bool,
    #[serde(default)]
    except: Vec<String>,
    required: Option<bool>,
    #[serde(default)]
    reason: String,
}

impl Line {
    fn check(self) -> std::result::Result<Rule, String> {
        let metric: Metric = self
            .metric
            .parse()
            .map_err(|error: Error| error.to_string())?;
        let budget = check_budget(self.budget, metric)?;
        if !(LEAST_ITEMS..=MOST_ITEMS).contains(&self.min_items) {
            let n = self.min_items;
            return Err(format!(
                "min_items {n} is not from {LEAST_ITEMS} to {MOST_ITEMS}"
            ));
        }
        if self.reason.len() > MAX_REASON_BYTES {
            let n = self.reason.len();
            return Err(format!(
                "the reason has {n} bytes; at most {MAX_REASON_BYTES}"
            ));
        }
        if self.except.len() > MAX_RULES {
            return Err(format!(
                "{} exceptions; at most {MAX_RULES}",
                self.except.len()
            ));
        }
        let group = Pattern::new(self.group)?;
        let except = self.except.into_iter().map(Pattern::new);
        Ok(Rule {
            metric,
            direction: self.direction,
            budget,
            min_items: self.min_items,
            action: self.action,
            pool: self.pool,
            except: except.collect::<std::result::Result<_, _>>()?,
            required: self.required.unwrap_or(group.is_name()),
            group,
            reason: self.reason,
        })
    }
}

fn check_budget(budget: f64, metric: Metric) -> std::result::Result<f64, String> {
    let (_, most) = metric.bounds();
    if !budget.is_finite() {
        return Err(format!("budget {budget} is not a number"));
    }
    if budget < 0.0 {
        return Err(format!(
            "budget {budget} is negative; a budget is the size of the loss allowed, or of the gain wanted"
        ));
    }
    if budget > most {
        return Err(format!(
            "budget {budget} is more than {metric} can change ({most})"
        ));
    }
    // So that -0.0 is not written anywhere.
    Ok(budget.abs())
}
