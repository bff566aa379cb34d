//! Text into chunks: pieces that an embedder can take whole, each with the bytes it has in its file.
//!
//! The invariant that citations rest on: `&file[chunk.start..chunk.end] == chunk.text`, byte for byte. Where to cut is
//! `text-splitter`'s (sentences and paragraphs; for Markdown its blocks); reading files is `files`'.

use std::ops::Range;

use text_splitter::{ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};

use super::embed::{Embed, SPECIAL_TOKENS};
use super::files::TextFormat;
use super::heading::{Outline, Place};
use crate::{Error, Result};

/// Default size of a chunk in tokens. MiniLM reads 256 with two special ones; this leaves room for the heading path
/// that is embedded with it, and packs three to four chunks into the prompt of a small model.
pub const CHUNK_TOKENS: usize = 200;

/// Default overlap of neighbouring chunks in tokens: about two sentences, so that a fact and what it refers to share a
/// chunk on one side of the cut at least.
pub const OVERLAP_TOKENS: usize = 40;

/// How a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunking {
    tokens: usize,
    overlap: usize,
}

impl Chunking {
    /// Chunks of up to `tokens`, neighbours sharing up to `overlap`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when `tokens` is 0 or does not fit `embedder`, or `overlap` is not below `tokens`.
    pub fn new(tokens: usize, overlap: usize, embedder: &dyn Embed) -> Result<Self> {
        let most = embedder.max_tokens().saturating_sub(SPECIAL_TOKENS);
        if tokens == 0 || tokens > most {
            return Err(Error::InvalidArgument {
                what: "chunk size",
                value: tokens.to_string(),
                expected: format!("1 to {most} tokens, what {} takes", embedder.id().name),
            });
        }
        if overlap >= tokens {
            return Err(Error::InvalidArgument {
                what: "chunk overlap",
                value: overlap.to_string(),
                expected: format!("less than the chunk size, {tokens}"),
            });
        }
        Ok(Self { tokens, overlap })
    }

    /// `200/40`: kept with a document, so that another cut is seen as a change.
    pub(super) fn label(self) -> String {
        format!("{}/{}", self.tokens, self.overlap)
    }
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Where it is in the file.
    pub bytes: Range<usize>,
    /// What those bytes say.
    pub text: &'a str,
    /// Titles of the sections it starts in, outermost first, joined by ` > `; empty outside of Markdown.
    pub heading: String,
    /// Tokens of `text`.
    pub tokens: usize,
    context: String,
}

impl Chunk<'_> {
    /// What is embedded: the text under those of its headings that it does not begin with itself, where both fit.
    /// A passage that says "the game" is found by the name of the game only this way.
    pub(super) fn embedded(&self, embedder: &dyn Embed) -> String {
        let room = embedder.max_tokens().saturating_sub(SPECIAL_TOKENS);
        let with_context = format!("{}\n{}", self.context, self.text);
        if self.context.is_empty() || embedder.count_tokens(&with_context) > room {
            return self.text.to_owned();
        }
        with_context
    }
}

/// Cuts `text`, which starts at byte `base` of its file.
#[must_use]
pub fn chunk<'a>(
    text: &'a str,
    base: usize,
    format: TextFormat,
    chunking: Chunking,
    embedder: &dyn Embed,
) -> Vec<Chunk<'a>> {
    let config = ChunkConfig::new(chunking.tokens).with_sizer(Tokens(embedder));
    // `Chunking::new` has seen to it that the overlap is the smaller one.
    let Ok(config) = config.with_overlap(chunking.overlap) else {
        return Vec::new();
    };
    let (pieces, outline): (Vec<(usize, &str)>, _) = match format {
        TextFormat::Plain => (
            TextSplitter::new(config).chunk_indices(text).collect(),
            None,
        ),
        TextFormat::Markdown => (
            MarkdownSplitter::new(config).chunk_indices(text).collect(),
            Some(Outline::of(text)),
        ),
    };
    pieces
        .into_iter()
        .map(|(at, piece)| {
            let Place { path, context } = outline.as_ref().map(|o| o.at(at)).unwrap_or_default();
            Chunk {
                bytes: base + at..base + at + piece.len(),
                text: piece,
                heading: path,
                tokens: embedder.count_tokens(piece),
                context,
            }
        })
        .collect()
}

/// The embedder's own count, as the splitter wants to ask for it.
struct Tokens<'a>(&'a dyn Embed);

impl ChunkSizer for Tokens<'_> {
    fn size(&self, chunk: &str) -> usize {
        self.0.count_tokens(chunk)
    }
}
