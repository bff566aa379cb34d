//! Text into chunks: pieces that an embedder can take whole, each with the bytes it has in its file.
//!
//! The invariant that citations rest on: `&file[chunk.start..chunk.end] == chunk.text`, byte for byte. Where to cut is
//! `text-splitter`'s (sentences and paragraphs; for Markdown its blocks); reading files is `files`'.

use std::ops::Range;

use text_splitter::{ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};

use super::embed::{Embed, SPECIAL_TOKENS};
use super::files::TextFormat;
use super::heading::{Outline, SEPARATOR};
use super::parsed::Parsed;
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
    /// Titles of the sections or definitions it starts in, outermost first, joined by ` > `.
    pub heading: String,
    /// Tokens of `text`.
    pub tokens: usize,
}

/// What is embedded of a passage: its text under those of its headings that it does not begin with itself, where both
/// fit. A passage that says "the game" is found by the name of the game only this way.
pub(super) fn embedded(heading: &str, text: &str, embedder: &dyn Embed) -> String {
    let room = embedder.max_tokens().saturating_sub(SPECIAL_TOKENS);
    let context = above(heading, text);
    let with_context = format!("{context}\n{text}");
    if context.is_empty() || embedder.count_tokens(&with_context) > room {
        return text.to_owned();
    }
    with_context
}

/// The part of `heading` that `text` does not begin with.
fn above<'a>(heading: &'a str, text: &str) -> &'a str {
    let first = text.trim_start().lines().next().unwrap_or("").trim();
    let title = first.trim_start_matches('#').trim();
    let (outer, own) = heading.rsplit_once(SEPARATOR).unwrap_or(("", heading));
    let defines = |rest: &str| rest.trim_start().starts_with(['(', '{', '<', ':']);
    let is_own = title == own
        || title.trim_end_matches('#').trim_end() == own
        || title.strip_prefix(own).is_some_and(defines);
    if is_own { outer } else { heading }
}

/// Cuts `text`, which starts at byte `base` of its file: by blocks, by definitions, or as plain text.
#[must_use]
pub fn chunk<'a>(
    text: &'a str,
    base: usize,
    format: TextFormat,
    chunking: Chunking,
    embedder: &dyn Embed,
) -> Vec<Chunk<'a>> {
    let (format, outline) = match format {
        TextFormat::Markdown => (format, Outline::of(text)),
        TextFormat::Code => {
            let found = super::code::definitions(text);
            (format, Outline::from_headings(found))
        }
        _ => (TextFormat::Plain, Outline::default()),
    };
    let mut chunks = cut(text, format, &outline, &[], chunking, embedder);
    for chunk in &mut chunks {
        chunk.bytes = base + chunk.bytes.start..base + chunk.bytes.end;
    }
    chunks
}

/// Cuts the text of a file; the bytes of the chunks are those of its text.
pub(super) fn chunk_parsed<'a>(
    parsed: &'a Parsed,
    chunking: Chunking,
    embedder: &dyn Embed,
) -> Vec<Chunk<'a>> {
    let Parsed {
        text,
        format,
        outline,
        records,
        ..
    } = parsed;
    cut(text, *format, outline, records, chunking, embedder)
}

fn cut<'a>(
    text: &'a str,
    format: TextFormat,
    outline: &Outline,
    records: &[Range<usize>],
    chunking: Chunking,
    embedder: &dyn Embed,
) -> Vec<Chunk<'a>> {
    let config = ChunkConfig::new(chunking.tokens).with_sizer(Tokens(embedder));
    // `Chunking::new` has seen to it that the overlap is the smaller one.
    let Ok(config) = config.with_overlap(chunking.overlap) else {
        return Vec::new();
    };
    let fits = |piece: &str| embedder.count_tokens(piece) <= chunking.tokens;
    let pieces: Vec<(usize, &str)> = match format {
        TextFormat::Markdown => {
            let splitter = MarkdownSplitter::new(config);
            let split = |part: &'a str| splitter.chunk_indices(part).collect();
            by_segment(text, split)
        }
        TextFormat::Code | TextFormat::Csv | TextFormat::Jsonl | TextFormat::Pdf => {
            let cuts = match format {
                TextFormat::Code => {
                    super::code::cut(text, chunking.tokens, &|piece| embedder.count_tokens(piece))
                }
                _ => records.to_vec(),
            };
            let splitter = TextSplitter::new(config);
            let mut pieces = Vec::with_capacity(cuts.len());
            for range in cuts {
                let Some(piece) = text.get(range.clone()) else {
                    continue;
                };
                let trimmed = piece.trim_end().trim_start_matches(['\r', '\n']);
                let start = range.start + piece.trim_end().len() - trimmed.len();
                if trimmed.trim().is_empty() {
                    continue;
                }
                if fits(trimmed) {
                    pieces.push((start, trimmed));
                } else {
                    let parts = by_segment(trimmed, |part| splitter.chunk_indices(part).collect());
                    pieces.extend(parts.into_iter().map(|(at, part)| (start + at, part)));
                }
            }
            pieces
        }
        _ => {
            let splitter = TextSplitter::new(config);
            by_segment(text, |part| splitter.chunk_indices(part).collect())
        }
    };
    pieces
        .into_iter()
        .map(|(at, piece)| Chunk {
            bytes: at..at + piece.len(),
            text: piece,
            heading: outline.at(at),
            tokens: embedder.count_tokens(piece),
        })
        .collect()
}

/// Longest text that is handed to the splitter at once, some 40 chunks. It looks ahead as far as there is text without
/// a better place to cut: one line of megabytes would take it hours.
const SEGMENT: usize = 32 << 10;

/// Splits a long text a segment at a time; chunks do not reach over the ends of segments.
fn by_segment<'a>(
    text: &'a str,
    split: impl Fn(&'a str) -> Vec<(usize, &'a str)>,
) -> Vec<(usize, &'a str)> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let length = segment(rest);
        let part = rest.get(..length).unwrap_or(rest);
        let found = split(part).into_iter();
        pieces.extend(found.map(|(at, piece)| (start + at, piece)));
        start += part.len();
    }
    pieces
}

/// Length of the first segment of `text`: to the last paragraph that ends in it, or line, or word.
fn segment(text: &str) -> usize {
    if text.len() <= SEGMENT {
        return text.len();
    }
    let most = text.floor_char_boundary(SEGMENT);
    let window = text.get(..most).unwrap_or(text);
    let last = |end: &str| {
        let at = window.rfind(end).map(|at| at + end.len());
        at.filter(|&at| at > SEGMENT / 2)
    };
    let word = || {
        window
            .rfind(char::is_whitespace)
            .filter(|&at| at > SEGMENT / 2)
    };
    let end = last("\n\n")
        .or_else(|| last("\n\r\n"))
        .or_else(|| last("\n"));
    end.or_else(word).unwrap_or(most).max(1)
}

/// The embedder's own count, as the splitter wants to ask for it.
struct Tokens<'a>(&'a dyn Embed);

impl ChunkSizer for Tokens<'_> {
    fn size(&self, chunk: &str) -> usize {
        self.0.count_tokens(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::above;

    #[test]
    fn context_leaves_out_what_the_text_begins_with() {
        for (heading, text, context) in [
            ("A > B", "## B\ntext", "A"),
            ("A > C#", "## C# ##\ntext", "A"),
            ("A", "A\n===\ntext", ""),
            ("A > B", "text of B", "A > B"),
            ("impl A > fn b", "    fn b(&self) {", "impl A"),
            ("", "text", ""),
        ] {
            assert_eq!(above(heading, text), context, "{heading}: {text}");
        }
    }
}
