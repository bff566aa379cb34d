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

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measurement::NoiseFloor;
use super::metric::Metric;
use super::stats::Confidence;
use crate::engine::ContentHash;
use crate::{Error, Result};

/// The budget that holds where none is given.
const EMBEDDED: &str = include_str!("../../models/budget.toml");
/// Version of the format that this code reads.
const VERSION: u32 = 1;
/// A budget is written by hand: a larger file is something else.
const MAX_BYTES: usize = 256 * 1024;
/// Each rule is compared with each measured series.
const MAX_RULES: usize = 1000;
/// Names and patterns: as long as file names may be.
const MAX_NAME_BYTES: usize = 255;
/// A reason is a sentence or two, shown in reports.
const MAX_REASON_BYTES: usize = 2000;
/// With fewer items no interval says anything.
const LEAST_ITEMS: usize = 2;
/// More items than any suite holds: a typing mistake.
const MOST_ITEMS: usize = 1_000_000;

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

/// A group's name in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(mut name) = name.strip_prefix(head) else {
            return false;
        };
        // The first place for each middle part leaves most to the others.
        let mut parts = rest.split('*').collect::<Vec<_>>();
        let tail = parts.pop().unwrap_or("");
        for part in parts {
            match name.split_once(part) {
                Some((_, after)) => name = after,
                None => return false,
            }
        }
        name.ends_with(tail)
    }

    fn is_name(&self) -> bool {
        !self.0.contains('*')
    }

    /// Names before patterns, then by letters.
    fn specificity(&self) -> (bool, usize) {
        let letters = self.0.chars().filter(|letter| *letter != '*').count();
        (self.is_name(), letters)
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
    /// [`Error::Io`] if it cannot be read, [`Error::InvalidArgument`] for what [`Self::parse`] refuses.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = fs_err::metadata(path)?.len();
        if bytes > MAX_BYTES as u64 {
            return Err(invalid(&name, too_large(bytes)));
        }
        Self::parse(&fs_err::read_to_string(path)?, &name)
    }

    /// Parses a budget; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for text that is too long, is not TOML or of a newer version, names an unknown key or
    /// metric, holds a budget that is negative or not a number, or a rule twice.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
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
            Some(value) => {
                Confidence::new(value).map_err(|error| invalid(name, error.to_string()))?
            }
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
        Ok(Self {
            confidence,
            rules,
            sha256: ContentHash::of(text.as_bytes()),
        })
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

fn invalid(name: &str, reason: String) -> Error {
    Error::InvalidArgument {
        what: "budget",
        value: name.to_owned(),
        expected: reason,
    }
}

fn too_large(bytes: u64) -> String {
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
        let group = pattern(self.group)?;
        let except = self.except.into_iter().map(pattern);
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

fn pattern(text: String) -> std::result::Result<Pattern, String> {
    if text.is_empty() || text.len() > MAX_NAME_BYTES {
        let n = text.len();
        return Err(format!(
            "a group's name has {n} bytes; write 1 to {MAX_NAME_BYTES}"
        ));
    }
    Ok(Pattern(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "version = 1\n[[rule]]\ngroup = \"arithmetic\"\nmetric = \"acc\"\ndirection = \"retain\"\n\
                       budget = 0.05\nmin_items = 50\naction = \"block\"\n";

    fn parse(text: &str) -> Result<Budget> {
        Budget::parse(text, "budget.toml")
    }

    #[track_caller]
    fn refused(text: &str, words: &str) {
        let error = parse(text).expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn reads_a_rule() {
        let budget = parse(ONE).unwrap();
        let rule = budget.rule("arithmetic", Metric::Acc).unwrap();
        assert_eq!(
            (rule.budget, rule.min_items, rule.required),
            (0.05, 50, true)
        );
        assert_eq!(budget.rule("arithmetic", Metric::Kl), None);
        assert_eq!(budget.rule("language", Metric::Acc), None);
        assert_eq!(budget.confidence(), Confidence::DEFAULT);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        refused(
            &ONE.replace("\"acc\"", "\"accnorm\""),
            "did you mean 'acc_norm'",
        );
        refused(
            &ONE.replace("0.05", "-0.05"),
            "rule 1 (arithmetic acc): budget -0.05 is negative",
        );
        refused(&ONE.replace("0.05", "nan"), "not a number");
        refused(&ONE.replace("0.05", "5.0"), "more than acc can change");
        refused(&ONE.replace("= 50", "= 1"), "min_items 1");
        refused(&ONE.replace("= 50", "= -1"), "line 7");
        refused(&ONE.replace("block", "stop"), "line 8");
        refused(
            &ONE.replace("budget =", "budgets ="),
            "unknown field `budgets`",
        );
        refused(&ONE.replace("version = 1", "version = 2"), "newer");
        refused(
            &ONE.replace("version = 1", "version = 1\nconfidence = 95"),
            "invalid confidence '95'",
        );
        refused(&ONE.replace("arithmetic", ""), "0 bytes");
        refused("version = 1", "0 rules");
        refused("version = ", "line 1");
        refused(&" ".repeat(MAX_BYTES + 1), "bytes");
        let rule = ONE.split_once('\n').unwrap().1;
        refused(
            &format!("{ONE}{rule}"),
            "rule 2 (arithmetic acc) stands twice",
        );
        refused(
            &format!("version = 1\n{}", rule.repeat(MAX_RULES + 1)),
            "1001 rules",
        );
    }

    #[test]
    fn the_most_specific_rule_holds() {
        let rule = |group: &str, budget: f64| {
            format!(
                "[[rule]]\ngroup = \"{group}\"\nmetric = \"kl\"\ndirection = \"retain\"\nbudget = {budget}\n\
                 min_items = 20\naction = \"warn\"\n"
            )
        };
        let lines = [
            rule("*", 1.0),
            rule("facts*", 2.0),
            rule("facts_cloze", 3.0),
        ];
        let budget = parse(&format!("version = 1\n{}", lines.concat())).unwrap();
        let of = |group| budget.rule(group, Metric::Kl).unwrap().budget;
        assert_eq!(
            (of("prose"), of("facts_new"), of("facts_cloze")),
            (1.0, 2.0, 3.0)
        );
        assert!(!budget.rules()[0].required && budget.rules()[2].required);
    }

    #[test]
    fn patterns() {
        let fits = |pattern: &str, name| Pattern(pattern.to_owned()).matches(name);
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "acb", false),
            ("abc", "abcd", false),
            ("**", "x", true),
            ("*é*", "née", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_budget_below_the_noise_floor_is_named() {
        let budget = parse(ONE).unwrap();
        let floor = |harm| NoiseFloor {
            null: "q8_0".to_owned(),
            group: "arithmetic".to_owned(),
            metric: Metric::Acc,
            harm,
        };
        assert_eq!(budget.below_floor(&[floor(0.01)]), []);
        let found = budget.below_floor(&[floor(0.01), floor(0.06)]);
        assert_eq!(found.len(), 1);
        let text = found[0].to_string();
        assert!(
            text.contains("0.05") && text.contains("0.0600") && text.contains("q8_0"),
            "{text}"
        );
        let allowed = parse(&ONE.replace("block", "allow")).unwrap();
        assert_eq!(allowed.below_floor(&[floor(0.06)]), []);
    }

    #[test]
    fn the_embedded_budget_is_whole_and_gives_its_reasons() {
        let budget = Budget::embedded().unwrap();
        for rule in budget.rules() {
            assert!(
                !rule.reason.is_empty(),
                "{} {}",
                rule.group.as_str(),
                rule.metric
            );
        }
        assert!(budget.rule("arithmetic", Metric::AccNorm).is_some());
        assert_eq!(
            budget.rule("prose", Metric::Kl).unwrap().action,
            Action::Block
        );
        assert!(budget.pools().next().is_some());
    }
}
