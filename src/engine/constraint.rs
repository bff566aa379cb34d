//! What an answer has to look like: a JSON schema, a regular expression or a grammar, enforced token by token.
//!
//! `llguidance` says which tokens may come next; the others' logits become minus infinity before the sampler sees
//! them. A vocabulary is prepared once a model, and each request gets a matcher of its own.

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};

use super::model::Model;
use crate::error::{Error, Result};
use crate::llama::Token;

/// Marks the text of a control token in llguidance's vocabulary, so that no grammar of text can match it.
const CONTROL_TOKEN: u8 = 0xFF;

/// Makes constraints for one model.
pub struct ConstraintFactory {
    parsers: ParserFactory,
}

impl std::fmt::Debug for ConstraintFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConstraintFactory").finish_non_exhaustive()
    }
}

/// What an answer has to look like, and how far it has come. One a request.
pub struct Constraint {
    matcher: Matcher,
}

impl std::fmt::Debug for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Constraint").finish_non_exhaustive()
    }
}

impl ConstraintFactory {
    /// Prepares the vocabulary of `model`: some tens of milliseconds.
    ///
    /// # Errors
    /// [`Error::WrongModelKind`] for an embedder; [`Error::Grammar`] if the vocabulary cannot be used.
    pub fn new(model: &Model) -> Result<Self> {
        model.require_generator()?;
        let vocabulary = Arc::new(ApproximateTokEnv::new(vocabulary(model)?));
        // Only masks are asked for: no forced tokens, no going back.
        let capabilities = InferenceCapabilities {
            ff_tokens: false,
            backtrack: false,
            conditional_ff_tokens: false,
            fork: false,
        };
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let vocabulary: llguidance::toktrie::TokEnv = vocabulary;
        let mut parsers =
            ParserFactory::new(&vocabulary, capabilities, &slices).map_err(|error| fail(&error))?;
        // It would write to standard error otherwise.
        parsers.set_stderr_log_level(0);
        Ok(Self { parsers })
    }

    /// JSON that `schema` describes.
    ///
    /// # Errors
    /// [`Error::Grammar`] for what is no schema, or uses what cannot be enforced.
    pub fn json_schema(&self, schema: serde_json::Value) -> Result<Constraint> {
        self.constraint(TopLevelGrammar::from_json_schema(compact(schema)))
    }

    /// Any JSON object.
    ///
    /// # Errors
    /// [`Error::Grammar`], which does not happen.
    pub fn json_object(&self) -> Result<Constraint> {
        self.json_schema(serde_json::json!({ "type": "object" }))
    }

    /// What a grammar in llguidance's dialect of Lark derives.
    ///
    /// # Errors
    /// [`Error::Grammar`] if it does not parse.
    pub fn lark(&self, grammar: String) -> Result<Constraint> {
        self.constraint(TopLevelGrammar::from_lark(grammar))
    }

    fn constraint(&self, grammar: TopLevelGrammar) -> Result<Constraint> {
        let parser = self
            .parsers
            .create_parser(grammar)
            .map_err(|error| fail(&error))?;
        let matcher = Matcher::new(Ok(parser));
        match matcher.get_error() {
            Some(error) => Err(Error::Grammar(error)),
            None => Ok(Constraint { matcher }),
        }
    }
}

impl Constraint {
    /// Takes away what may not come next.
    ///
    /// # Errors
    /// [`Error::Grammar`] if the grammar took more work than it may.
    pub(super) fn mask(&mut self, logits: &mut [f32]) -> Result<()> {
        let allowed = self
            .matcher
            .compute_mask_or_eos()
            .map_err(|error| fail(&error))?;
        for (id, logit) in (0u32..).zip(logits) {
            if !allowed.is_allowed(id) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Takes over the token that was chosen. True when nothing more may follow.
    ///
    /// # Errors
    /// [`Error::Grammar`] for a token that [`Self::mask`] took away.
    pub(super) fn accept(&mut self, token: Token) -> Result<bool> {
        if !self.matcher.is_stopped() {
            self.matcher
                .consume_token(u32::try_from(token.0).unwrap_or(u32::MAX))
                .map_err(|error| fail(&error))?;
        }
        Ok(self.matcher.is_stopped())
    }
}

/// Asks llguidance for one way of writing white space. Where any amount is allowed, a small model can go on with line ends
/// until its tokens are used up.
#[must_use]
pub fn compact(mut schema: serde_json::Value) -> serde_json::Value {
    const OPTIONS: &str = "x-guidance";
    if let Some(fields) = schema.as_object_mut() {
        fields
            .entry(OPTIONS)
            .or_insert_with(|| serde_json::json!({ "whitespace_flexible": false }));
    }
    schema
}

fn vocabulary(model: &Model) -> Result<TokTrie> {
    let n_vocab = u32::try_from(model.n_vocab()).unwrap_or(u32::MAX);
    let ids = || (0..n_vocab).map(|id| (id, Token(i32::try_from(id).unwrap_or(i32::MAX))));
    let ends: Vec<u32> = ids()
        .filter(|(_, token)| model.is_end_of_generation(*token))
        .map(|(id, _)| id)
        .collect();
    let Some(&end) = ends.first() else {
        return Err(Error::Grammar(
            "the model has no token that ends an answer".to_owned(),
        ));
    };
    let words: Vec<Vec<u8>> = ids()
        .map(|(_, token)| match model.plain_bytes(token) {
            bytes if bytes.is_empty() => control_bytes(model, token),
            bytes => bytes,
        })
        .collect();
    Ok(TokTrie::from(&TokRxInfo::new(n_vocab, end), &words).with_eos_tokens(&ends))
}

fn control_bytes(model: &Model, token: Token) -> Vec<u8> {
    match model.token_bytes(token) {
        bytes if bytes.is_empty() => bytes,
        mut bytes => {
            bytes.insert(0, CONTROL_TOKEN);
            bytes
        }
    }
}

fn fail(error: &dyn std::fmt::Display) -> Error {
    Error::Grammar(error.to_string())
}
