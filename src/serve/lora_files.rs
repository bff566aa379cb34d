//! vLLM's `/v1/load_lora_adapter` and `/v1/unload_lora_adapter`: adapters from files, while the server runs.
//!
//! Off unless a folder is given, and confined to it. A name is changed only by who knows what is under it now: by
//! content, not by name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::body::JsonBody;
use super::error::{ApiError, ApiResult};
use crate::engine::{Adapter, ContentHash};
use crate::registry::check_name;

#[derive(Debug, Deserialize)]
pub(super) struct Load {
    lora_name: String,
    /// Inside the server's folder.
    lora_path: String,
    /// What the file has to be.
    sha256: Option<ContentHash>,
    /// What is loaded under the name now, where it is to be replaced.
    replaces: Option<ContentHash>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Unload {
    lora_name: String,
    /// What is loaded under the name now.
    sha256: Option<ContentHash>,
}

#[derive(Debug, Serialize)]
pub(super) struct Loaded {
    name: String,
    sha256: ContentHash,
    /// What stood under the name before.
    replaced: Option<ContentHash>,
}

pub(super) async fn load(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<Load>,
) -> ApiResult<Json<Loaded>> {
    app.blocking(move |app| {
        let path = confined(folder(app)?, &request.lora_path)?;
        check_name("lora_name", &request.lora_name)?;
        let adapter = Adapter::load(app.model(), &path, &request.lora_name)?;
        let sha256 = adapter.sha256();
        if request.sha256.is_some_and(|wanted| wanted != sha256) {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "content_changed",
                format!("the file's content is {sha256}, not what 'sha256' says"),
            ));
        }
        let replaced = app
            .adapters()
            .put(&request.lora_name, adapter, request.replaces)?;
        if let Some(old) = replaced {
            app.scheduler().unload(old)?;
        }
        Ok(Json(Loaded {
            name: request.lora_name,
            sha256,
            replaced,
        }))
    })
    .await
}

pub(super) async fn unload(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<Unload>,
) -> ApiResult<Json<serde_json::Value>> {
    app.blocking(move |app| {
        folder(app)?;
        let sha256 = app.adapters().take(&request.lora_name, request.sha256)?;
        app.scheduler().unload(sha256)?;
        Ok(Json(
            serde_json::json!({ "name": request.lora_name, "sha256": sha256, "unloaded": true }),
        ))
    })
    .await
}

fn folder(app: &App) -> ApiResult<&Path> {
    app.options().lora_folder.as_deref().ok_or_else(|| {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "loading_is_off",
            "loading adapters by request is off; start the server with --lora-dir DIR",
        )
    })
}

/// The file, after links and dots are followed, if it is inside the folder. Whether a file outside exists is not told.
fn confined(folder: &Path, path: &str) -> ApiResult<PathBuf> {
    let outside = || {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "file_not_found",
            "there is no such file in the server's folder of adapters",
        )
    };
    let folder = folder.canonicalize().map_err(|_| outside())?;
    let found = folder.join(path).canonicalize().map_err(|_| outside())?;
    if found.starts_with(&folder) && found.is_file() {
        Ok(found)
    } else {
        Err(outside())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_its_folder() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = scratch.path().join("loras");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(scratch.path().join("secret"), "x").expect("a file");
        std::fs::write(folder.join("a.gguf"), "x").expect("a file");
        assert!(confined(&folder, "a.gguf").is_ok());
        assert!(confined(&folder, "./a.gguf").is_ok());
        let secret = scratch.path().join("secret");
        for path in [
            "../secret",
            "b.gguf",
            "",
            ".",
            "a.gguf\0",
            secret.to_str().expect("UTF-8"),
        ] {
            assert!(confined(&folder, path).is_err(), "{path:?}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&secret, folder.join("link")).expect("a link");
            assert!(confined(&folder, "link").is_err());
        }
    }
}
