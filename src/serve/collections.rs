//! `/v1/collections`: documents in, passages out.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::body::{JsonBody, PathOf, read};
use super::error::{ApiError, ApiResult};
use super::filter_request::FilterField;
use super::limits::MAX_UPLOAD;
use crate::collections::Summary;
use crate::engine::CancelToken;
use crate::error::{Error, Result};
use crate::rag::{Collection, IngestOptions, IngestReport, SearchMode, SearchOptions};
use crate::registry::check_name;

/// Folder in a collection's folder where uploaded files lie.
const UPLOADS: &str = "uploads";

/// `GET /v1/collections`
pub(super) async fn list(State(app): State<Arc<App>>) -> ApiResult<Json<Value>> {
    app.blocking(|app| {
        let names = app.library().names()?;
        let data: Vec<Value> = names
            .iter()
            // One that is damaged does not hide the others.
            .map(|name| match app.library().open(name) {
                Ok(collection) => about(&collection).unwrap_or_else(|error| broken(name, &error)),
                Err(error) => broken(name, &error),
            })
            .collect();
        Ok(Json(json!({ "object": "list", "data": data })))
    })
    .await
}

fn about(collection: &Collection) -> Result<Value> {
    Ok(json!(Summary::of(collection)?))
}

fn broken(name: &str, error: &Error) -> Value {
    json!({ "name": name, "error": error.to_string() })
}

/// The body of `POST /v1/collections`.
#[derive(Debug, Deserialize)]
pub(super) struct Create {
    name: String,
}

/// `POST /v1/collections`: makes one, or leaves the one that is there.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Create>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    app.blocking(move |app| {
        let is_new = app.library().create(&body.name)?;
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok((status, Json(about(&app.library().open(&body.name)?)?)))
    })
    .await
}

/// `GET /v1/collections/{collection}/documents`
pub(super) async fn documents(
    State(app): State<Arc<App>>,
    PathOf(name): PathOf<String>,
) -> ApiResult<Json<Value>> {
    app.blocking(move |app| {
        let documents = app.library().open(&name)?.documents()?;
        Ok(Json(
            json!({ "object": "list", "collection": name, "data": documents }),
        ))
    })
    .await
}

/// `PUT /v1/collections/{collection}/files/{file}`: takes a file in. The body is the file.
pub(super) async fn upload(
    State(app): State<Arc<App>>,
    PathOf((name, file)): PathOf<(String, String)>,
    request: Request,
) -> ApiResult<Json<IngestReport>> {
    check_name("file", &file)?;
    let (head, body) = request.into_parts();
    let bytes = read(&head.headers, body, MAX_UPLOAD).await?;
    let cancel = StopWhenDropped::default();
    let token = cancel.0.clone();
    let result = app
        .blocking(move |app| {
            let mut collection = app.library().open(&name)?;
            let folder = app.library().folder(&name)?.join(UPLOADS);
            app.home().create(&folder)?;
            let path = folder.join(&file);
            let _writing = app.library().writing();
            write(&folder, &path, &bytes)?;
            let mut embedder = app.library().new_embedder(token.clone())?;
            let report = collection.add(
                &[path],
                &mut embedder,
                &IngestOptions::default(),
                &mut |_| go_on(&token),
            )?;
            Ok(Json(report))
        })
        .await;
    drop(cancel);
    result
}

/// Beside and then in place, so that a file is never half there.
fn write(folder: &std::path::Path, path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// `POST /v1/collections/{collection}/sync`: takes over what changed in all that was ever added.
pub(super) async fn sync(
    State(app): State<Arc<App>>,
    PathOf(name): PathOf<String>,
) -> ApiResult<Json<IngestReport>> {
    let cancel = StopWhenDropped::default();
    let token = cancel.0.clone();
    let result = app
        .blocking(move |app| {
            let mut collection = app.library().open(&name)?;
            let _writing = app.library().writing();
            let mut embedder = app.library().new_embedder(token.clone())?;
            let options = IngestOptions::default();
            let report = collection.sync(&mut embedder, &options, &mut |_| go_on(&token))?;
            Ok(Json(report))
        })
        .await;
    drop(cancel);
    result
}

/// Stops the work when the client leaves, and with it the handler.
#[derive(Default)]
struct StopWhenDropped(CancelToken);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn go_on(cancel: &CancelToken) -> ControlFlow<()> {
    if cancel.is_cancelled() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// The body of a search.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    query: String,
    limit: Option<usize>,
    mode: Option<SearchMode>,
    filter: Option<FilterField>,
}

/// Hits of one search.
const MAX_LIMIT: usize = 100;

/// `POST /v1/collections/{collection}/search`
pub(super) async fn search(
    State(app): State<Arc<App>>,
    PathOf(name): PathOf<String>,
    JsonBody(body): JsonBody<Search>,
) -> ApiResult<Json<Value>> {
    app.blocking(move |app| {
        let default = SearchOptions::default();
        let limit = body.limit.unwrap_or(default.limit);
        if limit == 0 || limit > MAX_LIMIT {
            return Err(ApiError::invalid(
                "limit",
                format!("{limit} is not a number from 1 to {MAX_LIMIT}"),
            ));
        }
        let options = SearchOptions {
            limit,
            mode: body.mode.unwrap_or(default.mode),
            filter: match &body.filter {
                Some(filter) => filter.read()?,
                None => default.filter,
            },
            ..SearchOptions::default()
        };
        let found = app.library().read(&name, |collection, embedder| {
            Ok(collection.search(&body.query, embedder, &options)?)
        })?;
        Ok(Json(
            json!({ "collection": name, "hits": found.hits, "timings": found.timings }),
        ))
    })
    .await
}

/// `DELETE /v1/collections/{collection}/documents/{id}`: an uploaded file goes too, another one stays where it is.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    PathOf((name, id)): PathOf<(String, String)>,
) -> ApiResult<Json<Value>> {
    let id = number("document", &id)?;
    app.blocking(move |app| {
        let mut collection = app.library().open(&name)?;
        let uploads = app.library().folder(&name)?.join(UPLOADS);
        let _writing = app.library().writing();
        let document = collection.documents()?.into_iter().find(|d| d.id == id);
        collection.remove(id)?;
        if let Some(document) = document
            && std::path::Path::new(&document.path).parent() == Some(uploads.as_path())
        {
            // Whoever took it away before has done what was to be done.
            let _ = fs_err::remove_file(&document.path);
        }
        Ok(Json(json!({ "removed": id })))
    })
    .await
}

/// `GET /v1/collections/{collection}/passages/{id}`: a passage with its text, as a citation names it.
pub(super) async fn passage(
    State(app): State<Arc<App>>,
    PathOf((name, id)): PathOf<(String, String)>,
) -> ApiResult<Json<Value>> {
    let id = number("passage", &id)?;
    app.blocking(move |app| Ok(Json(json!(app.library().open(&name)?.passage(id)?))))
        .await
}

fn number(what: &'static str, text: &str) -> ApiResult<i64> {
    text.parse()
        .map_err(|_| ApiError::invalid(what, format!("'{text}' is no number of a {what}")))
}
