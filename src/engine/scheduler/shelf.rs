//! A lane and the prefix cache on disk: what a prompt takes from it when it joins, and what finished requests leave to it.
//!
//! Only an idle scheduler writes, a block at a time: nobody's answer waits for it. Blocks are found again by servers, not
//! by sessions of their own ([`Way::Together`]).

use std::collections::VecDeque;

use super::cells::Cell;
use super::lane::Lane;
use super::sequence::{Running, Sequence};
use crate::engine::model::Model;
use crate::engine::prefix_cache::{BLOCK_TOKENS, BlockKey, KeptPrefixes, Place, PrefixCache, Way};
use crate::engine::stack::StackFingerprint;
use crate::error::Result;
use crate::llama::{KvType, Token};

/// A block of a finished request that is not on disk yet.
struct ToKeep {
    slot: u32,
    block: (usize, BlockKey),
}

/// The cache as a lane with its stack may use it.
pub(super) struct Shelf {
    cache: PrefixCache,
    kv_type: KvType,
    kept: KeptPrefixes,
    to_keep: VecDeque<ToKeep>,
}

impl Shelf {
    pub(super) fn new(
        cache: &PrefixCache,
        model: &Model,
        stack: StackFingerprint,
        kv_type: KvType,
    ) -> Result<Self> {
        Ok(Self {
            cache: cache.clone(),
            kv_type,
            kept: KeptPrefixes::new(cache, model, stack, Way::Together(kv_type))?,
            to_keep: VecDeque::new(),
        })
    }

    /// The same cache under another stack.
    pub(super) fn under(&self, model: &Model, stack: StackFingerprint) -> Result<Self> {
        Self::new(&self.cache, model, stack, self.kv_type)
    }

    /// Remembers what of a finished request is to be kept.
    pub(super) fn note(&mut self, sequence: &Sequence) {
        let blocks = self.kept.missing(sequence.computed()).into_iter();
        let slot = sequence.slot;
        self.to_keep
            .extend(blocks.map(|block| ToKeep { slot, block }));
    }

    /// Forgets a sequence that is gone.
    pub(super) fn forget(&mut self, slot: u32) {
        self.to_keep.retain(|waiting| waiting.slot != slot);
    }
}

impl Lane {
    /// Makes `slot`, which holds the prompt's tokens of `cells`, begin with what is on disk beyond these, if anything is.
    pub(super) fn take_from_disk(
        &mut self,
        slot: u32,
        prompt: &[Token],
        cells: &mut Vec<Cell>,
        n_new: usize,
    ) {
        let (Some(shelf), Some(&scratch)) = (&self.shelf, self.free_slots.last()) else {
            return;
        };
        let found = shelf.kept.find(prompt, cells.len());
        let Some(start) = found.first().map(|block| block.start) else {
            return;
        };
        // Blocks begin at multiples of their size: what is shared beyond the last one is replaced, and takes cells anew.
        let again = cells.len().saturating_sub(start);
        let promised: usize = self.running.iter().map(Running::n_reserved).sum();
        let fits = self.cells.used() + promised + n_new + again <= self.cells.len();
        if !fits || (again > 0 && !self.context.truncate(slot, start)) {
            return;
        }
        self.cells.release(cells, start);
        let place = Place {
            timeline: slot,
            scratch,
        };
        let end = shelf.kept.restore(&mut self.context, &found, place);
        let n = end.saturating_sub(cells.len());
        if !self.cells.take(n, cells) {
            self.context.truncate(slot, cells.len());
        }
    }

    /// Hands one block of a finished request to the disk. False where there is none.
    pub(super) fn keep_on_disk(&mut self) -> bool {
        let (Some(shelf), Some(&scratch)) = (&mut self.shelf, self.free_slots.last()) else {
            return false;
        };
        let Some(next) = shelf.to_keep.front() else {
            return false;
        };
        let end = (next.block.0 + 1) * BLOCK_TOKENS;
        let has_it = |kept: &Sequence| kept.slot == next.slot && kept.cells.len() >= end;
        let place = Place {
            timeline: next.slot,
            scratch,
        };
        let is_there = self.kept.iter().any(has_it);
        // Where the disk is slower, the block waits for its turn.
        if !is_there || shelf.kept.keep_block(&mut self.context, next.block, place) {
            shelf.to_keep.pop_front();
        }
        true
    }
}
