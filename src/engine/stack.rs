//! A stack of adapters with their scales, and the fingerprint that its results are cached under.

use sha2::{Digest, Sha256};

use super::adapter::Adapter;
use crate::error::{Error, Result};
use crate::llama;

/// Largest magnitude of a scale. A LoRA at a hundred times its trained strength is a typing mistake, and
/// overflows half-precision activations.
const MAX_SCALE: f32 = 100.0;

/// Adapters that are applied together, each with its scale. Empty is the base.
#[derive(Debug, Clone, Default)]
pub struct AdapterStack(Vec<(Adapter, f32)>);

/// What a stack computes, as a key: content, scales and layer profiles, not names and not order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct StackFingerprint([u8; 32]);

impl StackFingerprint {
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl AdapterStack {
    /// The base alone.
    #[must_use]
    pub fn base() -> Self {
        Self::default()
    }

    /// Adds an adapter.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the scale is not finite or beyond ±100, or the same content is there already.
    pub fn push(&mut self, adapter: Adapter, scale: f32) -> Result<()> {
        let fail = |expected: String| {
            Err(Error::InvalidArgument {
                what: "adapter",
                value: format!("{}={scale}", adapter.name()),
                expected,
            })
        };
        if !scale.is_finite() || scale.abs() > MAX_SCALE {
            return fail(format!("a scale between -{MAX_SCALE} and {MAX_SCALE}"));
        }
        if let Some((same, _)) = self
            .0
            .iter()
            .find(|(other, _)| other.sha256() == adapter.sha256())
        {
            let name = same.name().to_owned();
            return fail(format!("each adapter once; '{name}' has the same content"));
        }
        self.0.push((adapter, scale));
        Ok(())
    }

    /// The adapters and their scales, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&Adapter, f32)> {
        self.0.iter().map(|(adapter, scale)| (adapter, *scale))
    }

    /// Whether this is the base alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The adapters that have an effect. An adapter at scale 0 is the base, exactly.
    pub(super) fn effective(&self) -> impl Iterator<Item = &(Adapter, f32)> {
        self.0.iter().filter(|(_, scale)| *scale != 0.0)
    }

    /// Whether each token's numbers are the same whatever it is computed together with.
    pub(super) fn computes_tokens_alone(&self) -> bool {
        !self
            .effective()
            .any(|(adapter, _)| adapter.rank() > llama::MAX_ADAPTER_RANK)
    }

    pub(super) fn fingerprint(&self) -> StackFingerprint {
        let mut parts: Vec<_> = self
            .effective()
            .map(|(adapter, scale)| {
                let first = adapter.profile().first();
                (adapter.sha256(), scale.to_bits(), first.to_bits())
            })
            .collect();
        if parts.is_empty() {
            return StackFingerprint::default();
        }
        parts.sort_unstable();
        let mut hasher = Sha256::new();
        for (sha256, scale, first) in parts {
            hasher.update(sha256.as_bytes());
            hasher.update(scale.to_le_bytes());
            hasher.update(first.to_le_bytes());
        }
        StackFingerprint(hasher.finalize().into())
    }
}
