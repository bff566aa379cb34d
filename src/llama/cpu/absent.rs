//! Where there are no steps of our own: llama.cpp computes everything.

/// Largest rank of an adapter that is computed here.
pub const MAX_ADAPTER_RANK: u32 = 0;

/// Nothing is added to the backend.
pub(super) const fn plug_in() -> bool {
    false
}

/// Nothing is packed here, and llama.cpp takes other ways for one token than for many.
#[must_use]
pub const fn has_kernels() -> bool {
    false
}

/// Everybody computes whenever they like.
pub(super) struct Turn;

impl Turn {
    /// Waits for nobody.
    pub(super) const fn take(_uses_gpu: bool) -> Self {
        Self
    }
}
