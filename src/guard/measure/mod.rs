//! Measuring with the engine: what the base makes of an item, and what base and adapter make of it.
//!
//! A [`Probe`] is one group of items and one way of measuring them. It measures the base first; that record holds all
//! that comparing needs, so it can be cached and the next adapter costs half. Items are taken in an order that depends on
//! their ids alone, so that the first ones are a fair sample and the same in every check.

mod answer;
mod choice;
mod cloze;
mod encode;
mod format;
mod free;
mod language;
mod record;
mod sketch;
mod task;
mod text;
mod track;

use std::ops::Range;

pub use choice::ChoiceProbe;
pub use cloze::ClozeProbe;
pub use format::AnswerFormat;
pub use free::{FreeProbe, MAX_ANSWER};
pub use record::{Reader, Record};
pub use task::TaskProbe;
pub use text::{TextProbe, WINDOW};
pub use track::{Done, Run, Track, Tracked};

use super::measurement::{Series, TextDivergence};
use crate::engine::{CancelToken, ContentHash, Scorer};
use crate::{Error, Result};

/// One group of items, measured in one way.
pub trait Probe {
    /// What the base made of an item: enough to compare with.
    type Base: Record;
    /// What base and adapter made of it.
    type Adapted;

    /// Whether base and adapted are compared token by token, so that a noise floor can be told from few items.
    const BY_TOKEN: bool = false;

    /// Items that already the first look takes, so that the most telling figures can be judged by it.
    const FIRST_LOOK: usize = 0;

    /// Name of the group.
    fn group(&self) -> &str;

    /// Number of items.
    fn n_items(&self) -> usize;

    /// What is measured and how, by content: the key that the base's records are cached under.
    fn content(&self) -> ContentHash;

    /// Measures the base on some items.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the item, and the engine's.
    fn measure_base(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        cancel: &CancelToken,
    ) -> Result<Vec<Self::Base>>;

    /// Measures base and adapter on the items that `base` has the records of.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the item, and the engine's.
    fn measure_adapted(
        &self,
        scorer: &mut Scorer,
        items: Range<usize>,
        base: &[Self::Base],
        cancel: &CancelToken,
    ) -> Result<Vec<Self::Adapted>>;

    /// The scores of the first items, base and adapted, by metric.
    ///
    /// # Errors
    /// [`Error::Measurement`] if the figures are none.
    fn series(&self, base: &[Self::Base], adapted: &[Self::Adapted]) -> Result<Vec<Series>>;

    /// Divergence over all tokens, where the probe has them.
    fn divergence(
        &self,
        _base: &[Self::Base],
        _adapted: &[Self::Adapted],
    ) -> Option<TextDivergence> {
        None
    }
}

/// The error of a number that is not one, with the item.
fn not_finite(group: &str, id: &str) -> Error {
    Error::NonFinite {
        place: format!("item '{id}' of {group}"),
    }
}

/// A fair order: by the hash of the id, which has nothing to do with what the item is about.
fn shuffled<T>(group: &str, items: &[T], id: impl Fn(&T) -> &str) -> Vec<usize> {
    let mut order: Vec<(ContentHash, usize)> = items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            let key = format!("{group}\n{}", id(item));
            (ContentHash::of(key.as_bytes()), i)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, i)| i).collect()
}

/// Hash of how something is measured and of each thing that is measured.
fn content_of(how: &str, parts: impl IntoIterator<Item = String>) -> ContentHash {
    let mut all = how.to_owned();
    for part in parts {
        all.push('\n');
        all.push_str(&ContentHash::of(part.as_bytes()).to_string());
    }
    ContentHash::of(all.as_bytes())
}
