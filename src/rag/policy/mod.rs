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
//! similarity = 0.6                # cosine to the question from which a topic counts as meant; 0.6 by default
//! ```
//!
//! A topic is met by a question that has all of its words of content, in any inflection, or that is near enough to it
//! in meaning. Every decision is reported, with the rule that made it.

mod file;
mod sources;
mod topics;
mod versions;

use std::collections::HashSet;

use serde::Serialize;

use super::collection::Collection;
use super::embed::Embed;
use super::search::Hit;
use crate::Result;
use versions::Families;

pub use file::{POLICY_FILE, Policy};

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

/// A policy at work on one question.
#[derive(Debug)]
pub(super) struct Ruling<'a> {
    policy: &'a Policy,
    decisions: Vec<Decision>,
}

impl<'a> Ruling<'a> {
    pub fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            decisions: Vec::new(),
        }
    }

    /// What to say in place of an answer, if the question is about something that is refused.
    pub fn refusal(&mut self, question: &str, embedder: &mut dyn Embed) -> Result<Option<String>> {
        for (nth, rule) in (1..).zip(&self.policy.refuse) {
            if let Some(reason) = rule.topics.met(question, embedder)? {
                self.decide(Action::Refused, format!("refuse {nth}"), reason, None);
                return Ok(Some(rule.reply.clone()));
            }
        }
        Ok(None)
    }

    /// Whether the policy can withhold a document at all.
    pub fn withholds(&self) -> bool {
        !self.policy.sources.is_open() || self.policy.freshness.is_some()
    }

    /// The hits that may be quoted. Each document that may not is a decision, if it is near enough to the question to have
    /// been quoted: has a hit with a cosine of at least `threshold`.
    pub fn screen(
        &mut self,
        hits: Vec<Hit>,
        collection: &Collection,
        threshold: f32,
        now: i64,
    ) -> Result<Vec<Hit>> {
        if !self.withholds() {
            return Ok(hits);
        }
        let families = Families::read(collection.store())?;
        let mut kept = Vec::with_capacity(hits.len());
        let mut decided = HashSet::new();
        for hit in hits {
            match self.objection(&hit, &families, now) {
                None => kept.push(hit),
                Some((rule, reason)) => {
                    if hit.score >= threshold && decided.insert(hit.document) {
                        self.decide(Action::Withheld, rule.to_owned(), reason, Some(&hit));
                    }
                }
            }
        }
        Ok(kept)
    }

    /// Why the document of `hit` may not be quoted: the rule and the reason.
    fn objection(
        &self,
        hit: &Hit,
        families: &Families,
        now: i64,
    ) -> Option<(&'static str, String)> {
        if let Some(objection) = self.policy.sources.objection(&hit.path) {
            return Some(objection);
        }
        let freshness = self.policy.freshness.as_ref()?;
        if let Some(days) = freshness.max_age_days
            && let Some(age) = families.age_days(hit.document, now)
            && age > i64::from(days)
        {
            let reason = format!("it is {age} days old, more than {days}");
            return Some(("freshness.max_age_days", reason));
        }
        let newer = freshness
            .newest_version_wins
            .then(|| families.newer_than(hit.document));
        let newer = newer.flatten()?;
        Some(("freshness.newest_version_wins", format!("{newer} is newer")))
    }

    /// The disclaimers that belong under an answer to `question`.
    pub fn disclaimers(&mut self, question: &str, embedder: &mut dyn Embed) -> Result<Vec<String>> {
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

    pub fn into_report(self) -> PolicyReport {
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
