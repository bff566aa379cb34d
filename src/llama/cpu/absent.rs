//! Where there are no steps of our own: llama.cpp computes everything.

/// Largest rank of an adapter that is computed here.
pub const MAX_ADAPTER_RANK: u32 = 0;

/// Nothing is added to the backend.
pub(super) const fn plug_in() -> bool {
    false
}

/// Nothing is packed here.
#[must_use]
pub const fn packs_weights() -> bool {
    false
}

/// llama.cpp takes other ways for one token than for many.
#[must_use]
pub const fn tokens_are_computed_alone() -> bool {
    false
}
