//! What `unforget list` tells of models and adapters, as data.

use serde::Serialize;

use super::store::{AdapterRecord, ModelRecord, Registry};
use crate::Result;

/// Everything installed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listing {
    /// Models by name.
    pub models: Vec<ModelListing>,
    /// Adapters by name.
    pub adapters: Vec<AdapterListing>,
}

/// A model, and whether it is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelListing {
    /// The registry's row; its fields stand beside `missing` in JSON.
    #[serde(flatten)]
    pub model: ModelRecord,
    /// Whether its file is gone.
    pub missing: bool,
    /// Layouts that `tune` found for it, one a machine.
    pub tuned: Vec<String>,
}

/// An adapter, whether it is still there, and the name of its base.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdapterListing {
    /// The registry's row; its fields stand beside the others in JSON.
    #[serde(flatten)]
    pub adapter: AdapterRecord,
    /// The name of its base, where that is installed.
    pub base: Option<String>,
    /// Whether its file is gone.
    pub missing: bool,
}

impl Listing {
    /// Reads what is installed.
    ///
    /// # Errors
    /// [`crate::Error::Store`], [`crate::Error::Damaged`].
    pub fn read(registry: &Registry) -> Result<Self> {
        let models = registry.models()?;
        let adapters = registry
            .adapters()?
            .into_iter()
            .map(|adapter| AdapterListing {
                base: models
                    .iter()
                    .find(|model| model.sha256 == adapter.base_sha256)
                    .map(|model| model.name.clone()),
                missing: !adapter.path.is_file(),
                adapter,
            });
        let adapters = adapters.collect();
        let models = models.into_iter().map(|model| {
            let tuned = registry.tuned_of(model.sha256)?;
            Ok(ModelListing {
                missing: !model.path.is_file(),
                tuned: tuned.into_iter().map(|record| record.layout).collect(),
                model,
            })
        });
        Ok(Self {
            adapters,
            models: models.collect::<Result<_>>()?,
        })
    }
}
