//! Several policies at work on one question: each has to agree.

use super::{Policy, PolicyReport, Ruling};
use crate::Result;
use crate::rag::collection::Collection;
use crate::rag::embed::Embed;
use crate::rag::search::Hit;

/// Policies at work on one question.
#[derive(Debug)]
pub(in crate::rag) struct Rulings<'a>(Vec<Ruling<'a>>);

/// What the policies left of what was found.
#[derive(Debug)]
pub(in crate::rag) struct Screened {
    /// The hits that may be quoted.
    pub hits: Vec<Hit>,
    /// The documents that may be; none where all may.
    pub allowed: Option<Vec<i64>>,
}

impl<'a> Rulings<'a> {
    pub fn of(policies: &'a [Policy]) -> Self {
        Self(policies.iter().map(Ruling::new).collect())
    }

    /// What to say in place of an answer, if the question is about something that one of them refuses.
    pub fn refusal(&mut self, question: &str, embedder: &mut dyn Embed) -> Result<Option<String>> {
        for ruling in &mut self.0 {
            let refusal = ruling.refusal(question, embedder)?;
            if refusal.is_some() {
                return Ok(refusal);
            }
        }
        Ok(None)
    }

    /// Takes away the hits that one of them withholds; see [`Ruling::screen`].
    pub fn screen(
        &mut self,
        mut hits: Vec<Hit>,
        collection: &Collection,
        now: i64,
        threshold: f32,
    ) -> Result<Screened> {
        let mut allowed: Option<Vec<i64>> = None;
        for ruling in self.0.iter_mut().filter(|ruling| ruling.withholds()) {
            let judged = ruling.judge(collection, now)?;
            hits = ruling.screen(hits, &judged, threshold);
            allowed = Some(match allowed {
                None => judged.allowed,
                Some(mut before) => {
                    before.retain(|document| !judged.withheld.contains_key(document));
                    before
                }
            });
        }
        Ok(Screened { hits, allowed })
    }

    /// The disclaimers that belong under an answer to `question`, each once.
    pub fn disclaimers(&mut self, question: &str, embedder: &mut dyn Embed) -> Result<Vec<String>> {
        let mut texts: Vec<String> = Vec::new();
        for ruling in &mut self.0 {
            for text in ruling.disclaimers(question, embedder)? {
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }
        Ok(texts)
    }

    /// What each of them decided.
    pub fn reports(self) -> Vec<PolicyReport> {
        self.0.into_iter().map(Ruling::into_report).collect()
    }
}
