//! The collections and the embedder, opened when they are first asked for and kept open.
//!
//! Searching uses what is kept; adding files opens the collection for itself, since a reader never waits for a writer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::{ApiError, ApiResult};
use crate::collections;
use crate::engine::{CancelToken, Embedder, GpuLayers, Model, ModelOptions, SessionOptions};
use crate::error::{Error, Result};
use crate::rag::{Collection, Embed, EngineEmbedder};
use crate::registry::{self, Catalog, Home, ModelKind, Registry};

/// Collections that are kept open. Each keeps its vectors in memory: 1.5 kB a passage.
const MAX_OPEN: usize = 8;

/// Documents and what embeds them.
#[derive(Debug)]
pub(super) struct Library {
    home: Home,
    /// Of the embedder.
    gpu_layers: GpuLayers,
    embedder: Mutex<Option<EngineEmbedder>>,
    open: Mutex<HashMap<String, Collection>>,
    /// Held while files are added: one writer at a time, as the collections themselves have it.
    writing: Mutex<()>,
}

impl Library {
    pub(super) fn new(home: Home, gpu_layers: GpuLayers) -> Self {
        Self {
            home,
            gpu_layers,
            embedder: Mutex::default(),
            open: Mutex::default(),
            writing: Mutex::default(),
        }
    }

    /// Names of the collections that there are.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        collections::names(&self.home)
    }

    /// Folder of a collection.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        collections::folder(&self.home, name)
    }

    /// Opens a collection that must be there.
    pub(super) fn open(&self, name: &str) -> Result<Collection> {
        collections::open(&self.home, name)
    }

    /// Makes a collection. False if it was there.
    pub(super) fn create(&self, name: &str) -> ApiResult<bool> {
        if collections::exists(&self.home, name)? {
            return Ok(false);
        }
        let folder = self.folder(name)?;
        self.home.create(&self.home.collections())?;
        self.with_embedder(|embedder| {
            Collection::create_or_open(&folder, embedder.id())?;
            Ok(true)
        })
    }

    /// Runs `work` on a collection that is kept open, with the embedder.
    pub(super) fn read<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Collection, &mut EngineEmbedder) -> ApiResult<T>,
    ) -> ApiResult<T> {
        let mut collection = match lock(&self.open).remove(name) {
            // Its folder may be gone meanwhile.
            Some(open) if collections::exists(&self.home, name)? => open,
            _ => self.open(name)?,
        };
        let result = self.with_embedder(|embedder| work(&mut collection, embedder));
        let mut open = lock(&self.open);
        if open.len() < MAX_OPEN {
            open.insert(name.to_owned(), collection);
        } else {
            open.clear();
        }
        result
    }

    /// Embeds texts; returns the vectors, the tokens used and the model's name.
    pub(super) fn embed(
        &self,
        model: Option<&str>,
        texts: &[&str],
    ) -> ApiResult<(Vec<Vec<f32>>, usize, String)> {
        self.with_embedder(|embedder| {
            let name = embedder.id().name.clone();
            if let Some(asked) = model
                && asked != name
            {
                return Err(ApiError {
                    param: Some("model".to_owned()),
                    ..ApiError::from(Error::UnknownName {
                        what: "model",
                        name: asked.to_owned(),
                        nearest: Some(name),
                    })
                });
            }
            let most = embedder.max_tokens();
            let mut n_tokens = 0;
            for (index, text) in texts.iter().enumerate() {
                // What is around a text is counted by the model itself.
                let n = embedder.count_tokens(text) + 2;
                if n > most {
                    return Err(ApiError::invalid(
                        "input",
                        format!("text {index} has {n} tokens; '{name}' reads {most}"),
                    ));
                }
                n_tokens += n;
            }
            Ok((embedder.embed(texts)?, n_tokens, name))
        })
    }

    /// The embedder's name, if one is installed.
    pub(super) fn embedder_name(&self) -> Option<String> {
        let registry = Registry::open(&self.home).ok()?;
        Some(installed_embedder(&registry).ok()?.name)
    }

    /// Runs `work` with the embedder that the server keeps.
    pub(super) fn with_embedder<T>(
        &self,
        work: impl FnOnce(&mut EngineEmbedder) -> ApiResult<T>,
    ) -> ApiResult<T> {
        let mut kept = lock(&self.embedder);
        if kept.is_none() {
            *kept = Some(self.new_embedder(CancelToken::default())?);
        }
        match kept.as_mut() {
            Some(embedder) => work(embedder),
            None => Err(ApiError::internal("the embedder is gone")),
        }
    }

    /// An embedder of its own, for work that takes long.
    pub(super) fn new_embedder(&self, cancel: CancelToken) -> Result<EngineEmbedder> {
        let registry = Registry::open(&self.home)?;
        let record = installed_embedder(&registry)?;
        registry.verify_model(&record)?;
        let model = Model::open(
            &record.path,
            ModelOptions {
                name: Some(record.name),
                sha256: Some(record.sha256),
                gpu_layers: self.gpu_layers,
                ..ModelOptions::default()
            },
        )?;
        EngineEmbedder::new(Embedder::new(&model, &SessionOptions::default())?, cancel)
    }

    /// The right to add files; whoever else wants to waits.
    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        lock(&self.writing)
    }
}

/// The catalog's default embedder, or else the only one installed.
fn installed_embedder(registry: &Registry) -> Result<registry::ModelRecord> {
    let default = Catalog::load()?.default_embedder().name.clone();
    let mut embedders = registry.models()?;
    embedders.retain(|model| model.kind == ModelKind::Embedder);
    let at = embedders
        .iter()
        .position(|model| model.name == default)
        .unwrap_or(0);
    if at < embedders.len() {
        return Ok(embedders.swap_remove(at));
    }
    Err(Error::NothingInstalled {
        what: "embedder",
        advice: format!("fetch the default one with `unforget pull {default}`"),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
