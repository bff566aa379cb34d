//! What a collection may be used for: a policy in TOML, and the decisions it makes about one question.
//!
//! ```toml
//! version = 1
//!
//! [sources]                       # which documents may be quoted; patterns match the end of a path, or all of it
//! allow = ["handbook/**", "*.md"] # none: every document
//! deny = ["drafts/**"]            # comes before allow
//!
//! [freshness]
//! max_age_days = 365              # by the file's own time, or else by when it was added
//! newest_version_wins = true      # of leave-2023.md and leave-2024.md, or rules-v1.md and rules-v2.md, only the newest
//!
//! [[disclaimer]]
//! text = "This is no legal advice."
//! topics = ["contract", "notice period"]  # without topics: under every answer
//!
//! [[refuse]]
//! topics = ["salary", "what a colleague earns"]
//! reply = "Please ask the personnel office."
//! similarity = 0.45               # cosine to the question from which a topic counts as meant; 0.45 by default
//! ```
//!
//! A topic is met by a question that has all of its words of content, in any inflection, or that is near enough to it
//! in meaning. Every decision is reported, with the rule that made it.

mod file;
mod rulings;
mod sources;
mod topics;
mod versions;

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::collection::Collection;
use super::embed::Embed;
use super::filter::Filed;
use super::search::Hit;
use crate::Result;
use versions::Families;

pub use file::{POLICY_FILE, Policy};
pub(super) use rulings::Rulings;

/// What a policy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The question was not answered.
    Refused,
    /// A document that was found may not be quoted.
    Withheld,
    /// A text was put under the answer.
    Disclaimer,
}

/// One decision of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What was done.
    pub action: Action,
    /// The rule, as it stands in the file: `sources.deny`, `refuse 1`.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// The document that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<i64>,
    /// Absolute path of that document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A policy's decisions about one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyReport {
    /// The file.
    pub path: String,
    /// Its sha256 in hexadecimal: which version of it decided.
    pub sha256: String,
    /// What it decided, in order.
    pub decisions: Vec<Decision>,
}

const SECONDS_A_DAY: i64 = 86_400;

/// The rule that a document is withheld by, and the reason.
type Objection = (&'static str, String);

/// Which documents of a collection may be quoted.
#[derive(Debug)]
struct Judged {
    /// Their numbers.
    allowed: Vec<i64>,
    withheld: HashMap<i64, Objection>,
}

/// A policy at work on one question.
#[derive(Debug)]
struct Ruling<'a> {
    policy: &'a Policy,
    decisions: Vec<Decision>,
}

impl<'a> Ruling<'a> {
    fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            decisions: Vec::new(),
        }
    }

    /// What to say in place of an answer, if the question is about something that is refused.
    fn refusal(&mut self, question: &str, embedder: &mut dyn Embed) -> Result<Option<String>> {
        for (nth, rule) in (1..).zip(&self.policy.refuse) {
            if let Some(reason) = rule.topics.met(question, embedder)? {
                self.decide(Action::Refused, format!("refuse {nth}"), reason, None);
                return Ok(Some(rule.reply.clone()));
            }
        }
        Ok(None)
    }

    /// Whether the policy can withhold a document at all.
    fn withholds(&self) -> bool {
        !self.policy.sources.is_open() || self.policy.freshness.is_some()
    }

    /// Judges all documents of a collection.
    fn judge(&self, collection: &Collection, now: i64) -> Result<Judged> {
        let filed = collection.store().filed()?;
        let families = Families::of(&filed);
        let (mut allowed, mut withheld) = (Vec::new(), HashMap::new());
        for document in filed {
            match self.objection(&document, &families, now) {
                None => allowed.push(document.id),
                Some(objection) => {
                    withheld.insert(document.id, objection);
                }
            }
        }
        Ok(Judged { allowed, withheld })
    }

    /// The hits that may be quoted. Each document that may not is a decision, if it is near enough to the question to have
    /// been quoted: has a hit with a cosine of at least `threshold`.
    fn screen(&mut self, hits: Vec<Hit>, judged: &Judged, threshold: f32) -> Vec<Hit> {
        let mut kept = Vec::with_capacity(hits.len());
        let mut decided = HashSet::new();
        for hit in hits {
            match judged.withheld.get(&hit.document) {
                None => kept.push(hit),
                Some((rule, reason)) => {
                    if hit.score >= threshold && decided.insert(hit.document) {
                        let (rule, reason) = ((*rule).to_owned(), reason.clone());
                        self.decide(Action::Withheld, rule, reason, Some(&hit));
                    }
                }
            }
        }
        kept
    }

    /// Why a document may not be quoted.
    fn objection(&self, document: &Filed, families: &Families, now: i64) -> Option<Objection> {
        if let Some(objection) = self.policy.sources.objection(&document.path) {
            return Some(objection);
        }
        let freshness = self.policy.freshness.as_ref()?;
        let age = now.saturating_sub(document.at) / SECONDS_A_DAY;
        if let Some(days) = freshness.max_age_days
            && age > i64::from(days)
        {
            let reason = format!("it is {age} days old, more than {days}");
            return Some(("freshness.max_age_days", reason));
        }
        if !freshness.newest_version_wins {
            return None;
        }
        let newer = families.newer_than(document.id)?;
        Some(("freshness.newest_version_wins", format!("{newer} is newer")))
    }

    /// The disclaimers that belong under an answer to `question`.
    fn disclaimers(&mut self, question: &str, embedder: &mut dyn Embed) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for (nth, rule) in (1..).zip(&self.policy.disclaimer) {
            let reason = match &rule.topics {
                None => Some("it belongs under every answer".to_owned()),
                Some(topics) => topics.met(question, embedder)?,
            };
            if let Some(reason) = reason {
                self.decide(
                    Action::Disclaimer,
                    format!("disclaimer {nth}"),
                    reason,
                    None,
                );
                texts.push(rule.text.clone());
            }
        }
        Ok(texts)
    }

    fn into_report(self) -> PolicyReport {
        PolicyReport {
            path: self.policy.path.display().to_string(),
            sha256: self.policy.sha256.clone(),
            decisions: self.decisions,
        }
    }

    fn decide(&mut self, action: Action, rule: String, reason: String, hit: Option<&Hit>) {
        self.decisions.push(Decision {
            action,
            rule,
            reason,
            document: hit.map(|hit| hit.document),
            path: hit.map(|hit| hit.path.clone()),
        });
    }
}
