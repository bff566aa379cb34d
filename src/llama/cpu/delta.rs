//! What an adapter adds to a product, `y + s·B·(A·x)`, in fewer steps. llama.cpp makes four nodes of it, `A·x`, `B·(A·x)`,
//! the scaling and the sum, and all threads meet after each; for one token that waiting costs more than the numbers do.
//! Here the first is computed by a kernel for it, the next two are taken out of the graph when it is planned, and the last does
//! their work.
//!
//! Adapters' matrices are known by their names, which llama.cpp gives them when it loads a file: `.lora_a` and `.lora_b`.
//! What it builds around them (`build_lora_mm` in `llama-graph.cpp`) is always these four nodes.

use std::ffi::CStr;

use llama_cpp_sys_2 as sys;

use super::node::{Share, count, vector};
use super::thin;

/// Largest rank that is computed here: the products with `A` are kept on the stack.
pub const MAX_RANK: u32 = 256;

/// What a node is to an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// `A·x`.
    Down,
    /// `B·(A·x)`, or the same scaled: nothing is done.
    Skipped,
    /// The sum.
    Add,
}

/// What a node is to an adapter, if it is something.
///
/// # Safety
///
/// `op` is a node with its sources.
pub(super) unsafe fn step_of(op: &sys::ggml_tensor) -> Option<Step> {
    // SAFETY: as asked of the caller: sources are null or tensors.
    unsafe {
        match op.op {
            sys::GGML_OP_MUL_MAT if is_down(op) => Some(Step::Down),
            sys::GGML_OP_MUL_MAT if is_up(op) => Some(Step::Skipped),
            sys::GGML_OP_SCALE if is_up(&*op.src[0]) => Some(Step::Skipped),
            sys::GGML_OP_ADD if is_scaled(&*op.src[1]) => Some(Step::Add),
            _ => None,
        }
    }
}

unsafe fn is_scaled(op: &sys::ggml_tensor) -> bool {
    // SAFETY: as for `step_of`.
    op.op == sys::GGML_OP_SCALE && unsafe { is_up(&*op.src[0]) }
}

/// `B·(A·x)` of matrices that can be computed with here.
unsafe fn is_up(op: &sys::ggml_tensor) -> bool {
    // SAFETY: as for `step_of`.
    unsafe {
        op.op == sys::GGML_OP_MUL_MAT
            && is_named(&*op.src[0], b".lora_b")
            && thin::can_read((*op.src[0]).type_)
            && (*op.src[0]).ne[0] <= i64::from(MAX_RANK)
            && is_down(&*op.src[1])
    }
}

unsafe fn is_down(op: &sys::ggml_tensor) -> bool {
    // SAFETY: as for `step_of`.
    unsafe {
        op.op == sys::GGML_OP_MUL_MAT
            && is_named(&*op.src[0], b".lora_a")
            && thin::can_read((*op.src[0]).type_)
            && (*op.src[1]).type_ == sys::GGML_TYPE_F32
            && (*op.src[1]).nb[0] == size_of::<f32>()
    }
}

/// Whether a tensor's name ends so, and it is a matrix.
fn is_named(tensor: &sys::ggml_tensor, end: &[u8]) -> bool {
    // SAFETY: llama.cpp's names are C strings, whole in their place.
    let name = unsafe { CStr::from_ptr(tensor.name.as_ptr()) };
    name.to_bytes().ends_with(end) && tensor.ne[2] * tensor.ne[3] == 1
}

/// The part of a step that is this thread's.
///
/// # Safety
///
/// `op` is a node that is `step` to an adapter, with its sources, all allocated but those of skipped nodes; every thread
/// calls this with its share.
pub(super) unsafe fn compute(step: Step, share: &Share, op: &sys::ggml_tensor) {
    // SAFETY: as asked of the caller.
    unsafe {
        match step {
            Step::Down => down(share, op),
            Step::Skipped => {}
            Step::Add => add(share, op),
        }
    }
}

/// One number a row of `A`. Threads write disjoint numbers.
unsafe fn down(share: &Share, op: &sys::ggml_tensor) {
    // SAFETY: as for `compute`.
    unsafe {
        let (a, input) = (&*op.src[0], &*op.src[1]);
        let (n, rank) = (count(a.ne[0]), count(a.ne[1]));
        for at in share.of(rank * n_vectors(input)) {
            let (input, out) = (vector(input, at / rank), vector(op, at / rank).cast_mut());
            let input = std::slice::from_raw_parts(input, n);
            let row = thin::Rows::new(a, at % rank, 1);
            *out.add(at % rank) = row.dot(input);
        }
    }
}

/// `y + s·B·t`. Threads write disjoint rows, after all have read `t`, whose memory may be the result's.
unsafe fn add(share: &Share, op: &sys::ggml_tensor) {
    // SAFETY: as for `compute`: the sources of the skipped nodes are where they were.
    unsafe {
        let (product, scaled) = (&*op.src[0], &*op.src[1]);
        let up = &*scaled.src[0];
        let (b, t) = (&*up.src[0], &*up.src[1]);
        let scale = f32::from_bits(scaled.op_params[0].cast_unsigned());
        let (rank, n_rows) = (count(b.ne[0]), count(b.ne[1]));
        if n_vectors(product) == 1 {
            let mut low = [0_f32; MAX_RANK as usize];
            std::ptr::copy_nonoverlapping(vector(t, 0), low.as_mut_ptr(), rank);
            if overlap(op, t) {
                share.wait();
            }
            // Whole groups of rows, as they are computed together: who computes a row must not change it.
            let groups = share.of(n_rows.div_ceil(thin::TOGETHER));
            let [start, end] =
                [groups.start, groups.end].map(|at| (at * thin::TOGETHER).min(n_rows));
            let rows = start..end;
            one(
                b,
                &low[..rank],
                scale,
                rows,
                vector(product, 0),
                vector(op, 0).cast_mut(),
            );
            return;
        }
        if overlap(op, t) {
            // Kept apart: a thread's result may lie where another's `t` is.
            let kept = share.work.cast::<f32>();
            for at in share.of(n_vectors(t)) {
                std::ptr::copy_nonoverlapping(vector(t, at), kept.add(at * rank), rank);
            }
            share.wait();
            for at in share.of(n_vectors(product)) {
                let low = std::slice::from_raw_parts(kept.add(at * rank).cast_const(), rank);
                one(
                    b,
                    low,
                    scale,
                    0..n_rows,
                    vector(product, at),
                    vector(op, at).cast_mut(),
                );
            }
            return;
        }
        for at in share.of(n_vectors(product)) {
            let low = std::slice::from_raw_parts(vector(t, at), rank);
            one(
                b,
                low,
                scale,
                0..n_rows,
                vector(product, at),
                vector(op, at).cast_mut(),
            );
        }
    }
}

unsafe fn one(
    b: &sys::ggml_tensor,
    low: &[f32],
    scale: f32,
    rows: std::ops::Range<usize>,
    product: *const f32,
    out: *mut f32,
) {
    // SAFETY: as for `compute`; the product may be the result itself, number by number.
    unsafe {
        thin::Rows::new(b, rows.start, rows.len()).add_products(
            low,
            scale,
            product.add(rows.start),
            out.add(rows.start),
        );
    }
}

/// Bytes of memory that a sum may need.
///
/// # Safety
///
/// As [`step_of`], for [`Step::Add`].
pub(super) unsafe fn work_bytes(op: &sys::ggml_tensor) -> usize {
    // SAFETY: as asked of the caller.
    let t = unsafe { &*(*(*op.src[1]).src[0]).src[1] };
    t.ne.iter().map(|&n| count(n)).product::<usize>() * size_of::<f32>()
}

fn n_vectors(tensor: &sys::ggml_tensor) -> usize {
    count(tensor.ne[1]) * count(tensor.ne[2]) * count(tensor.ne[3])
}

fn overlap(a: &sys::ggml_tensor, b: &sys::ggml_tensor) -> bool {
    // SAFETY: sizes by shape and strides.
    let end = |t: &sys::ggml_tensor| t.data as usize + unsafe { sys::ggml_nbytes(t) };
    (a.data as usize) < end(b) && (b.data as usize) < end(a)
}
