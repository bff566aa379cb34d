//! What a request may name: models, adapters, and the guard's report of each.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::body::PathOf;
use super::error::{ApiError, ApiResult};
use crate::engine::Adapter;
use crate::error::Error;
use crate::guard::certificate::Certificate;
use crate::guard::report::html;
use crate::registry::{AdapterRecord, AdapterState, nearest};

/// `/v1/models`: the base, its adapters, the embedder.
pub(super) async fn list(State(app): State<Arc<App>>) -> ApiResult<Json<Value>> {
    app.blocking(|app| {
        let created = app.started_at();
        let mut data = vec![model(app.model().name(), created, None)];
        for adapter in catalogue(app)? {
            data.push(model(&adapter.name, created, Some(app.model().name())));
        }
        if let Some(embedder) = app.library().embedder_name() {
            data.push(model(&embedder, created, None));
        }
        Ok(Json(json!({ "object": "list", "data": data })))
    })
    .await
}

/// `/v1/models/{model}`.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    PathOf(name): PathOf<String>,
) -> ApiResult<Json<Value>> {
    let Json(all) = list(State(app)).await?;
    let models = all["data"].as_array().cloned().unwrap_or_default();
    let names = models.iter().filter_map(|model| model["id"].as_str());
    let close = nearest(&name, names);
    models
        .into_iter()
        .find(|model| model["id"] == name)
        .map(Json)
        .ok_or_else(|| {
            ApiError::from(Error::UnknownName {
                what: "model",
                name,
                nearest: close,
            })
        })
}

fn model(id: &str, created: u64, parent: Option<&str>) -> Value {
    json!({ "id": id, "object": "model", "created": created, "owned_by": "unforget", "parent": parent })
}

/// An adapter as it is listed.
#[derive(Debug, serde::Serialize)]
struct AdapterInfo {
    /// Its place in `lora`.
    id: usize,
    name: String,
    sha256: String,
    /// The base's name.
    base: String,
    state: AdapterState,
    /// The scale it has where a request gives none; of a certified one the largest that the guard passed.
    scale: f32,
    /// Up to which scale it is certified.
    certified_scale: Option<f32>,
    /// Whether it was loaded by request and not imported.
    by_request: bool,
    /// Why it was set apart.
    quarantine_reasons: Vec<String>,
    /// Whether there is a report of the guard.
    has_report: bool,
}

/// `/v1/adapters`.
pub(super) async fn adapters(State(app): State<Arc<App>>) -> ApiResult<Json<Value>> {
    app.blocking(|app| Ok(Json(json!({ "object": "list", "data": catalogue(app)? }))))
        .await
}

/// llama-server's `/lora-adapters`.
pub(super) async fn lora_adapters(State(app): State<Arc<App>>) -> ApiResult<Json<Value>> {
    app.blocking(|app| {
        let all = catalogue(app)?;
        let list: Vec<Value> = all
            .iter()
            .map(|adapter| json!({ "id": adapter.id, "path": adapter.name, "scale": 0.0 }))
            .collect();
        Ok(Json(json!(list)))
    })
    .await
}

fn catalogue(app: &App) -> ApiResult<Vec<AdapterInfo>> {
    let records = app.adapters().records()?;
    let by_request = app.adapters().by_request();
    let reports = app.adapters().registry().reports()?;
    let base = app.model().name();
    let names = app.adapters().names()?;
    let adapters = names.into_iter().enumerate().filter_map(|(id, name)| {
        let has_report = reports.iter().any(|report| report.adapter == name);
        let record = records.iter().find(|record| record.name == name);
        match record {
            Some(record) => Some(registered(id, record, base, has_report)),
            None => by_request
                .iter()
                .find(|adapter| adapter.name() == name)
                .map(|adapter| loaded(id, adapter, base)),
        }
    });
    Ok(adapters.collect())
}

fn registered(id: usize, record: &AdapterRecord, base: &str, has_report: bool) -> AdapterInfo {
    AdapterInfo {
        id,
        name: record.name.clone(),
        sha256: record.sha256.to_string(),
        base: base.to_owned(),
        state: record.state,
        scale: record.scale,
        certified_scale: (record.state == AdapterState::Certified).then_some(record.scale),
        by_request: false,
        quarantine_reasons: record
            .quarantine_reasons()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        has_report,
    }
}

fn loaded(id: usize, adapter: &Adapter, base: &str) -> AdapterInfo {
    AdapterInfo {
        id,
        name: adapter.name().to_owned(),
        sha256: adapter.sha256().to_string(),
        base: base.to_owned(),
        state: AdapterState::Quarantined,
        scale: 1.0,
        certified_scale: None,
        by_request: true,
        quarantine_reasons: Vec::new(),
        has_report: false,
    }
}

/// How a report is wanted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ReportQuery {
    #[serde(default)]
    format: ReportFormat,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReportFormat {
    #[default]
    Json,
    Html,
}

/// `/v1/adapters/{name}/report`: the newest report of the guard.
pub(super) async fn report(
    State(app): State<Arc<App>>,
    PathOf(name): PathOf<String>,
    query: Result<Query<ReportQuery>, axum::extract::rejection::QueryRejection>,
) -> ApiResult<Response> {
    let Query(query) = query.map_err(|_| ApiError::invalid("format", "format is json or html"))?;
    app.blocking(move |app| {
        // A report names its adapter; what begins like a report's id is not one here.
        let record = app
            .adapters()
            .registry()
            .reports()?
            .into_iter()
            .find(|report| report.adapter == name)
            .ok_or_else(|| {
                ApiError::from(Error::UnknownName {
                    what: "report",
                    name,
                    nearest: None,
                })
            })?;
        let text = fs_err::read_to_string(&record.path).map_err(Error::from)?;
        let certificate = Certificate::verify(&text, None)?;
        Ok(match query.format {
            ReportFormat::Html => Html(html::render(&certificate)).into_response(),
            ReportFormat::Json => Json(json!(certificate.body())).into_response(),
        })
    })
    .await
}
