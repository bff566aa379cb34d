//! What a GGUF file may ask for before it is believed. Each limit is far above every real model
//! and far below what would hurt.

/// Tensors in a file. The largest published models have a few thousand, an adapter for one twice
/// that; each costs about a hundred bytes here and several hundred in llama.cpp.
pub const MAX_TENSORS: u64 = 1 << 16;

/// Metadata keys in a file. Real files have about forty, merged experiments a few hundred.
pub const MAX_KEYS: u64 = 1 << 16;

/// Bytes of a key: the GGUF specification's own bound.
pub const MAX_KEY_BYTES: u64 = (1 << 16) - 1;

/// Bytes of a string. Chat templates are the longest, tens of kilobytes.
pub const MAX_STRING_BYTES: u64 = 1 << 24;

/// Elements of an array. Vocabularies and their merges are the longest, below a million.
pub const MAX_ARRAY_ELEMENTS: u64 = 1 << 24;

/// Dimensions of a tensor: ggml's `GGML_MAX_DIMS`.
pub const MAX_DIMS: u32 = 4;

/// Bytes of a tensor's name: ggml's `GGML_MAX_NAME` less its terminating zero. Longer names would
/// be cut and could then collide.
pub const MAX_TENSOR_NAME_BYTES: u64 = 63;

/// Smallest alignment of tensor data: llama.cpp asserts it on the address of a mapped buffer.
pub const MIN_ALIGNMENT: u32 = 32;

/// Largest alignment: a generous page. More would only waste space.
pub const MAX_ALIGNMENT: u32 = 1 << 16;

/// The alignment of files that state none.
pub const DEFAULT_ALIGNMENT: u32 = 32;
