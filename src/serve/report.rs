//! What an answer tells of how it was made: the model, the adapters with the guard's state, and warnings.

use serde::Serialize;

use crate::engine::{ContentHash, LayerProfile};
use crate::registry::AdapterState;

/// Stands under `unforget` in every answer.
#[derive(Debug, Clone, Serialize)]
pub(super) struct AnswerReport {
    pub(super) model: ModelUse,
    pub(super) adapters: Vec<AdapterUse>,
    /// What should not be missed, such as an adapter that was never measured.
    pub(super) warnings: Vec<String>,
}

/// The base.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ModelUse {
    pub(super) name: String,
    pub(super) sha256: ContentHash,
}

/// An adapter on it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct AdapterUse {
    pub(super) name: String,
    pub(super) sha256: ContentHash,
    pub(super) scale: f32,
    /// How the scale is spread over the layers.
    pub(super) profile: LayerProfile,
    pub(super) state: AdapterState,
    /// Whether it is used against what the guard says.
    pub(super) forced: bool,
}
