//! Registering a file where it lies: nothing is copied, and nothing of it is ever changed.

use std::path::Path;

use fs_err as fs;

use super::describe::describe;
use super::progress::{Phase, Watch};
use super::request::{PullRequest, PullSource};
use super::{Installed, refuse_taken_name};
use crate::registry::name::from_file_name;
use crate::registry::store::{ModelRecord, Registry};
use crate::{Error, Result};

pub(super) fn register(
    path: &Path,
    request: &PullRequest,
    registry: &Registry,
    watch: &mut Watch<'_>,
) -> Result<Installed> {
    let path = fs::canonicalize(path)?;
    let metadata = fs::metadata(&path)?;
    if !metadata.is_file() {
        return Err(invalid(&path, "a GGUF file"));
    }
    let (kind, architecture) = describe(&path)?;
    let file_name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = request
        .name
        .clone()
        .or_else(|| from_file_name(&file_name))
        .ok_or_else(|| {
            invalid(
                &path,
                "a file name with letters or digits, or a name to register it under",
            )
        })?;
    let origin = PullSource::Local(path.clone()).to_string();
    refuse_taken_name(registry, &name, &origin)?;
    let sha256 = registry.sha256_watched(&path, |done, total| {
        watch.step(Phase::Verifying, done, Some(total))
    })?;
    let known = registry
        .installed(&name)?
        .filter(|model| (model.sha256, &model.source) == (sha256, &origin));
    if let Some(model) = known {
        return Ok(Installed {
            model,
            already: true,
        });
    }
    registry.add_model(&ModelRecord {
        name: name.clone(),
        kind,
        path,
        sha256,
        bytes: metadata.len(),
        architecture,
        source: origin,
        licence: None,
        added_at: 0,
    })?;
    Ok(Installed {
        model: registry.model(&name)?,
        already: false,
    })
}

fn invalid(path: &Path, expected: &str) -> Error {
    Error::InvalidArgument {
        what: "path",
        value: path.display().to_string(),
        expected: expected.to_owned(),
    }
}
