//! The API for programs: an OpenAPI 3.1 description, written by hand and tested against the routes.

use axum::http::header;
use axum::response::IntoResponse;

/// The description.
const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
