//! Fetching a model: from a name, a hub repository, an address or a path to a verified, registered GGUF.
//!
//! The steps are files here: [`request`] understands what is asked for, [`plan`] turns it into files with sources,
//! [`install`] fetches, verifies and converts them, [`local`] registers a file in place. What was fetched before is
//! not fetched again, and what was interrupted goes on: see [`download`] and [`wheel`].

mod backoff;
mod client;
mod content_range;
mod describe;
mod download;
mod hub;
mod install;
mod local;
mod lock;
mod part;
mod pip;
mod plan;
mod progress;
mod request;
mod token;
mod wheel;

use std::path::Path;
use std::sync::atomic::AtomicBool;

pub use download::MAX_DOWNLOAD;
pub use hub::{DEFAULT_HUB, HubAccess};
pub use progress::{Phase, PullProgress};
pub use request::{HubRequest, PullRequest, PullSource, UrlRequest};

use super::home::Home;
use super::store::{ModelRecord, Registry};
use crate::{Error, Result};
use plan::Plan;
use progress::Watch;

/// What a pull left installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The registered model.
    pub model: ModelRecord,
    /// Whether it was there already, so that nothing was fetched.
    pub already: bool,
}

/// Makes a model available: returns at once where it is installed and intact, otherwise fetches, verifies, converts
/// (by `convert`, which is given the folder of fetched files and the GGUF to write) and registers it.
///
/// Setting `cancel` stops it within a fraction of a second; `convert` is not interrupted. What was fetched until then,
/// or until the process was killed, is kept, and the next pull goes on from there.
///
/// # Errors
/// [`Error::UnknownName`], [`Error::InvalidArgument`] for a request that cannot be followed; [`Error::Fetch`],
/// [`Error::Checksum`], [`Error::DiskFull`], [`Error::Interrupted`] while fetching; whatever `convert` returns.
pub fn pull(
    request: &PullRequest,
    home: &Home,
    convert: &dyn Fn(&Path, &Path) -> Result<()>,
    progress: &mut dyn FnMut(PullProgress),
    cancel: &AtomicBool,
) -> Result<Installed> {
    let registry = Registry::open(home)?;
    let mut watch = Watch::new(progress, cancel);
    if let PullSource::Local(path) = &request.source {
        return local::register(path, request, &registry, &mut watch);
    }
    let origin = request.source.to_string();
    if let Some(model) = intact(&registry, &origin, request.name.as_deref(), &mut watch)? {
        return Ok(Installed {
            model,
            already: true,
        });
    }
    let plan = Plan::of(request, origin, &mut watch)?;
    let _lock = lock::acquire(home, &plan.name, &watch)?;
    // Whoever held the lock may have done the work.
    if let Some(model) = intact(&registry, &plan.origin, Some(&plan.name), &mut watch)? {
        return Ok(Installed {
            model,
            already: true,
        });
    }
    refuse_taken_name(&registry, &plan.name, &plan.origin)?;
    let model = describe::complete(install::install(
        &plan, home, &registry, convert, &mut watch,
    )?);
    registry.add_model(&model)?;
    Ok(Installed {
        model: registry.model(&plan.name)?,
        already: false,
    })
}

/// The installed model from `origin` (and of `name`, where one is given) whose file is still what was installed.
fn intact(
    registry: &Registry,
    origin: &str,
    name: Option<&str>,
    watch: &mut Watch<'_>,
) -> Result<Option<ModelRecord>> {
    for model in registry.models_from(origin)? {
        if name.is_some_and(|name| name != model.name) {
            continue;
        }
        match fs_err::metadata(&model.path) {
            Ok(metadata) if metadata.len() == model.bytes => {}
            _ => continue,
        }
        let hash = registry.sha256_watched(&model.path, |done, total| {
            watch.step(Phase::Verifying, done, Some(total))
        })?;
        if hash == model.sha256 {
            return Ok(Some(model));
        }
        tracing::warn!(model = model.name, path = %model.path.display(), "installed file has changed; pulling it again");
    }
    Ok(None)
}

/// A name stays with what it was pulled from, unless that file is gone, or it is another edition of a catalog entry.
fn refuse_taken_name(registry: &Registry, name: &str, origin: &str) -> Result<()> {
    let Some(model) = registry.installed(name)? else {
        return Ok(());
    };
    let entry = |origin: &str| {
        origin
            .split_once('@')
            .map_or(origin, |(entry, _)| entry)
            .to_owned()
    };
    let catalog_edition = origin.starts_with("catalog:") && entry(origin) == entry(&model.source);
    if model.source == origin || catalog_edition || !model.path.exists() {
        return Ok(());
    }
    Err(Error::InvalidArgument {
        what: "name",
        value: name.to_owned(),
        expected: format!(
            "a name that is free: this one belongs to {}; give another one",
            model.source
        ),
    })
}
