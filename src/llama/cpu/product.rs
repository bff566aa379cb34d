//! A node of a graph that multiplies packed weights: each thread rounds a part of the input, then multiplies a part of
//! the rows.

use llama_cpp_sys_2 as sys;

use super::kernel::{self, INPUTS, Rounded, Sixteen};
use super::node::{Share, count, vector};
use super::pack::{self, BLOCK, Group, ROWS};
use super::parts;
use super::wide::{self, WideGroup};

/// Whether a product has weights that can be packed and an input of plain numbers in memory.
pub(super) fn is_possible(
    op: &sys::ggml_tensor,
    weight: &sys::ggml_tensor,
    input: &sys::ggml_tensor,
) -> bool {
    // SAFETY: a buffer knows its type.
    let in_memory = input.buffer.is_null()
        || unsafe {
            sys::ggml_backend_buft_is_host(sys::ggml_backend_buffer_get_type(input.buffer))
        };
    op.op == sys::GGML_OP_MUL_MAT
        && matches!(weight.type_, sys::GGML_TYPE_Q4_1 | sys::GGML_TYPE_Q8_0)
        && weight.ne[2] * weight.ne[3] == 1
        && pack::fits(count(weight.ne[0]), count(weight.ne[1]))
        && input.type_ == sys::GGML_TYPE_F32
        && in_memory
}

/// Packs a whole weight of a type that [`is_possible`] takes into its place.
///
/// # Safety
///
/// `weight` is allocated, and as large as `rows`.
pub(super) unsafe fn store(weight: &sys::ggml_tensor, rows: &[u8]) {
    let columns = count(weight.ne[0]);
    // SAFETY: a packed weight has the size of the rows; its buffer is aligned to a cache line.
    unsafe {
        if weight.type_ == sys::GGML_TYPE_Q8_0 {
            let n = rows.len() / size_of::<WideGroup>();
            let groups = std::slice::from_raw_parts_mut(weight.data.cast::<WideGroup>(), n);
            parts::in_parts(rows, columns, groups, wide::pack);
        } else {
            let n = rows.len() / size_of::<Group>();
            let groups = std::slice::from_raw_parts_mut(weight.data.cast::<Group>(), n);
            parts::in_parts(rows, columns, groups, pack::pack);
        }
    }
}

/// Bytes that the input takes, rounded.
///
/// # Safety
///
/// `op` is a node with its sources.
pub(super) unsafe fn work_bytes(op: &sys::ggml_tensor) -> usize {
    // SAFETY: as asked of the caller.
    let input = unsafe { &*op.src[1] };
    let values: usize = input.ne.iter().map(|&n| count(n)).product();
    values / BLOCK * size_of::<Rounded>()
}

/// The part of a product that is this thread's.
///
/// # Safety
///
/// `op` is a node with its sources, all allocated, whose weight was packed; every thread calls this with its share, with
/// [`work_bytes`] of work memory.
pub(super) unsafe fn compute(share: &Share, op: &sys::ggml_tensor) {
    // SAFETY: as asked of the caller. Before the barrier threads write disjoint parts of the work memory, after it they
    // only read it, and write disjoint rows of the result.
    unsafe {
        let (weight, input) = (&*op.src[0], &*op.src[1]);
        let n_blocks = count(weight.ne[0]) / BLOCK;
        let n_inputs = count(input.ne[1]) * count(input.ne[2]) * count(input.ne[3]);
        let rounded = share.work.cast::<Rounded>();
        for at in share.of(n_inputs * n_blocks) {
            let from = vector(input, at / n_blocks).add(at % n_blocks * BLOCK);
            let block = std::slice::from_raw_parts(from, BLOCK);
            kernel::round(block, std::slice::from_raw_parts_mut(rounded.add(at), 1));
        }
        share.wait();
        let rounded = std::slice::from_raw_parts(rounded.cast_const(), n_inputs * n_blocks);
        if weight.type_ == sys::GGML_TYPE_Q8_0 {
            multiply::<WideGroup>(share, op, weight, rounded);
        } else {
            multiply::<Group>(share, op, weight, rounded);
        }
    }
}

/// This thread's rows of the product.
///
/// # Safety
///
/// As [`compute`]; the weight is packed into such groups, and `rounded` holds the whole input.
unsafe fn multiply<G: Sixteen>(
    share: &Share,
    op: &sys::ggml_tensor,
    weight: &sys::ggml_tensor,
    rounded: &[Rounded],
) {
    let n_blocks = count(weight.ne[0]) / BLOCK;
    let n_inputs = rounded.len() / n_blocks;
    let groups = weight.data.cast_const().cast::<G>();
    for sixteen in share.of(count(weight.ne[1]) / ROWS) {
        // SAFETY: as asked of the caller: the groups are there, and every result has room for a number a row.
        unsafe {
            let groups = std::slice::from_raw_parts(groups.add(sixteen * n_blocks), n_blocks);
            for first in (0..n_inputs).step_by(INPUTS) {
                let n = INPUTS.min(n_inputs - first);
                let mut inputs: [&[Rounded]; INPUTS] = [&[]; INPUTS];
                let mut out = [std::ptr::null_mut(); INPUTS];
                for i in 0..n {
                    let at = (first + i) * n_blocks;
                    inputs[i] = &rounded[at..at + n_blocks];
                    out[i] = vector(op, first + i).cast_mut().add(sixteen * ROWS);
                }
                kernel::products(groups, &inputs[..n], &out[..n]);
            }
        }
    }
}
