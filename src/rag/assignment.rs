//! A question with its passages, as a model is asked it, and what is made of the answer.

use super::ask::{GroundedAnswer, Status};
use super::citation::{cite, cite_by_meaning};
use super::embed::Embed;
use super::policy::PolicyReport;
use super::prompt::{Passage, RagPrompt};
use super::search::SearchTimings;
use super::style::AnswerStyle;
use crate::Result;
use crate::engine::{FinishReason, Outcome};

/// What to ask a model. [`super::brief`] makes it.
#[derive(Debug)]
pub struct Assignment {
    pub(super) prompt: RagPrompt,
    pub(super) style: AnswerStyle,
    pub(super) disclaimers: Vec<String>,
    pub(super) policies: Vec<PolicyReport>,
    pub(super) search: SearchTimings,
}

impl Assignment {
    /// The system message: what to do with passages.
    #[must_use]
    pub fn system(&self) -> &str {
        &self.prompt.system
    }

    /// The user's message: the passages and the question.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.prompt.user
    }

    /// The parts of the user's message that other questions have in other places: what each passage says, in order.
    #[must_use]
    pub fn passages(&self) -> Vec<String> {
        self.prompt.passages.iter().map(Passage::body).collect()
    }

    /// The GBNF grammar of the answers that may be given; none where all may.
    #[must_use]
    pub fn grammar(&self) -> Option<String> {
        self.style.grammar(&self.prompt.nearest)
    }

    /// What the policies put under the answer, each as it is appended: after an empty line.
    pub fn disclaimers(&self) -> impl Iterator<Item = String> + '_ {
        self.disclaimers.iter().map(|text| format!("\n\n{text}"))
    }

    /// Ties what the model said to the passages, and puts the disclaimers under it. The times of the search become part
    /// of the answer's.
    ///
    /// # Errors
    /// What the embedder says.
    pub fn check(self, mut outcome: Outcome, embedder: &mut dyn Embed) -> Result<GroundedAnswer> {
        let cited = if outcome.finish_reason == FinishReason::Cancelled {
            // Whoever stopped the answer has stopped the embedder too.
            cite(&outcome.text, &self.prompt.passages)
        } else {
            cite_by_meaning(&outcome.text, &self.prompt.passages, embedder)?
        };
        outcome.text = cited.text;
        outcome.text.extend(self.disclaimers());
        outcome.timings.total_ms += self.search.total_ms;
        outcome.timings.ttft_ms += self.search.total_ms;
        Ok(GroundedAnswer {
            outcome,
            status: Status::Answered,
            citations: cited.citations,
            claims: cited.claims,
            grounded: cited.grounded,
            passages: self.prompt.passages,
            policies: self.policies,
            search: self.search,
            bare: cited.bare,
        })
    }
}
