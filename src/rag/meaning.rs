//! How near claims are to the sentences of passages, by the embedder.

use super::embed::{Embed, embed_checked, fitting};
use super::support::Source;
use super::vectors::dot;
use crate::Result;

/// Sentences of passages that are embedded for one answer, at most: a few passages have two dozen. What comes after has
/// to be supported by words alone.
const MAX_SENTENCES: usize = 96;

/// Claims that are compared, at most: more than an answer of 512 tokens has.
const MAX_CLAIMS: usize = 48;

/// Cosines of claims to passages.
pub(super) struct Meaning {
    claims: Vec<Vec<f32>>,
    /// Of each source, its sentences.
    sources: Vec<Vec<Vec<f32>>>,
}

impl Meaning {
    /// Embeds `claims` and the sentences of `sources`, all in one call.
    pub fn read(claims: &[&str], sources: &[Source<'_>], embedder: &mut dyn Embed) -> Result<Self> {
        let claims = claims.get(..MAX_CLAIMS).unwrap_or(claims);
        let mut room = MAX_SENTENCES;
        let mut texts: Vec<&str> = claims.to_vec();
        let mut counts = Vec::with_capacity(sources.len());
        for source in sources {
            let before = texts.len();
            texts.extend(source.texts().take(room));
            counts.push(texts.len() - before);
            room -= texts.len() - before;
        }
        let texts: Vec<String> = texts
            .into_iter()
            .map(|text| fitting(&*embedder, text).to_owned())
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut vectors = embed_checked(embedder, &texts)?.into_iter();
        let claims = vectors.by_ref().take(claims.len()).collect();
        let sources = counts
            .into_iter()
            .map(|n| vectors.by_ref().take(n).collect())
            .collect();
        Ok(Self { claims, sources })
    }

    /// Cosine of a claim to the nearest sentence of a source; both by their place in what was read.
    pub fn cosine(&self, claim: usize, source: usize) -> Option<f64> {
        let claim = self.claims.get(claim)?;
        let cosines = self
            .sources
            .get(source)?
            .iter()
            .map(|sentence| f64::from(dot(claim, sentence)));
        cosines.reduce(f64::max)
    }
}
