//! KV of a range of positions as bytes, and back.
//!
//! llama.cpp writes whole sequences. A scratch sequence, which shares the cells of the range, is what is written; it is
//! read into the scratch sequence too, whose cells the timeline then takes over. The bytes hold for the same model and
//! the same build only: whoever keeps them must see to that.

use std::ops::Range;

use llama_cpp_sys_2 as sys;

use super::Context;
use crate::llama::log;

/// What a range is of, as llama.cpp counts.
struct Range32 {
    timeline: sys::llama_seq_id,
    /// The sequence that is written and read. It is empty otherwise.
    scratch: sys::llama_seq_id,
    start: i32,
    end: i32,
}

impl Context {
    /// The KV of a timeline at `positions`, by way of an empty sequence. `None` where the context has no such sequences or
    /// the engine refuses.
    pub fn copy(&mut self, sequences: (u32, u32), positions: Range<usize>) -> Option<Vec<u8>> {
        let Range32 {
            timeline,
            scratch,
            start,
            end,
        } = self.range(sequences, &positions)?;
        // SAFETY: the context is alive, has such sequences (`range`) in one stream, and the memory is not null.
        let bytes = unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            sys::llama_memory_seq_cp(memory, timeline, scratch, start, end);
            let size = sys::llama_state_seq_get_size(self.pointer.as_ptr(), scratch);
            let mut bytes = Vec::with_capacity(size);
            let written = sys::llama_state_seq_get_data(
                self.pointer.as_ptr(),
                bytes.as_mut_ptr(),
                size,
                scratch,
            );
            // llama.cpp says how many it has written, at most `size`.
            bytes.set_len(written.min(size));
            sys::llama_memory_seq_rm(memory, scratch, -1, -1);
            bytes
        };
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Continues a timeline, which must end at `positions.start`, by what [`Self::copy`] gave. False where the bytes
    /// are not of this engine, and then nothing has changed.
    pub fn restore(
        &mut self,
        sequences: (u32, u32),
        positions: Range<usize>,
        bytes: &[u8],
    ) -> bool {
        let Some(range) = self.range(sequences, &positions) else {
            return false;
        };
        let is_whole = self.read(&range, bytes);
        if is_whole {
            let Range32 {
                timeline,
                scratch,
                start,
                end,
            } = range;
            // SAFETY: the context is alive, has such sequences (`range`) in one stream, and the memory is not null.
            unsafe {
                let memory = sys::llama_get_memory(self.pointer.as_ptr());
                sys::llama_memory_seq_cp(memory, scratch, timeline, start, end);
                sys::llama_memory_seq_rm(memory, scratch, -1, -1);
            }
        }
        is_whole
    }

    /// How many sequences there may be.
    #[must_use]
    pub fn n_sequences(&self) -> u32 {
        // SAFETY: the context is alive.
        unsafe { sys::llama_n_seq_max(self.pointer.as_ptr()) }
    }

    /// Whether keys can be turned to other positions.
    #[must_use]
    pub fn can_move(&self) -> bool {
        // SAFETY: the context is alive; a null memory (an encoder) is checked for.
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            !memory.is_null() && sys::llama_memory_can_shift(memory)
        }
    }

    /// Puts what [`Self::copy`] gave of `positions` into an empty sequence, moved so that it begins at `at`: the next
    /// computation turns the keys by the difference (RoPE's are relative: Su et al. 2021, arXiv 2104.09864). False where
    /// the bytes are not of this engine or cannot be moved, and then nothing has changed.
    pub fn restore_moved(
        &mut self,
        sequence: u32,
        positions: Range<usize>,
        at: usize,
        bytes: &[u8],
    ) -> bool {
        let (Some(range), Ok(at)) = (
            self.range((sequence, sequence), &positions),
            i32::try_from(at),
        ) else {
            return false;
        };
        if !self.can_move() || !self.read(&range, bytes) {
            return false;
        }
        // SAFETY: the context is alive, has the sequence (`range`), and its memory can shift.
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            let by = at - range.start;
            sys::llama_memory_seq_add(memory, range.scratch, range.start, range.end, by);
        }
        true
    }

    /// Reads bytes into the scratch sequence. False where they are not the range, and then the sequence is empty.
    fn read(&mut self, range: &Range32, bytes: &[u8]) -> bool {
        let (context, scratch) = (self.pointer.as_ptr(), range.scratch);
        // The reason is in the log; that they are not used is all that matters here.
        let (is_whole, _) = log::capture(|| {
            // SAFETY: the context is alive, has such a sequence (`range`), and the memory is not null; llama.cpp reads no
            // more than the slice, checks types and sizes, and answers 0 where they are wrong.
            unsafe {
                let memory = sys::llama_get_memory(context);
                let read =
                    sys::llama_state_seq_set_data(context, bytes.as_ptr(), bytes.len(), scratch);
                let is_whole = read == bytes.len()
                    && sys::llama_memory_seq_pos_min(memory, scratch) == range.start
                    && sys::llama_memory_seq_pos_max(memory, scratch) == range.end - 1;
                if !is_whole {
                    sys::llama_memory_seq_rm(memory, scratch, -1, -1);
                }
                is_whole
            }
        });
        is_whole
    }

    /// The range, where it can be written and read.
    fn range(&self, (timeline, scratch): (u32, u32), positions: &Range<usize>) -> Option<Range32> {
        // SAFETY: the context is alive.
        let memory = unsafe { sys::llama_get_memory(self.pointer.as_ptr()) };
        let has_both = timeline.max(scratch) < self.n_sequences();
        if memory.is_null() || !has_both || positions.is_empty() {
            return None;
        }
        Some(Range32 {
            timeline: i32::try_from(timeline).ok()?,
            scratch: i32::try_from(scratch).ok()?,
            start: i32::try_from(positions.start).ok()?,
            end: i32::try_from(positions.end).ok()?,
        })
    }
}
