//! A model: a GGUF file, mapped read-only, with its vocabulary.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_sys_2 as sys;

use sys::llama_model_kv_override__bindgen_ty_1 as Value;

use super::backend::backend;
use super::device::GpuLayers;
use super::log;
use crate::error::{Error, Result};

/// Longest text that is tokenized in one call, in bytes. llama.cpp counts bytes and tokens in `i32`, and the
/// binding panics beyond that; no context holds a text anywhere near this long.
const MAX_TEXT_BYTES: usize = 256 << 20;

/// Entries of a vocabulary from which on it is read beside the weights: reading 49,152 takes as long as packing the weights
/// of a small model.
const WORTH_A_THREAD: usize = 4096;

/// The list of devices where layers are not to be offloaded: just its end. Without it llama.cpp keeps weights where a GPU can
/// read them, in an order that suits no processor, and computes large batches there all the same.
const NO_DEVICES: [sys::ggml_backend_dev_t; 1] = [std::ptr::null_mut()];

/// What is known of a file's vocabulary before it is read.
#[derive(Debug, Clone, Copy)]
pub struct VocabularySize<'a> {
    /// `general.architecture`, which keys of the file begin with.
    pub architecture: &'a str,
    /// Entries.
    pub n_tokens: usize,
}

/// A loaded model. Immutable: share it with `Arc`.
#[derive(Debug)]
pub struct Model {
    /// The weights; with nameless tokens where the vocabulary was read beside them.
    model: LlamaModel,
    /// The vocabulary, where it is apart.
    vocabulary: Option<LlamaModel>,
    n_gpu_layers: u32,
    // llama.cpp keeps its adapters in a set in the model, which it does not lock.
    adapters: Mutex<()>,
}

impl Model {
    /// Maps `path` and reads its metadata. With `mapped`, weights are computed with where they lie in the file; else
    /// types that have faster kernels for it are copied into an order of their own.
    ///
    /// The file should have passed [`unforget_quant::gguf::Gguf::open`] before: a malformed one can make
    /// llama.cpp abort the process.
    ///
    /// # Errors
    /// [`Error::ModelLoad`] with the engine's reason; [`Error::NoDevice`].
    pub fn load(
        path: &Path,
        gpu_layers: GpuLayers,
        mapped: bool,
        vocabulary: VocabularySize<'_>,
    ) -> Result<Self> {
        backend()?;
        let fail = |reason: String| Error::ModelLoad {
            path: path.to_owned(),
            reason,
        };
        let c_path = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| fail("the path contains a NUL byte".to_owned()))?;
        // SAFETY: a plain function that fills a struct by value.
        let mut raw = unsafe { sys::llama_model_default_params() };
        raw.load_mode = sys::LLAMA_LOAD_MODE_MMAP;
        raw.use_extra_bufts = !mapped;
        let n_gpu_layers = gpu_layers.resolve()?;
        // llama.cpp's own "all" is negative; a count is clamped to the layers that there are.
        raw.n_gpu_layers = i32::try_from(n_gpu_layers).unwrap_or(i32::MAX);
        let mut no_devices = NO_DEVICES;
        if n_gpu_layers == 0 {
            raw.devices = no_devices.as_mut_ptr();
        }
        let (model, vocabulary) = match without_vocabulary(vocabulary) {
            Some(overrides) => {
                raw.kv_overrides = overrides.as_ptr();
                std::thread::scope(|scope| {
                    let vocabulary = scope.spawn(|| load_vocabulary(&c_path));
                    let model = load_from(&c_path, raw);
                    let vocabulary = vocabulary.join().unwrap_or_else(|_| Err(String::new()));
                    (model, vocabulary.map(Some))
                })
            }
            None => (load_from(&c_path, raw), Ok(None)),
        };
        Ok(Self {
            model: model.map_err(fail)?,
            vocabulary: vocabulary.map_err(fail)?,
            n_gpu_layers,
            adapters: Mutex::new(()),
        })
    }

    /// Layers that were offloaded: 0, or what was asked for, which may be more than there are.
    #[must_use]
    pub fn n_gpu_layers(&self) -> u32 {
        self.n_gpu_layers
    }

    /// Length of the context that the model was trained with, in tokens.
    #[must_use]
    pub fn n_ctx_train(&self) -> usize {
        self.model.n_ctx_train() as usize
    }

    /// Length of a hidden state, and of an embedding.
    #[must_use]
    pub fn n_embd(&self) -> usize {
        usize::try_from(self.model.n_embd()).unwrap_or(0)
    }

    /// Number of tokens in the vocabulary, and of logits a position.
    #[must_use]
    pub fn n_vocab(&self) -> usize {
        usize::try_from(self.vocabulary().n_vocab()).unwrap_or(0)
    }

    /// Number of parameters.
    #[must_use]
    pub fn n_params(&self) -> u64 {
        self.model.n_params()
    }

    /// Bytes of all tensors.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.model.size()
    }

    /// Splits `text` into tokens. `special` adds the tokens that the model wants around a text (BOS, or CLS
    /// and SEP) and reads control tokens written out in the text, as a rendered chat template has them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the text is longer than 256 MiB, [`Error::Engine`] if the file has no vocabulary.
    pub fn tokenize(
        &self,
        text: &str,
        add_special: bool,
        parse_special: bool,
    ) -> Result<Vec<LlamaToken>> {
        if !self.has_names() {
            return Err(Error::Engine(
                "the model's file has no vocabulary: it cannot read or write text".to_owned(),
            ));
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::InvalidArgument {
                what: "text",
                value: format!("{} bytes", text.len()),
                expected: format!("at most {MAX_TEXT_BYTES} bytes"),
            });
        }
        Ok(self
            .vocabulary()
            .vocab()
            .tokenize(text.as_bytes(), add_special, parse_special))
    }

    /// Whether `token` is of the vocabulary. llama.cpp throws at others, which would end the process: whatever looks a
    /// token up asks this first.
    #[must_use]
    pub fn knows(&self, token: LlamaToken) -> bool {
        usize::try_from(token.0).is_ok_and(|token| token < self.n_vocab())
    }

    /// Whether tokens stand for text; llama.cpp aborts the process where one is looked up that does not.
    fn has_names(&self) -> bool {
        // SAFETY: the vocabulary is alive, and lives as long as its model.
        let kind = unsafe {
            sys::llama_vocab_type(sys::llama_model_get_vocab(pointer_of(self.vocabulary())))
        };
        kind != sys::LLAMA_VOCAB_TYPE_NONE
    }

    /// Appends the bytes of `token` to `bytes`; a token can end in the middle of a UTF-8 character. One that is not of
    /// the vocabulary has none.
    pub fn append_piece(&self, token: LlamaToken, bytes: &mut Vec<u8>) {
        if !self.knows(token) || !self.has_names() {
            return;
        }
        // Control tokens are not text: they are left out.
        self.vocabulary()
            .vocab()
            .token_to_piece_into(token, bytes, false, None);
    }

    /// The text of a token as the vocabulary spells it, such as `<|im_end|>`.
    #[must_use]
    pub fn token_text(&self, token: LlamaToken) -> Option<String> {
        if !self.knows(token) || !self.has_names() {
            return None;
        }
        let vocab = self.vocabulary().vocab();
        Some(vocab.text(token)?.to_string_lossy().into_owned())
    }

    /// Whether text is read as `token`, which is of the vocabulary, only where control tokens are recognised: control tokens,
    /// and the one for what is unknown.
    #[must_use]
    pub fn is_only_markup(&self, token: LlamaToken) -> bool {
        const ONLY_MARKUP: sys::llama_token_attr =
            sys::LLAMA_TOKEN_ATTR_CONTROL | sys::LLAMA_TOKEN_ATTR_UNKNOWN;
        // SAFETY: the vocabulary is alive, and lives as long as its model; the token is of it.
        let attributes = unsafe {
            let vocabulary = sys::llama_model_get_vocab(pointer_of(self.vocabulary()));
            sys::llama_vocab_get_attr(vocabulary, token.0)
        };
        attributes & ONLY_MARKUP != 0
    }

    /// Whether `token` ends an answer.
    #[must_use]
    pub fn is_end_of_generation(&self, token: LlamaToken) -> bool {
        self.vocabulary().vocab().is_eog(token)
    }

    /// Whether part of its memory is a state that cannot be cut at a position.
    #[cfg(feature = "serve")]
    #[must_use]
    pub fn is_recurrent(&self) -> bool {
        // SAFETY: the model is alive, and both functions only read it.
        unsafe {
            sys::llama_model_is_recurrent(self.as_ptr())
                || sys::llama_model_is_hybrid(self.as_ptr())
        }
    }

    /// Whether all of its memory is KV that can be cut at any position and copied: no recurrent state, and no window that
    /// lets go of what is behind it.
    #[must_use]
    pub fn has_plain_memory(&self) -> bool {
        // SAFETY: the model is alive, and the functions only read it.
        unsafe {
            !sys::llama_model_is_recurrent(self.as_ptr())
                && !sys::llama_model_is_hybrid(self.as_ptr())
                && !sys::llama_model_is_diffusion(self.as_ptr())
                && sys::llama_model_n_swa(self.as_ptr()) == 0
        }
    }

    /// Token that begins a text, if the model has one.
    #[must_use]
    pub fn bos(&self) -> Option<LlamaToken> {
        some(self.vocabulary().vocab().bos())
    }

    /// Token that ends a text, if the model has one.
    #[must_use]
    pub fn eos(&self) -> Option<LlamaToken> {
        some(self.vocabulary().vocab().eos())
    }

    /// Number of scores that a cross-encoder gives for a sequence.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        // SAFETY: the model is alive.
        let n = unsafe { sys::llama_model_n_cls_out(self.as_ptr()) };
        n as usize
    }

    /// Token to put between the two texts of a pair, beside what ends the first one: XLM-RoBERTa writes two, BERT one.
    #[must_use]
    pub fn second_separator(&self) -> Option<LlamaToken> {
        // SAFETY: the model is alive, and its vocabulary lives as long.
        let (ends, separates, token) = unsafe {
            let vocab = sys::llama_model_get_vocab(pointer_of(self.vocabulary()));
            (
                sys::llama_vocab_get_add_eos(vocab),
                sys::llama_vocab_get_add_sep(vocab),
                sys::llama_vocab_sep(vocab),
            )
        };
        some(LlamaToken(token)).filter(|_| ends && separates)
    }

    /// What tokens are looked up in.
    pub(super) fn vocabulary(&self) -> &LlamaModel {
        self.vocabulary.as_ref().unwrap_or(&self.model)
    }

    pub(super) fn as_ptr(&self) -> *mut sys::llama_model {
        pointer_of(&self.model)
    }

    pub(super) fn lock_adapters(&self) -> MutexGuard<'_, ()> {
        // The lock guards no data of ours, so a poisoned one is as good as new.
        self.adapters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pointer_of(model: &LlamaModel) -> *mut sys::llama_model {
    // SAFETY: `LlamaModel` is `repr(transparent)` over a non-null pointer to `llama_model`; reading it copies the pointer
    // and nothing more.
    unsafe { *(&raw const *model).cast::<*mut sys::llama_model>() }
}

/// The model, or the engine's reason.
fn load_from(
    path: &CStr,
    params: sys::llama_model_params,
) -> std::result::Result<LlamaModel, String> {
    let (pointer, reason) = log::capture(|| {
        // SAFETY: the backend is up, the path is NUL-terminated, and what the parameters point at outlives the call.
        unsafe { sys::llama_model_load_from_file(path.as_ptr(), params) }
    });
    let pointer = NonNull::new(pointer).ok_or(reason)?;
    // SAFETY: `LlamaModel` is `repr(transparent)` over a non-null pointer to `llama_model`, which it frees once. Its own
    // loader cannot be told `use_extra_bufts`.
    Ok(unsafe { std::mem::transmute_copy::<NonNull<sys::llama_model>, LlamaModel>(&pointer) })
}

/// The vocabulary alone.
fn load_vocabulary(path: &CStr) -> std::result::Result<LlamaModel, String> {
    // SAFETY: a plain function that fills a struct by value.
    let mut raw = unsafe { sys::llama_model_default_params() };
    raw.vocab_only = true;
    let mut no_devices = NO_DEVICES;
    raw.devices = no_devices.as_mut_ptr();
    load_from(path, raw)
}

/// What tells llama.cpp's loader that a file has so many tokens and no names for them: reading these is the longest part of
/// loading a small model, and is done beside it. `None` where that is not worth a thread.
fn without_vocabulary(size: VocabularySize<'_>) -> Option<[sys::llama_model_kv_override; 3]> {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    if size.n_tokens < WORTH_A_THREAD || n_cores < 2 {
        return None;
    }
    let n_tokens = Value {
        val_i64: i64::try_from(size.n_tokens).ok()?,
    };
    let none = Value {
        val_str: characters("none")?,
    };
    let (number, text) = (
        sys::LLAMA_KV_OVERRIDE_TYPE_INT,
        sys::LLAMA_KV_OVERRIDE_TYPE_STR,
    );
    let replace = |tag, key: &str, value| {
        Some(sys::llama_model_kv_override {
            tag,
            key: characters(key)?,
            __bindgen_anon_1: value,
        })
    };
    Some([
        replace(text, "tokenizer.ggml.model", none)?,
        replace(
            number,
            &format!("{}.vocab_size", size.architecture),
            n_tokens,
        )?,
        // An empty key ends the list.
        replace(number, "", Value { val_i64: 0 })?,
    ])
}

/// Text in a field of C; `None` where it is too long.
fn characters(text: &str) -> Option<[c_char; 128]> {
    let mut field = [0; 128];
    if text.len() >= field.len() {
        return None;
    }
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = c_char::from_ne_bytes([from]);
    }
    Some(field)
}

/// llama.cpp says "no such token" with -1.
fn some(token: LlamaToken) -> Option<LlamaToken> {
    (token.0 >= 0).then_some(token)
}
