//! `/health`: whether the engine works.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::app::App;

pub(super) async fn health(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    if app.scheduler().is_alive() {
        (StatusCode::OK, Json(json!({ "status": "ok" })))
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "engine stopped" })),
        )
    }
}
