//! The lanes in use: which stack has which context, and whose turn it is.

use super::lane::{Lane, Progress};
use super::options::Sizes;
use crate::engine::hash::ContentHash;
use crate::engine::model::Model;
use crate::engine::stack::{AdapterStack, StackFingerprint};
use crate::error::Result;
use crate::llama::CancelToken;

/// A lane, and what it has had.
struct Place {
    lane: Lane,
    /// Tokens that it was given, counted from the others' level when it last became busy.
    served: u64,
    /// When it was last used, in turns.
    last_used: u64,
    was_busy: bool,
}

/// Lanes over one model.
pub(super) struct Lanes {
    model: Model,
    sizes: Sizes,
    places: Vec<Place>,
    turn: u64,
    /// Times that a context got another stack.
    pub(super) restacked: usize,
}

impl Lanes {
    pub(super) fn new(model: Model, sizes: Sizes) -> Self {
        Self {
            model,
            sizes,
            places: Vec::new(),
            turn: 0,
            restacked: 0,
        }
    }

    /// The lane of a stack: the one that has it, else a new one, else the one longest unused if it is idle. `None` while
    /// all are busy.
    pub(super) fn of(
        &mut self,
        fingerprint: StackFingerprint,
        stack: &AdapterStack,
    ) -> Result<Option<usize>> {
        let has = |place: &Place| place.lane.fingerprint() == fingerprint;
        if let Some(at) = self.places.iter().position(has) {
            return Ok(Some(at));
        }
        if self.places.len() < self.sizes.lanes {
            match Lane::new(&self.model, &self.sizes, stack.clone()) {
                Ok(lane) => {
                    self.places.push(Place {
                        lane,
                        served: 0,
                        last_used: self.turn,
                        was_busy: false,
                    });
                    return Ok(Some(self.places.len() - 1));
                }
                // Memory for one more cannot be had: share what there is.
                Err(error) if self.places.is_empty() => return Err(error),
                Err(_) => self.sizes.lanes = self.places.len(),
            }
        }
        let idle = (0..self.places.len()).filter(|&at| self.places[at].lane.is_idle());
        let Some(at) = idle.min_by_key(|&at| self.places[at].last_used) else {
            return Ok(None);
        };
        self.restacked += 1;
        match self.places[at].lane.set_stack(stack.clone()) {
            Ok(()) => Ok(Some(at)),
            Err(error) => {
                // What it computes under now is not known.
                self.places.remove(at);
                Err(error)
            }
        }
    }

    /// Hands a block of what finished requests left behind to the prefix cache. False where nothing is left to keep.
    pub(super) fn keep_on_disk(&mut self) -> bool {
        self.places
            .iter_mut()
            .any(|place| place.lane.keep_on_disk())
    }

    pub(super) fn lane(&mut self, at: usize) -> &mut Lane {
        &mut self.places[at].lane
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.places.iter().map(|place| &place.lane)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.iter().all(Lane::is_idle)
    }

    pub(super) fn drop_cancelled(&mut self) {
        for place in &mut self.places {
            place.lane.drop_cancelled();
        }
    }

    pub(super) fn fail_all(&mut self, reason: &str) {
        for place in &mut self.places {
            place.lane.fail_all(reason);
        }
    }

    /// Drops idle contexts that use an adapter. True when none uses it any more.
    pub(super) fn unload(&mut self, sha256: ContentHash) -> bool {
        let uses = |lane: &Lane| lane.stack().iter().any(|(a, _)| a.sha256() == sha256);
        self.places
            .retain(|place| !(place.lane.is_idle() && uses(&place.lane)));
        !self.iter().any(uses)
    }

    /// One step of the busy lane that has had least. Each lane has a context of its own, so that going from one to
    /// another costs nothing but the processor's caches.
    pub(super) fn step(&mut self, cancel: &CancelToken) -> Progress {
        self.turn += 1;
        self.level();
        let busy = self.places.iter_mut().filter(|p| !p.lane.is_idle());
        let Some(place) = busy.min_by_key(|place| place.served) else {
            return Progress::default();
        };
        place.last_used = self.turn;
        let progress = place.lane.step(cancel);
        place.served += progress.n_tokens as u64;
        progress
    }

    /// A lane that was idle starts from where the others are: it has no claim to what it did not use.
    fn level(&mut self) {
        let busy = self.places.iter().filter(|place| place.was_busy);
        let floor = busy.map(|place| place.served).min();
        for place in &mut self.places {
            let is_busy = !place.lane.is_idle();
            if is_busy && !place.was_busy {
                place.served = place.served.max(floor.unwrap_or(0));
            }
            place.was_busy = is_busy;
        }
    }
}
