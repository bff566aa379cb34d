//! Replay: what the base itself says, and how likely it found each token. Training holds the adapter to that, so that
//! what the base knows stays, without any of the data that it learnt it from.
//!
//! Three [`Source`]s: its answers to prompts that ship, what it makes of plain text that ships, and what it holds likely in
//! a text of the user's. What is of no use, or must not be learnt from, is left out ([`LeftOut`]). Texts come from the
//! engine, greedily. The distributions come from the same forward pass that training uses, so that an adapter without
//! effect is at a divergence of none, to rounding.

mod distributions;
mod file;
mod filter;
mod source;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::compute::{Likely, Transformer};
use crate::engine::{CancelToken, ContentHash, Model};
use crate::{Error, Result};

pub(super) use distributions::add_distributions;
use file::{Key, Known};
pub use filter::{LeftOut, Objection};
pub use source::{Kind, Source};

/// A text that the adapter is held to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayRow {
    /// What it is.
    pub kind: Kind,
    /// What was asked, or how the text begins.
    pub prompt: String,
    /// What comes after it.
    pub answer: String,
    /// Both as tokens, answers in the chat template.
    pub tokens: Vec<u32>,
    /// Index of the first token that the adapter is held to.
    pub first: usize,
    /// What was held likely for each token from there on.
    pub likely: Vec<Likely>,
}

/// All that an adapter is held to.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The texts.
    pub rows: Vec<ReplayRow>,
    /// What was not taken of the sources.
    pub left_out: LeftOut,
    /// Of all that is in it.
    pub sha256: ContentHash,
}

/// Who decides which texts must not be learnt from.
pub struct Screen<'a> {
    /// What it decides by: other texts may be left out where it changes.
    pub sha256: ContentHash,
    /// What is to be said against each of some texts.
    #[allow(clippy::type_complexity)]
    pub objections: &'a dyn Fn(&[String]) -> Result<Vec<Option<Objection>>>,
}

/// What a replay is made with.
pub struct Maker<'a> {
    /// The base.
    pub model: &'a Model,
    /// The same, for distributions.
    pub transformer: &'a Transformer,
    /// Where rows are kept, to be used again.
    pub folder: &'a Path,
    /// Who decides what is left out.
    pub screen: Screen<'a>,
    /// Stops it.
    pub cancel: &'a CancelToken,
}

impl Maker<'_> {
    /// Takes what was made before of the sources, makes what was not, and keeps it. `progress` is told how many texts of
    /// how many are done.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::Engine`] where no text can be used; [`Error::Io`]; as [`Transformer::forward`].
    pub fn replay(
        &self,
        sources: &[Source],
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Replay> {
        let mut replay = Replay {
            rows: Vec::new(),
            left_out: LeftOut::default(),
            sha256: ContentHash::of(b""),
        };
        for source in sources {
            let known = self.known(source, &mut progress)?;
            replay.left_out = replay.left_out.and(&known.left_out);
            replay.take(known.rows, known.sha256);
        }
        if replay.rows.is_empty() {
            return Err(Error::Engine(
                "the base makes nothing of the replay's texts that can be used".to_owned(),
            ));
        }
        Ok(replay)
    }

    fn known(&self, source: &Source, progress: &mut dyn FnMut(usize, usize)) -> Result<Known> {
        let key = Key::new(
            self.model.sha256()?,
            source.kind(),
            source.sha256(),
            self.screen.sha256,
            source.max_tokens(),
        );
        let path = key.path(self.folder);
        if let Some(known) = key.read(&path) {
            return Ok(known);
        }
        let rows = source.rows(self.model, self.cancel, progress)?;
        let (mut rows, left_out) = filter::usable(rows, source.least_tokens(), &self.screen)?;
        let n = rows.len();
        add_distributions(self.transformer, None, &mut rows, self.cancel, |done| {
            progress(done, n);
        })?;
        key.write(&path, &rows, left_out)?;
        key.read(&path)
            .ok_or_else(|| Error::Engine(format!("{} does not read back", path.display())))
    }
}

impl Replay {
    /// Adds rows, with a digest of what they are.
    pub fn take(&mut self, rows: Vec<ReplayRow>, sha256: ContentHash) {
        self.rows.extend(rows);
        self.sha256 = ContentHash::of(format!("{}{sha256}", self.sha256).as_bytes());
    }
}
