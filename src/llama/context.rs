//! A context: the KV cache and the compute buffers of one computation over a model.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use llama_cpp_sys_2 as sys;

mod state;

use super::adapter::LoraAdapter;
use super::batch::Batch;
use super::cpu::Turn;
use super::kv_type::KvType;
use super::log;
use super::model::Model;
use super::observe::{Observed, Observer};
use crate::error::{Error, Result};

/// llama.cpp's most sequences in a context.
pub const MAX_SEQUENCES: u32 = 256;

/// Sizes of a context, in llama.cpp's terms.
#[derive(Debug, Clone)]
pub struct ContextParams {
    /// Tokens that the KV cache holds, over all sequences.
    pub n_ctx: u32,
    /// Most tokens in one call of `llama_decode`.
    pub n_batch: u32,
    /// Most tokens computed at once.
    pub n_ubatch: u32,
    /// Most sequences.
    pub n_seq_max: u32,
    /// Threads while decoding one token at a time.
    pub n_threads: u32,
    /// Threads while decoding many tokens.
    pub n_threads_batch: u32,
    /// Give one embedding a sequence in place of logits.
    pub embeddings: bool,
    /// How keys and values are stored.
    pub kv_type: KvType,
}

/// Stops a computation from another thread. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the computation to stop at its next step.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Makes the token usable again, after what it stopped has stopped.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// The shared flag, for code that knows nothing of the engine.
    #[must_use]
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}

/// A context over a model, with the adapters that it computes with.
#[derive(Debug)]
pub struct Context {
    pointer: NonNull<sys::llama_context>,
    // Field order is drop order, but `Drop` frees the context before either: adapters first, then the model.
    adapters: Vec<(Arc<LoraAdapter>, f32)>,
    model: Arc<Model>,
    n_ctx: usize,
    n_batch: usize,
    /// What llama.cpp shows its computation to: owned, and freed after the context.
    observed: Option<NonNull<Observed>>,
}

// SAFETY: a context may be used from any thread, by one at a time; every method that computes takes `&mut self`.
unsafe impl Send for Context {}

impl Context {
    /// Allocates a context.
    ///
    /// # Errors
    /// [`Error::Engine`] with the engine's reason, such as memory that could not be had.
    pub fn new(model: &Arc<Model>, params: &ContextParams) -> Result<Self> {
        Self::create(model, params, None)
    }

    /// As [`Self::new`], with somebody who looks at what is computed.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn observed(
        model: &Arc<Model>,
        params: &ContextParams,
        observer: Box<dyn Observer>,
    ) -> Result<Self> {
        Self::create(model, params, Some(Observed::new(observer)))
    }

    fn create(
        model: &Arc<Model>,
        params: &ContextParams,
        observed: Option<Observed>,
    ) -> Result<Self> {
        /// llama.cpp's backends are not safe to initialize from several threads at once.
        static CREATING: Mutex<()> = Mutex::new(());

        let mut raw = raw_params(params);
        let observed = observed.map(|observed| observed.install(&mut raw));
        let (pointer, reason) = log::capture(|| {
            let _one_at_a_time = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the model is alive, and stays so: the context holds an `Arc` of it.
            unsafe { sys::llama_init_from_model(model.as_ptr(), raw) }
        });
        let Some(pointer) = NonNull::new(pointer) else {
            observed.into_iter().for_each(Observed::free);
            return Err(Error::Engine(format!(
                "no context with n_ctx {} could be made: {reason}",
                params.n_ctx
            )));
        };
        // SAFETY: the context was just made.
        let (n_ctx, n_batch) = unsafe {
            let context = pointer.as_ptr();
            (sys::llama_n_ctx(context), sys::llama_n_batch(context))
        };
        Ok(Self {
            pointer,
            adapters: Vec::new(),
            model: Arc::clone(model),
            n_ctx: n_ctx as usize,
            n_batch: n_batch as usize,
            observed,
        })
    }

    /// Tokens that the KV cache holds; llama.cpp rounds up what was asked for.
    #[must_use]
    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Most tokens in one call of [`Self::decode`]; llama.cpp makes it no more than the context.
    #[cfg(feature = "serve")]
    #[must_use]
    pub fn n_batch(&self) -> usize {
        self.n_batch
    }

    /// Replaces the set of adapters. KV that was made under another set is invalid afterwards; what to keep
    /// is for the caller to decide.
    ///
    /// # Errors
    /// [`Error::Engine`] if an adapter was loaded for another model, or the engine refuses.
    pub fn set_adapters(&mut self, adapters: Vec<(Arc<LoraAdapter>, f32)>) -> Result<()> {
        if !adapters
            .iter()
            .all(|(adapter, _)| adapter.fits(&self.model))
        {
            return Err(Error::Engine(
                "an adapter was loaded for another instance of the model".to_owned(),
            ));
        }
        let mut pointers: Vec<_> = adapters
            .iter()
            .map(|(adapter, _)| adapter.as_ptr())
            .collect();
        let mut scales: Vec<f32> = adapters.iter().map(|(_, scale)| *scale).collect();
        // SAFETY: both arrays have `pointers.len()` elements and are copied by the call; every adapter belongs to
        // this context's model and is kept alive by `self.adapters` from here on.
        let status = unsafe {
            sys::llama_set_adapters_lora(
                self.pointer.as_ptr(),
                pointers.as_mut_ptr(),
                pointers.len(),
                scales.as_mut_ptr(),
            )
        };
        if status != 0 {
            return Err(Error::Engine(format!(
                "the adapters could not be set (status {status})"
            )));
        }
        self.adapters = adapters;
        Ok(())
    }

    /// Computes a batch. Its outputs are then read with [`Self::logits`] or [`Self::embedding`].
    ///
    /// # Errors
    /// [`Error::Interrupted`] if `cancel` stopped it, [`Error::ContextFull`], [`Error::Engine`]. After an error the
    /// KV of the batch's tokens is undefined: remove it.
    pub fn decode(&mut self, batch: &mut Batch, cancel: &CancelToken) -> Result<()> {
        if cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let n_tokens = batch.len();
        // llama.cpp aborts the process.
        if n_tokens > self.n_batch {
            return Err(Error::Engine(format!(
                "a batch of {n_tokens} tokens is larger than the {} of the context",
                self.n_batch
            )));
        }
        let _turn = Turn::take(self.model.n_gpu_layers() > 0);
        let (status, reason) = log::capture(|| {
            let flag: *const AtomicBool = cancel.flag();
            // SAFETY: the context is alive and borrowed mutably; the flag outlives the call, and the callback is
            // taken out again before it could dangle.
            unsafe {
                let context = self.pointer.as_ptr();
                sys::llama_set_abort_callback(context, Some(is_cancelled), flag.cast_mut().cast());
                let status = sys::llama_decode(context, batch.as_raw());
                // Backends other than the CPU compute behind the caller's back; the flag must not be read then.
                sys::llama_synchronize(context);
                sys::llama_set_abort_callback(context, None, std::ptr::null_mut());
                status
            }
        });
        match status {
            0 => Ok(()),
            1 => Err(Error::ContextFull {
                n_tokens,
                n_ctx: self.n_ctx,
            }),
            2 => Err(Error::Interrupted),
            other => Err(Error::Engine(format!("decode failed ({other}): {reason}"))),
        }
    }

    /// Logits of the `index`-th token of the last batch: one a vocabulary entry. `None` if it gave no output.
    #[must_use]
    pub fn logits(&mut self, index: usize) -> Option<&[f32]> {
        let index = i32::try_from(index).ok()?;
        // SAFETY: the context is alive; llama.cpp checks the index and answers null for one without output.
        let pointer = unsafe { sys::llama_get_logits_ith(self.pointer.as_ptr(), index) };
        // SAFETY: a non-null pointer is to `n_vocab` floats that stay until the next decode, and that needs `&mut`.
        (!pointer.is_null())
            .then(|| unsafe { std::slice::from_raw_parts(pointer, self.model.n_vocab()) })
    }

    /// Whether the model gives scores for a sequence (a cross-encoder) in place of an embedding.
    #[must_use]
    pub fn gives_scores(&self) -> bool {
        // SAFETY: the context is alive.
        let pooling = unsafe { sys::llama_pooling_type(self.pointer.as_ptr()) };
        pooling == sys::LLAMA_POOLING_TYPE_RANK
    }

    /// Pooled embedding of `sequence` in the last batch: `n_embd` floats, as the model gives them. `None` where the
    /// model gives scores.
    #[must_use]
    pub fn embedding(&mut self, sequence: u32) -> Option<&[f32]> {
        if self.gives_scores() {
            return None;
        }
        self.pooled(sequence, self.model.n_embd())
    }

    /// Scores of `sequence` in the last batch, one a class of the model. `None` where the model gives embeddings.
    #[must_use]
    pub fn scores(&mut self, sequence: u32) -> Option<&[f32]> {
        if !self.gives_scores() {
            return None;
        }
        self.pooled(sequence, self.model.n_classes())
    }

    /// The pooled output of `sequence`: `length` floats, which is `n_embd` for embeddings and the number of classes
    /// for scores.
    fn pooled(&mut self, sequence: u32, length: usize) -> Option<&[f32]> {
        let sequence = i32::try_from(sequence).ok()?;
        // SAFETY: the context is alive; llama.cpp answers null for a sequence that was not in the batch.
        let pointer = unsafe { sys::llama_get_embeddings_seq(self.pointer.as_ptr(), sequence) };
        // SAFETY: a non-null pointer is to `length` floats, which the two callers choose by how the model pools; they
        // stay until the next decode, and that needs `&mut`.
        (!pointer.is_null()).then(|| unsafe { std::slice::from_raw_parts(pointer, length) })
    }

    /// Forgets the KV of `sequence` from `position` on. False where the memory cannot be cut there (recurrent
    /// models), and then nothing was removed.
    pub fn truncate(&mut self, sequence: u32, position: usize) -> bool {
        let (Ok(sequence), Ok(position)) = (i32::try_from(sequence), i32::try_from(position))
        else {
            return false;
        };
        // SAFETY: the context is alive; a null memory (an encoder) is checked for.
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            !memory.is_null() && sys::llama_memory_seq_rm(memory, sequence, position, -1)
        }
    }

    /// Gives `to` the tokens of `from`: both then share their KV. No position may be in both.
    pub fn fork(&mut self, from: u32, to: u32) {
        let (Ok(from), Ok(to)) = (i32::try_from(from), i32::try_from(to)) else {
            return;
        };
        // SAFETY: the context is alive; a null memory (an encoder) is checked for; llama.cpp checks the sequences.
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            if !memory.is_null() {
                sys::llama_memory_seq_cp(memory, from, to, -1, -1);
            }
        }
    }

    /// Makes `to` a copy of the first `n` tokens of `from`: both then share their KV. `to` must be empty.
    #[cfg(feature = "serve")]
    pub fn fork_prefix(&mut self, from: u32, to: u32, n: usize) {
        let (Ok(from), Ok(to), Ok(n)) = (i32::try_from(from), i32::try_from(to), i32::try_from(n))
        else {
            return;
        };
        // SAFETY: the context is alive; a null memory (an encoder) is checked for; llama.cpp checks the sequences.
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            if !memory.is_null() {
                sys::llama_memory_seq_cp(memory, from, to, 0, n);
            }
        }
    }

    /// The first position of `sequence` whose KV is still there; later than 0 where a sliding window has moved on.
    #[cfg(feature = "serve")]
    #[must_use]
    pub fn first_position(&self, sequence: u32) -> Option<usize> {
        let sequence = i32::try_from(sequence).ok()?;
        // SAFETY: the context is alive; a null memory (an encoder) is checked for; an empty sequence gives -1.
        let position = unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            if memory.is_null() {
                return None;
            }
            sys::llama_memory_seq_pos_min(memory, sequence)
        };
        usize::try_from(position).ok()
    }

    /// Forgets all KV.
    pub fn clear(&mut self) {
        // SAFETY: the context is alive; a null memory (an encoder) is checked for. Without `data` the buffers keep
        // their bytes, which no cell refers to any more.
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            if !memory.is_null() {
                sys::llama_memory_clear(memory, false);
            }
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by `llama_init_from_model`, freed once, before its adapters and its model.
        unsafe { sys::llama_free(self.pointer.as_ptr()) };
        self.observed.into_iter().for_each(Observed::free);
    }
}

unsafe extern "C" fn is_cancelled(flag: *mut c_void) -> bool {
    // SAFETY: `Context::decode` sets the pointer to an `AtomicBool` that outlives the computation.
    unsafe { &*flag.cast::<AtomicBool>() }.load(Ordering::Relaxed)
}

fn raw_params(params: &ContextParams) -> sys::llama_context_params {
    let threads = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    // SAFETY: a plain function that fills a struct by value.
    let mut raw = unsafe { sys::llama_context_default_params() };
    raw.n_ctx = params.n_ctx;
    raw.n_batch = params.n_batch;
    raw.n_ubatch = params.n_ubatch;
    raw.n_seq_max = params.n_seq_max;
    raw.n_threads = threads(params.n_threads);
    raw.n_threads_batch = threads(params.n_threads_batch);
    raw.embeddings = params.embeddings;
    raw.type_k = params.kv_type.of_ggml();
    raw.type_v = params.kv_type.of_ggml();
    // One pool of cells for all sequences: a copied sequence shares its cells with the original.
    raw.kv_unified = params.n_seq_max > 1;
    raw.no_perf = true;
    raw
}
