//! How much of each group a look is at: the telling ones first, what is settled no more, what is open once more.

use super::{Next, Progress};
use crate::Result;
use crate::guard::measure::{Run, Track};
use crate::guard::stats::sequential::Look;
use crate::guard::suite::DOMAIN;

/// Items of a group that does not tell more than others that each look after the quick one takes at least: the fewest that the
/// budget which ships judges it by. A quarter of a small group would have to wait for the next look.
const LEAST: usize = 50;

/// How much of each group a look is at.
pub(super) struct Share<'a> {
    look: Look,
    next: &'a Next,
    /// The whole domain at the first look.
    gain_first: bool,
    /// Whether some groups tell more than others at the first look.
    some_tell: bool,
}

impl<'a> Share<'a> {
    pub(super) fn new(
        tracks: &[Box<dyn Track>],
        look: Look,
        next: &'a Next,
        gain_first: bool,
    ) -> Self {
        Self {
            look,
            next,
            gain_first,
            some_tell: tracks.iter().any(|track| track.first_look() > 0),
        }
    }

    /// Items of a group that are to be done.
    pub(super) fn of(&self, track: &dyn Track) -> usize {
        let (group, planned, look) = (track.group(), track.n_planned(), self.look);
        match self.next {
            Next::Stop => track.done(),
            Next::Extend(open) if open.contains(group) => track.n_items(),
            Next::Extend(_) => track.done(),
            Next::Without(settled) if settled.contains(group) => track.done(),
            Next::Without(_) if self.gain_first && group == DOMAIN => planned,
            // The first of several looks is at the telling groups alone: a clear fail need not wait for the others.
            Next::Without(_) => match (track.first_look(), look.number()) {
                (0, 1) if self.some_tell && !look.is_whole() => 0,
                (0, _) if !look.is_quick() => look.items(planned).max(LEAST).min(planned),
                (first, _) => look.items(planned).max(first),
            },
        }
    }
}

/// Brings every group to where the look wants it.
pub(super) fn take_part(
    tracks: &mut [Box<dyn Track>],
    share: &Share<'_>,
    run: &mut Run<'_>,
    progress: &mut impl FnMut(Progress<'_>),
) -> Result<()> {
    let wanted: Vec<usize> = tracks
        .iter()
        .map(|track| share.of(track.as_ref()))
        .collect();
    let total = tracks
        .iter()
        .zip(&wanted)
        .map(|(track, &wanted)| track.n_planned().max(wanted))
        .sum();
    for (i, &wanted) in wanted.iter().enumerate() {
        let done = tracks.iter().map(|track| track.done()).sum();
        let track = &mut tracks[i];
        progress(Progress {
            group: track.group(),
            done,
            total,
            look: share.look,
        });
        track.advance(wanted, run)?;
    }
    Ok(())
}
