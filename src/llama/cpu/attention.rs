//! Attention over a KV cache for a few tokens at a time, as answering and checking drafts need it.
//!
//! llama.cpp has three ways to compute it, and takes one by the number of tokens: many go through tiles, a few one by one
//! with sums in half precision, and for a single one the cache is shared out among the threads. Each rounds differently, so
//! that a token's numbers depend on what it is computed together with. Here a token gets exactly the numbers of the tiles
//! (`ggml_compute_forward_flash_attn_ext_tiled`), in the same order of additions: the KV cache then holds the same bits
//! however it was made, in one batch or token by token.
//!
//! For a row q of a tile of 64 cells, with the mask m and the largest score M so far (<https://arxiv.org/abs/2112.05682>):
//! `s = scale·K·q + m`, `p = exp(s - M)`, `sum += Σp`, `out += Σp·v`; both are scaled by `exp(M - M')` when M grows to M'.
//! Scores, softmax and sums are three steps, each shared out evenly among the threads, for a span of cells at a time.

mod rows;
mod shape;

use llama_cpp_sys_2 as sys;

use super::node::Share;
pub(super) use shape::is_possible;
use shape::{SPAN, Shape, TILE, TILES};

/// Numbers of working memory, and what is where in it.
struct Memory {
    /// A row's scores for the cells of a span; then the exponentials.
    scores: *mut f32,
    /// The largest score of each tile; then what the sums are to be scaled by before it.
    tiles: *mut f32,
    /// Each row's largest score so far, and the sum of its exponentials.
    running: *mut f32,
    /// Each row's sums of values.
    sums: *mut f32,
    /// This thread's tile of keys, turned.
    keys: *mut f32,
}

impl Memory {
    fn numbers(shape: &Shape, n_threads: usize) -> usize {
        shape.n_rows() * (SPAN + TILES + 2 + shape.n_values) + n_threads * shape.n_keys * TILE
    }

    /// # Safety
    ///
    /// The work memory has room for [`Self::numbers`].
    unsafe fn new(shape: &Shape, share: &Share) -> Self {
        let n = shape.n_rows();
        // SAFETY: as asked of the caller; the parts follow one another.
        unsafe {
            let scores = share.work.cast::<f32>();
            let tiles = scores.add(n * SPAN);
            let running = tiles.add(n * TILES);
            let sums = running.add(n * 2);
            let keys = sums.add(n * shape.n_values);
            Self {
                scores,
                tiles,
                running,
                sums,
                keys: keys.add(share.index() * shape.n_keys * TILE),
            }
        }
    }
}

/// Bytes of work memory.
///
/// # Safety
///
/// `op` is a node that [`is_possible`], with its sources.
pub(super) unsafe fn work_bytes(op: &sys::ggml_tensor, n_threads: usize) -> usize {
    // SAFETY: as asked of the caller.
    let shape = unsafe { Shape::of(op) };
    Memory::numbers(&shape, n_threads) * size_of::<f32>()
}

/// The part of the attention that is this thread's.
///
/// # Safety
///
/// `op` is a node that [`is_possible`], with its sources, all allocated; every thread calls this with its share, with
/// [`work_bytes`] of work memory.
pub(super) unsafe fn compute(share: &Share, op: &sys::ggml_tensor) {
    // SAFETY: as asked of the caller. Between two meetings threads write disjoint parts of the work memory, and read only
    // what was written before the last one.
    unsafe {
        let shape = Shape::of(op);
        let memory = Memory::new(&shape, share);
        for row in share.of(shape.n_rows()) {
            *memory.running.add(2 * row) = f32::NEG_INFINITY;
            *memory.running.add(2 * row + 1) = 0.0;
        }
        let parts = shape.n_kv_heads * (shape.n_values / rows::VALUES);
        for part in share.of(parts) {
            rows::clear_sums(&shape, &memory, part);
        }
        for first in (0..shape.n_cells).step_by(SPAN) {
            let n_tiles = (shape.n_cells - first).min(SPAN) / TILE;
            for unit in share.of(shape.n_kv_heads * n_tiles) {
                rows::scores(&shape, &memory, unit / n_tiles, first, unit % n_tiles);
            }
            share.wait();
            for row in share.of(shape.n_rows()) {
                rows::exponentials(&memory, row, n_tiles);
            }
            share.wait();
            for part in share.of(parts) {
                rows::add_values(&shape, &memory, part, first, n_tiles);
            }
            share.wait();
        }
        for part in share.of(parts) {
            rows::finish(&shape, &memory, part);
        }
    }
}
