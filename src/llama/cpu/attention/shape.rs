//! What an attention node is made of, and which nodes are computed here.

use llama_cpp_sys_2 as sys;

use super::super::node::count;

/// Cells of a tile, as llama.cpp's (`GGML_FA_TILE_KV`).
pub(super) const TILE: usize = 64;

/// Cells for which scores are kept at a time: enough work between two meetings of the threads, little memory.
pub(super) const SPAN: usize = 1024;

/// Tiles of a span.
pub(super) const TILES: usize = SPAN / TILE;

/// Most tokens that are computed here. From 64 on llama.cpp computes in tiles itself (`GGML_FA_TILE_Q`), with 64 of cells and
/// tokens: well for one long sequence, but of many short ones, as the guard scores them, most of such a tile is hidden.
const MOST_TOKENS: usize = 128;

/// Sizes and places of an attention node.
pub(super) struct Shape<'a> {
    op: &'a sys::ggml_tensor,
    queries: &'a sys::ggml_tensor,
    keys: &'a sys::ggml_tensor,
    values: &'a sys::ggml_tensor,
    mask: &'a sys::ggml_tensor,
    pub(super) scale: f32,
    /// Numbers of a key and of a query.
    pub(super) n_keys: usize,
    /// Numbers of a value.
    pub(super) n_values: usize,
    pub(super) n_tokens: usize,
    pub(super) n_kv_heads: usize,
    /// Heads that share keys and values.
    pub(super) group: usize,
    pub(super) n_cells: usize,
}

/// Whether it is attention as computed here: keys and values in half precision, a mask, few tokens of one stream.
///
/// # Safety
///
/// `op` is a node with its sources.
pub(in super::super) unsafe fn is_possible(op: &sys::ggml_tensor) -> bool {
    let [queries, keys, values, mask, sinks, ..] = op.src;
    if op.op != sys::GGML_OP_FLASH_ATTN_EXT || mask.is_null() || !sinks.is_null() {
        return false;
    }
    // SAFETY: as asked of the caller: the sources are tensors.
    let (queries, keys, values, mask) = unsafe { (&*queries, &*keys, &*values, &*mask) };
    let [_, max_bias, softcap] = parameters(op);
    queries.type_ == sys::GGML_TYPE_F32
        && keys.type_ == sys::GGML_TYPE_F16
        && values.type_ == sys::GGML_TYPE_F16
        && mask.type_ == sys::GGML_TYPE_F16
        && count(queries.ne[1]) <= MOST_TOKENS
        && queries.ne[3] == 1
        && mask.ne[2] * mask.ne[3] == 1
        && keys.ne[2] == values.ne[2]
        && queries.ne[2] % keys.ne[2] == 0
        && keys.ne[0] % 16 == 0
        && values.ne[0] % 32 == 0
        && count(keys.ne[1]).is_multiple_of(TILE)
        && queries.nb[0] == size_of::<f32>()
        && keys.nb[0] == size_of::<u16>()
        && values.nb[0] == size_of::<u16>()
        && op.nb[0] == size_of::<f32>()
        && max_bias == 0.0
        && softcap == 0.0
}

/// Scale, slope of ALiBi, and what scores are capped at.
fn parameters(op: &sys::ggml_tensor) -> [f32; 3] {
    [0, 1, 2].map(|i| f32::from_bits(op.op_params[i].cast_unsigned()))
}

impl<'a> Shape<'a> {
    /// # Safety
    ///
    /// `op` is a node that [`is_possible`], with its sources.
    pub(super) unsafe fn of(op: &'a sys::ggml_tensor) -> Self {
        let [queries, keys, values, mask, ..] = op.src;
        // SAFETY: as asked of the caller.
        let (queries, keys, values, mask) = unsafe { (&*queries, &*keys, &*values, &*mask) };
        let n_kv_heads = count(keys.ne[2]);
        Self {
            op,
            queries,
            keys,
            values,
            mask,
            scale: parameters(op)[0],
            n_keys: count(keys.ne[0]),
            n_values: count(values.ne[0]),
            n_tokens: count(queries.ne[1]),
            n_kv_heads,
            group: count(queries.ne[2]) / n_kv_heads,
            n_cells: count(keys.ne[1]),
        }
    }

    /// One row a token and head.
    pub(super) fn n_rows(&self) -> usize {
        self.n_kv_heads * self.rows_of_head()
    }

    /// Rows that share keys and values. They follow one another: row `r` of them is token `r / group`.
    pub(super) fn rows_of_head(&self) -> usize {
        self.n_tokens * self.group
    }

    /// The query of row `row` of a head of keys.
    pub(super) fn query(&self, kv_head: usize, row: usize) -> *const f32 {
        let (token, head) = (row / self.group, kv_head * self.group + row % self.group);
        at(self.queries, token, head).cast()
    }

    /// Where the result of that row goes: the node's dimensions 1 and 2 are heads and tokens.
    pub(super) fn result(&self, kv_head: usize, row: usize) -> *mut f32 {
        let (token, head) = (row / self.group, kv_head * self.group + row % self.group);
        at(self.op, head, token).cast_mut().cast()
    }

    pub(super) fn key(&self, kv_head: usize, cell: usize) -> *const u16 {
        at(self.keys, cell, kv_head).cast()
    }

    pub(super) fn value(&self, kv_head: usize, cell: usize) -> *const u16 {
        at(self.values, cell, kv_head).cast()
    }

    /// Whether a token sees any cell of the tile that begins at `cell`.
    ///
    /// # Safety
    ///
    /// The node is allocated, and the tile is within its cells.
    pub(super) unsafe fn sees(&self, token: usize, cell: usize) -> bool {
        /// Minus infinity in half precision.
        const HIDDEN: u16 = 0xfc00;
        // SAFETY: as asked of the caller; the mask has a number a cell.
        let tile = unsafe { std::slice::from_raw_parts(self.mask(token, cell), TILE) };
        tile.iter().any(|&mask| mask != HIDDEN)
    }

    /// What is added to a token's scores, a number a cell.
    pub(super) fn mask(&self, token: usize, cell: usize) -> *const u16 {
        at(self.mask, token, 0).cast::<u16>().wrapping_add(cell)
    }
}

/// Where the numbers at places `i1` and `i2` of the second and third dimension are.
fn at(tensor: &sys::ggml_tensor, i1: usize, i2: usize) -> *const u8 {
    let bytes = tensor.data.cast_const().cast::<u8>();
    bytes.wrapping_add(i1 * tensor.nb[1] + i2 * tensor.nb[2])
}
