//! A reranker: how well a text answers a question, by a cross-encoder that reads both at once.
//!
//! Nogueira and Cho 2019 (arXiv 1901.04085). Slower than comparing vectors, since nothing of a text can be computed
//! before the question is known, and better, since each word of one sees each word of the other.

use std::path::Path;

use super::footprint::MemoryNeeds;
use super::model::Model;
use super::session::SessionOptions;
use crate::error::{Error, Result};
use crate::llama::{Batch, CancelToken, Context, ContextParams, KvType, Token};

/// Longest pair in tokens, as cross-encoders are trained; what is longer is cut, the question at half of it.
const MAX_PAIR: usize = 512;

/// Scores pairs of a question and a text with a cross-encoder: a GGUF whose pooling type is RANK.
///
/// # Examples
/// ```no_run
/// use unforget::engine::{CancelToken, Model, ModelOptions, Reranker, SessionOptions};
///
/// let model = Model::open("bge-reranker-base.gguf".as_ref(), ModelOptions::default())?;
/// let mut reranker = Reranker::new(&model, &SessionOptions::default())?;
/// let texts = ["The mower is in the green shed.", "The ferry leaves at nine."];
/// let scores = reranker.score("Where is the mower?", &texts, &CancelToken::default())?;
/// assert!(scores[0] > scores[1]);
/// # Ok::<(), unforget::Error>(())
/// ```
#[derive(Debug)]
pub struct Reranker {
    model: Model,
    context: Context,
    batch: Batch,
    max_pair: usize,
}

fn sizes(max_pair: usize, options: &SessionOptions) -> ContextParams {
    let n_tokens = u32::try_from(max_pair).unwrap_or(u32::MAX);
    ContextParams {
        n_ctx: n_tokens,
        n_batch: n_tokens,
        n_ubatch: n_tokens,
        n_seq_max: 1,
        n_threads: options.threads(),
        n_threads_batch: options.threads(),
        embeddings: true,
        kv_type: KvType::F16,
    }
}

impl Reranker {
    /// Allocates a reranker over `model`.
    ///
    /// # Errors
    /// [`Error::WrongModelKind`] if the model generates text or embeds it.
    pub fn new(model: &Model, options: &SessionOptions) -> Result<Self> {
        const PURPOSE: &str =
            "rerank; that takes a cross-encoder, whose GGUF has pooling type RANK";
        if !model.is_encoder() {
            return Err(model.wrong_kind(PURPOSE));
        }
        let max_pair = model.n_ctx_train().min(MAX_PAIR);
        let context = Context::new(model.engine(), &sizes(max_pair, options))?;
        if !context.gives_scores() {
            return Err(model.wrong_kind(PURPOSE));
        }
        Ok(Self {
            model: model.clone(),
            context,
            batch: Batch::default(),
            max_pair,
        })
    }

    /// Bytes of memory that a reranker of this file takes, at most.
    ///
    /// # Errors
    /// As [`MemoryNeeds::read`].
    pub fn memory(path: &Path) -> Result<u64> {
        let needs = MemoryNeeds::read(path)?;
        Ok(needs.beside(&sizes(MAX_PAIR, &SessionOptions::default())))
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// A score for each of `texts`, higher for a better answer to `query`: the first output of the model's head, as it
    /// is (a logit for most).
    ///
    /// # Errors
    /// [`Error::Engine`] if the engine fails, [`Error::Interrupted`].
    pub fn score(&mut self, query: &str, texts: &[&str], cancel: &CancelToken) -> Result<Vec<f32>> {
        let query = self.model.tokenize(query)?;
        let mut scores = Vec::with_capacity(texts.len());
        for text in texts {
            let pair = self.pair(&query, self.model.tokenize(text)?);
            scores.push(self.score_pair(&pair, cancel)?);
        }
        Ok(scores)
    }

    /// `[CLS] query [SEP] text [SEP]`, or what the model writes in their place.
    fn pair(&self, query: &[Token], mut text: Vec<Token>) -> Vec<Token> {
        let mut pair = cut(query.to_vec(), self.max_pair / 2);
        pair.extend(self.model.engine().second_separator());
        if text
            .first()
            .is_some_and(|first| self.model.bos() == Some(*first))
        {
            text.remove(0);
        }
        let room = self.max_pair.saturating_sub(pair.len());
        pair.extend(cut(text, room));
        // A file may claim a context in which not even the separators fit.
        pair.truncate(self.max_pair);
        pair
    }

    fn score_pair(&mut self, pair: &[Token], cancel: &CancelToken) -> Result<f32> {
        self.batch.clear();
        for (position, &token) in pair.iter().enumerate() {
            self.batch.push(token, position, 0, true);
        }
        self.context.clear();
        self.context.decode(&mut self.batch, cancel)?;
        let score = self.context.scores(0).and_then(|scores| scores.first());
        match score.copied() {
            Some(score) if score.is_finite() => Ok(score),
            Some(score) => Err(Error::Engine(format!(
                "the reranker gave the score {score}"
            ))),
            None => Err(Error::Engine("the reranker gave no score".to_owned())),
        }
    }
}

/// At most `room` tokens, the last of which stays: it ends a text.
fn cut(mut tokens: Vec<Token>, room: usize) -> Vec<Token> {
    if tokens.len() > room
        && let Some(last) = tokens.pop()
    {
        tokens.truncate(room.saturating_sub(1));
        tokens.push(last);
    }
    tokens
}
