//! Q4_1 weights in an order for the kernel: sixteen rows side by side, so that one vector holds a number of each row. The
//! numbers are the same, bit for bit, and so is their size.

use std::mem::size_of;

/// Values of a block of Q4_1 (ggml's `QK4_1`).
pub(super) const BLOCK: usize = 32;
/// Bytes of a block: scale and minimum in half precision, then 32 codes of four bits.
pub(super) const BLOCK_BYTES: usize = 20;
/// Rows side by side: lanes of 32 bits in a vector of 512.
pub(super) const ROWS: usize = 16;

/// The same block of sixteen rows. A value is `scale * code + minimum`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// In half precision, one a row.
    pub(super) scales: [u16; ROWS],
    /// In half precision, one a row.
    pub(super) minimums: [u16; ROWS],
    /// Codes, in four parts: part `p` holds bytes `4p..4p+4` of each row in turn. The low half of byte `i` of a row is
    /// its value `i`, the high half its value `i + 16`, as in ggml.
    pub(super) codes: [[u8; 4 * ROWS]; 4],
}

const _: () = assert!(size_of::<Group>() == ROWS * BLOCK_BYTES);

/// Whether a matrix of this shape can be packed: columns and rows.
pub(super) fn fits(n_columns: usize, n_rows: usize) -> bool {
    n_columns > 0 && n_columns.is_multiple_of(BLOCK) && n_rows.is_multiple_of(ROWS)
}

/// Packs `rows`, whole rows of Q4_1 one after the other, into `groups`: of sixteen rows their first block, their
/// second, and so on.
pub(super) fn pack(rows: &[u8], n_columns: usize, groups: &mut [Group]) {
    side_by_side::<BLOCK_BYTES, _>(rows, n_columns, groups, |group, row, block| {
        group.scales[row] = u16::from_le_bytes([block[0], block[1]]);
        group.minimums[row] = u16::from_le_bytes([block[2], block[3]]);
        for (codes, part) in block[4..].chunks_exact(4).zip(&mut group.codes) {
            part[4 * row..4 * row + 4].copy_from_slice(codes);
        }
    });
}

/// Has `place` put each block of `rows`, of so many bytes, into its group, as the row of sixteen that it is of.
pub(super) fn side_by_side<const BLOCK_BYTES: usize, G>(
    rows: &[u8],
    n_columns: usize,
    groups: &mut [G],
    place: impl Fn(&mut G, usize, &[u8]),
) {
    let n_blocks = n_columns / BLOCK;
    let row_bytes = n_blocks * BLOCK_BYTES;
    let sixteens = rows.chunks_exact(row_bytes * ROWS);
    for (rows, groups) in sixteens.zip(groups.chunks_exact_mut(n_blocks)) {
        for (row, bytes) in rows.chunks_exact(row_bytes).enumerate() {
            for (block, group) in bytes.chunks_exact(BLOCK_BYTES).zip(groups.iter_mut()) {
                place(group, row, block);
            }
        }
    }
}
