//! Pieces of text that are computed once, behind a beginning that all prompts share, and put where a prompt has them: keys
//! are turned to their new positions, and nothing is computed again.
//!
//! What comes of it is not what the prompt computes: a piece has seen the beginning, and not what stands between (Prompt
//! Cache, Gim et al. 2023, arXiv 2311.04934). How far off it is depends on model and text, and is measured by
//! `benches/passages.rs`.

use super::super::generation::{GenerateOptions, Generation};
use super::super::hash::ContentHash;
use super::super::stack::StackFingerprint;
use super::{Prefill, SEQUENCE, Session};
use crate::error::{Error, Result};
use crate::llama::{CancelToken, KvType, Token};

/// The sequence that KV is copied by.
const SCRATCH: u32 = 1;
/// The first of those that hold pieces until it is their turn.
pub(super) const FIRST_SEQUENCE: u32 = 2;

/// A piece of text with its KV, for sessions over the model and the adapters that it was computed under.
#[derive(Debug, Clone)]
pub struct Piece {
    tokens: Vec<Token>,
    /// Its position.
    start: usize,
    kv: Vec<u8>,
    under: (ContentHash, StackFingerprint, KvType),
}

impl Piece {
    /// Its tokens.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Bytes of its KV.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.kv.len()
    }
}

/// A stretch of a prompt as tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segment {
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Whether it is a piece, which other prompts have in other places.
    pub is_piece: bool,
}

/// A part of a prompt.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// Tokens that are computed where they stand.
    Tokens(&'a [Token]),
    /// A piece that is moved there.
    Piece(&'a Piece),
}

impl Part<'_> {
    fn tokens(&self) -> &[Token] {
        match self {
            Self::Tokens(tokens) => tokens,
            Self::Piece(piece) => &piece.tokens,
        }
    }
}

impl Session {
    /// Computes a piece behind `head`, the beginning of the prompts that it is for.
    ///
    /// # Errors
    /// As [`Self::prefill`]; [`Error::Engine`] where the session was not made for pieces
    /// ([`super::SessionOptions::pieces`]) or the model's KV cannot be moved.
    pub fn piece(
        &mut self,
        head: &[Token],
        tokens: &[Token],
        cancel: &CancelToken,
    ) -> Result<Piece> {
        self.compute_piece(head, tokens, cancel)
            .map(|(piece, _)| piece)
    }

    fn compute_piece(
        &mut self,
        head: &[Token],
        tokens: &[Token],
        cancel: &CancelToken,
    ) -> Result<(Piece, Prefill)> {
        let whole = [head, tokens].concat();
        let prefill = self.prefill(&whole, cancel)?;
        let kv = match self.context.can_move() {
            true => self
                .context
                .copy((SEQUENCE, SCRATCH), head.len()..whole.len()),
            false => None,
        };
        let piece = Piece {
            tokens: tokens.to_vec(),
            start: head.len(),
            kv: kv.ok_or_else(cannot_move)?,
            under: self.computed_under()?,
        };
        Ok((piece, prefill))
    }

    /// Whether pieces can be moved: the session was made for some, and the model's KV allows it.
    #[must_use]
    pub fn can_move_pieces(&self) -> bool {
        self.model.engine().has_plain_memory()
            && self.context.n_sequences() > FIRST_SEQUENCE
            && self.context.can_move()
    }

    /// As [`Self::prefill`] of all parts joined, with the pieces among them moved instead of computed. The first part is
    /// their common beginning, and the last one is computed: its logits are needed. What is behind the first part is
    /// not reused by later prompts.
    ///
    /// # Errors
    /// As [`Self::prefill`]; [`Error::InvalidArgument`] if the first or the last part is a piece, or one was computed under
    /// another model or other adapters; [`Error::Engine`] for more pieces than the session was made for.
    pub fn prefill_parts(&mut self, parts: &[Part<'_>], cancel: &CancelToken) -> Result<Prefill> {
        let whole: Vec<Token> = parts.iter().flat_map(Part::tokens).copied().collect();
        self.check(&whole)?;
        let [Part::Tokens(head), .., Part::Tokens([_, ..])] = parts else {
            return Err(invalid("the first and the last part to be tokens"));
        };
        self.rewind_to(&whole);
        self.cut_at(self.tokens.len().min(head.len()));
        let cached = self.tokens.len();
        let moved = self.move_pieces(parts).and_then(|moved| {
            self.join(parts, &whole, cancel)?;
            Ok(moved)
        });
        match moved {
            Ok(moved) => Ok(Prefill {
                cached: cached + moved,
                evaluated: whole.len() - cached - moved,
            }),
            Err(error) => {
                // Pieces may be anywhere.
                self.forget();
                Err(error)
            }
        }
    }

    /// As [`Self::generate`], from parts.
    ///
    /// # Errors
    /// As [`Self::generate`] and [`Self::prefill_parts`].
    pub fn generate_parts(
        &mut self,
        parts: &[Part<'_>],
        options: &GenerateOptions,
    ) -> Result<Generation<'_>> {
        let whole: Vec<Token> = parts.iter().flat_map(Part::tokens).copied().collect();
        Generation::start(self, &whole, options, |session| {
            session.prefill_parts(parts, &options.cancel)
        })
    }

    /// As [`Self::generate`], from a prompt in segments: its pieces come from the prefix cache, or are computed and kept
    /// there, and are moved to where they stand. The answer may differ from the one that the whole prompt would give.
    ///
    /// # Errors
    /// As [`Self::generate_parts`].
    pub fn generate_segments(
        &mut self,
        segments: &[Segment],
        options: &GenerateOptions,
    ) -> Result<Generation<'_>> {
        let whole: Vec<Token> = segments
            .iter()
            .flat_map(|segment| &segment.tokens)
            .copied()
            .collect();
        Generation::start(self, &whole, options, |session| {
            match session.prefill_segments(segments, &options.cancel) {
                // What is kept may be of no use here: then it is as if there were none.
                Err(Error::Engine(_)) => session.prefill(&whole, &options.cancel),
                prefill => prefill,
            }
        })
    }

    fn prefill_segments(&mut self, segments: &[Segment], cancel: &CancelToken) -> Result<Prefill> {
        let head = segments
            .first()
            .map_or(&[][..], |segment| segment.tokens.as_slice());
        let mut computed = 0;
        let mut pieces = Vec::new();
        for segment in segments.iter().filter(|segment| segment.is_piece) {
            let tokens = segment.tokens.as_slice();
            pieces.push(match self.kept_piece(head, tokens)? {
                Some(piece) => piece,
                None => {
                    let (piece, prefill) = self.compute_piece(head, tokens, cancel)?;
                    computed += prefill.evaluated;
                    if let Some(kept) = &self.kept {
                        kept.keep_piece(head, tokens, piece.kv.clone());
                    }
                    piece
                }
            });
        }
        let mut pieces = pieces.iter();
        let parts: Vec<Part<'_>> = segments
            .iter()
            .map(|segment| match segment.is_piece.then(|| pieces.next()) {
                Some(Some(piece)) => Part::Piece(piece),
                _ => Part::Tokens(&segment.tokens),
            })
            .collect();
        let joined = self.prefill_parts(&parts, cancel)?;
        Ok(Prefill {
            cached: joined.cached.saturating_sub(computed),
            evaluated: joined.evaluated + computed,
        })
    }

    fn kept_piece(&self, head: &[Token], tokens: &[Token]) -> Result<Option<Piece>> {
        let kv = self
            .kept
            .as_ref()
            .and_then(|kept| kept.find_piece(head, tokens));
        let under = self.computed_under()?;
        Ok(kv.map(|kv| Piece {
            tokens: tokens.to_vec(),
            start: head.len(),
            kv,
            under,
        }))
    }

    /// Puts each piece into a sequence of its own, at the position that it will have. Returns how many tokens they are.
    fn move_pieces(&mut self, parts: &[Part<'_>]) -> Result<usize> {
        let under = self.computed_under()?;
        let (mut at, mut sequence, mut moved) = (0, FIRST_SEQUENCE, 0);
        for part in parts {
            if let Part::Piece(piece) = part {
                if piece.under != under {
                    return Err(invalid(
                        "pieces that were computed under the session's model and adapters",
                    ));
                }
                let positions = piece.start..piece.start + piece.tokens.len();
                if !self
                    .context
                    .restore_moved(sequence, positions, at, &piece.kv)
                {
                    return Err(cannot_move());
                }
                sequence += 1;
                moved += piece.tokens.len();
            }
            at += part.tokens().len();
        }
        Ok(moved)
    }

    /// Computes what is between the pieces, and takes each up in its turn.
    fn join(&mut self, parts: &[Part<'_>], whole: &[Token], cancel: &CancelToken) -> Result<()> {
        let (mut end, mut sequence) = (0, FIRST_SEQUENCE);
        for part in parts {
            end += part.tokens().len();
            match part {
                Part::Tokens(_) => self.extend_to(&whole[..end], cancel)?,
                Part::Piece(piece) => {
                    self.in_order = self.in_order.min(self.tokens.len());
                    self.context.fork(sequence, SEQUENCE);
                    self.context.truncate(sequence, 0);
                    self.tokens.extend_from_slice(&piece.tokens);
                    sequence += 1;
                }
            }
        }
        Ok(())
    }

    fn computed_under(&self) -> Result<(ContentHash, StackFingerprint, KvType)> {
        Ok((self.model.sha256()?, self.fingerprint, self.kv_type))
    }
}

fn invalid(expected: &str) -> Error {
    Error::InvalidArgument {
        what: "prompt parts",
        value: String::new(),
        expected: expected.to_owned(),
    }
}

fn cannot_move() -> Error {
    Error::Engine("the session cannot move pieces of a prompt".to_owned())
}
