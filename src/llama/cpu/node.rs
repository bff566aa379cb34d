//! What computing a node of a graph needs: a thread's share of it, and where numbers are.

use std::ffi::c_void;
use std::ops::Range;

use llama_cpp_sys_2 as sys;

unsafe extern "C" {
    /// Waits for the other threads of a computation (`ggml-cpu-impl.h`).
    fn ggml_barrier(pool: *mut c_void);
}

/// `ggml_compute_params` (`ggml-cpu-impl.h`): which of how many threads this is, and memory to work in.
#[repr(C)]
pub(super) struct Share {
    thread: i32,
    n_threads: i32,
    _work_bytes: usize,
    pub(super) work: *mut c_void,
    pool: *mut c_void,
}

impl Share {
    /// The part of `n` things that is this thread's.
    pub(super) fn of(&self, n: usize) -> Range<usize> {
        let (thread, threads) = (
            count(self.thread.into()),
            count(self.n_threads.into()).max(1),
        );
        n * thread / threads..n * (thread + 1) / threads
    }

    /// Which of the threads this is.
    pub(super) fn index(&self) -> usize {
        count(self.thread.into())
    }

    /// Waits until every thread is here.
    ///
    /// # Safety
    ///
    /// Every thread of the computation comes here.
    pub(super) unsafe fn wait(&self) {
        // SAFETY: the pool is llama.cpp's own, and every thread comes, as asked of the caller.
        unsafe { ggml_barrier(self.pool) };
    }
}

/// Where vector `index` of a tensor of plain numbers begins.
///
/// # Safety
///
/// The tensor is allocated and has that many vectors.
pub(super) unsafe fn vector(tensor: &sys::ggml_tensor, index: usize) -> *const f32 {
    let [_, n1, n2, _] = tensor.ne.map(count);
    let (i1, i2, i3) = (index % n1, index / n1 % n2, index / n1 / n2);
    let [_, b1, b2, b3] = tensor.nb;
    let offset = i1 * b1 + i2 * b2 + i3 * b3;
    // SAFETY: within the tensor, as asked of the caller.
    unsafe { tensor.data.cast_const().cast::<u8>().add(offset).cast() }
}

/// ggml counts in signed numbers that are never negative.
pub(super) fn count(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}
