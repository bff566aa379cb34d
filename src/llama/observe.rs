//! Looking at a computation: what the weights of a model are multiplied with.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

/// Sees the inputs of weights.
pub trait Observer: Send {
    /// Whether the inputs of this weight are wanted. What is not wanted is computed at full speed.
    fn wants(&mut self, weight: &str) -> bool;

    /// A row that a matrix of the weight was multiplied with: one value a column.
    fn row(&mut self, weight: &str, matrix: Matrix, values: &[f32]);
}

/// Which matrix of a weight: those of experts hold one each, others a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// From 0.
    pub at: usize,
    /// How many the weight holds.
    pub of: usize,
}

const F32: usize = size_of::<f32>();

/// An observer, and the buffer that its rows are copied to.
pub(super) struct Observed {
    observer: Box<dyn Observer>,
    bytes: Vec<f32>,
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observed")
    }
}

impl Observed {
    pub(super) fn new(observer: Box<dyn Observer>) -> Self {
        Self {
            observer,
            bytes: Vec::new(),
        }
    }

    /// Asks llama.cpp to show its computation to `self`, at an address that stays: [`Self::free`] it after the context
    /// that is made with `raw`.
    pub(super) fn install(self, raw: &mut sys::llama_context_params) -> NonNull<Self> {
        let pointer = NonNull::from(Box::leak(Box::new(self)));
        raw.cb_eval = Some(on_node);
        raw.cb_eval_user_data = pointer.as_ptr().cast();
        pointer
    }

    /// Frees what [`Self::install`] made, once.
    pub(super) fn free(installed: NonNull<Self>) {
        // SAFETY: made by `install` from a box, and freed by its one owner, after the context that knew it.
        drop(unsafe { Box::from_raw(installed.as_ptr()) });
    }

    /// Hands over the rows of the input of a matrix product that was just computed.
    fn rows(&mut self, weight: &str, input: &sys::ggml_tensor) {
        let [_, rows, planes, cubes] = sizes(input);
        for at in 0..rows * planes * cubes {
            let row = [at % rows, at / rows % planes, at / rows / planes];
            self.row(weight, Matrix { at: 0, of: 1 }, input, row);
        }
    }

    /// Likewise of the product of each token with the experts that `ids` names, `[experts of a token, tokens]`. Its input
    /// is `[columns, experts of a token or 1 for all of them, tokens]`.
    fn expert_rows(
        &mut self,
        name: &str,
        of: usize,
        input: &sys::ggml_tensor,
        ids: &sys::ggml_tensor,
    ) {
        let ([_, shared, ..], [used, tokens, ..]) = (sizes(input), sizes(ids));
        if ids.type_ != sys::GGML_TYPE_I32 || shared == 0 {
            return;
        }
        for (token, slot) in (0..tokens).flat_map(|token| (0..used).map(move |slot| (token, slot)))
        {
            let mut id = 0_i32;
            // SAFETY: `ids` is an allocated tensor of the graph, of 4-byte integers; the one at this offset lies within it
            // by its own strides.
            unsafe {
                let offset = slot * ids.nb[0] + token * ids.nb[1];
                sys::ggml_backend_tensor_get(ids, (&raw mut id).cast(), offset, size_of::<i32>());
            }
            let Some(at) = usize::try_from(id).ok().filter(|&at| at < of) else {
                continue;
            };
            self.row(name, Matrix { at, of }, input, [slot % shared, token, 0]);
        }
    }

    /// Hands over the row of `input` at these indices of its dimensions after the first.
    fn row(&mut self, weight: &str, matrix: Matrix, input: &sys::ggml_tensor, row: [usize; 3]) {
        let [columns, sizes @ ..] = sizes(input);
        let inside = row.iter().zip(sizes).all(|(&at, size)| at < size);
        if input.type_ != sys::GGML_TYPE_F32 || input.nb[0] != F32 || columns == 0 || !inside {
            return;
        }
        self.bytes.resize(columns, 0.0);
        let offset = row
            .iter()
            .zip(&input.nb[1..])
            .map(|(at, stride)| at * stride)
            .sum();
        // SAFETY: `input` is an allocated tensor of the graph that was computed up to its product; the row at
        // `offset` lies within it by its own strides, and `bytes` has room for one.
        unsafe {
            sys::ggml_backend_tensor_get(
                input,
                self.bytes.as_mut_ptr().cast(),
                offset,
                columns * F32,
            );
        }
        self.observer.row(weight, matrix, &self.bytes);
    }
}

fn sizes(tensor: &sys::ggml_tensor) -> [usize; 4] {
    tensor.ne.map(|n| usize::try_from(n).unwrap_or(0))
}

/// llama.cpp's scheduler asks before each node whether it is to be shown, and shows it after. True goes on.
unsafe extern "C" fn on_node(
    node: *mut sys::ggml_tensor,
    ask: bool,
    user_data: *mut c_void,
) -> bool {
    // SAFETY: set by `install`; the context is computing, which takes it mutably, so nobody else uses the observer; the
    // node and its sources are tensors of the graph.
    let (observed, node) = unsafe { (&mut *user_data.cast::<Observed>(), &*node) };
    let [weight, input, ids, ..] = node.src;
    let by_expert = node.op == sys::GGML_OP_MUL_MAT_ID && !ids.is_null();
    if !(by_expert || node.op == sys::GGML_OP_MUL_MAT) || weight.is_null() || input.is_null() {
        return !ask;
    }
    // SAFETY: as above; names are NUL-terminated within their array.
    let name = unsafe { CStr::from_ptr((*weight).name.as_ptr()) };
    let Ok(name) = name.to_str() else {
        return !ask;
    };
    // A panic must not cross into C; an observer that panicked has seen enough.
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        if ask {
            return observed.observer.wants(name);
        }
        // SAFETY: as above; a product by expert has its ids.
        unsafe {
            match by_expert {
                true => observed.expert_rows(name, sizes(&*weight)[2], &*input, &*ids),
                false => observed.rows(name, &*input),
            }
        }
        true
    }));
    seen.unwrap_or(false)
}
