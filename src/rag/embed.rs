//! What `rag` needs of an embedding model, and the checks on what it returns.
//!
//! The model itself lives in `engine`; tests bring a toy one. Nothing here knows what a tensor is.

use crate::{Error, Result};

/// Which model vectors come from. Two collections with the same id can be searched by the same model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EmbedderId {
    /// Name that the model is installed under; for people, not for comparing.
    pub name: String,
    /// sha256 of the model file in hexadecimal: this is the identity.
    pub sha256: String,
    /// Length of every vector.
    pub dimension: usize,
    /// What is done with texts beyond what the file says: pooling and prefixes. [`EmbedderId::PLAIN`] is nothing.
    pub recipe: String,
}

impl EmbedderId {
    /// Pooling as the model's file says it, and neither questions nor passages have a prefix. Collections that name no
    /// recipe were made with it.
    pub const PLAIN: &str = "pooling of the file, no prefixes";

    /// Whether vectors of both can be compared: same weights, same length, same recipe. The name may differ.
    #[must_use]
    pub fn is_same_model(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// What identifies vectors of this model.
    pub(super) fn key(&self) -> String {
        format!("{}/{}/{}", self.sha256, self.dimension, self.recipe)
    }

    /// Name and the first digits of the hash, for messages.
    #[must_use]
    pub fn label(&self) -> String {
        let short: String = self.sha256.chars().take(12).collect();
        let recipe = match self.recipe.as_str() {
            Self::PLAIN => String::new(),
            other => format!(", {other}"),
        };
        format!(
            "{} ({short}, {} dimensions{recipe})",
            self.name, self.dimension
        )
    }
}

/// An embedding model.
pub trait Embed {
    /// Which model this is.
    fn id(&self) -> &EmbedderId;

    /// Longest input in tokens, special tokens included.
    fn max_tokens(&self) -> usize;

    /// Tokens of `text`, special tokens not included.
    fn count_tokens(&self, text: &str) -> usize;

    /// Unit-length vectors, one a text, in order.
    ///
    /// # Errors
    ///
    /// When the engine fails. A text longer than [`Embed::max_tokens`] may be refused.
    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
}

/// Tokens to leave free in [`Embed::max_tokens`] for the special ones. BERT models add two, `[CLS]` and `[SEP]`.
pub(super) const SPECIAL_TOKENS: usize = 2;

/// How far a vector's squared length may be from 1 before it is taken for a defect of the embedder. Generous to
/// half-precision arithmetic, far below what a forgotten normalization looks like.
const UNIT_TOLERANCE: f32 = 1e-2;

/// Embeds `texts` and checks the contract, so that no wrong vector ever reaches a row.
pub(super) fn embed_checked(embedder: &mut dyn Embed, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    let dimension = embedder.id().dimension;
    let vectors = embedder.embed(texts)?;
    if vectors.len() != texts.len() {
        return Err(Error::Engine(format!(
            "the embedder returned {} vectors for {} texts",
            vectors.len(),
            texts.len()
        )));
    }
    for vector in &vectors {
        if vector.len() != dimension {
            return Err(Error::Engine(format!(
                "the embedder returned a vector of length {}, not {dimension}",
                vector.len()
            )));
        }
        if !is_unit(vector) {
            return Err(Error::Engine(
                "the embedder returned a vector that is not of unit length".into(),
            ));
        }
    }
    Ok(vectors)
}

/// Whether `vector` is finite and of length 1.
pub(super) fn is_unit(vector: &[f32]) -> bool {
    let squared: f32 = vector.iter().map(|x| x * x).sum();
    (squared - 1.0).abs() <= UNIT_TOLERANCE
}

/// The longest beginning of `text` that the model can take: all of it, nearly always.
pub(super) fn fitting<'a>(embedder: &dyn Embed, text: &'a str) -> &'a str {
    let room = embedder.max_tokens().saturating_sub(SPECIAL_TOKENS);
    if embedder.count_tokens(text) <= room {
        return text;
    }
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let fits = ends.partition_point(|&end| {
        text.get(..end)
            .is_some_and(|head| embedder.count_tokens(head) <= room)
    });
    let end = fits
        .checked_sub(1)
        .and_then(|last| ends.get(last))
        .copied()
        .unwrap_or(0);
    text.get(..end).unwrap_or("")
}
