//! A buffer for stored values, aligned as ggml's block structs ask, used again for the next tensor.

/// Bytes of ggml blocks, aligned to 4.
#[derive(Debug, Default)]
pub struct Blocks {
    words: Vec<u32>,
    n_bytes: usize,
}

impl Blocks {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for `n_bytes`; what they hold is left open.
    pub(super) fn resize(&mut self, n_bytes: usize) {
        self.words.resize(n_bytes.div_ceil(4), 0);
        self.n_bytes = n_bytes;
    }

    /// The stored bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `words` holds at least `n_bytes` initialized bytes, and any bytes are `u8`s.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.n_bytes) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; any bytes are `u32`s too, and `self` is borrowed for as long.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.n_bytes) }
    }
}
