//! Routes.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};

use super::app::App;
use super::error::ApiError;
use super::{
    access, chat, collections, completions, embeddings, health, lora_files, metrics, models,
    openapi, page, tokenize,
};

/// The server's routes over `app`.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(page::routes())
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(models::one))
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/completions", post(completions::complete))
        .route("/v1/embeddings", post(embeddings::embed))
        .route("/v1/adapters", get(models::adapters))
        .route("/v1/adapters/{name}/report", get(models::report))
        .route("/v1/load_lora_adapter", post(lora_files::load))
        .route("/v1/unload_lora_adapter", post(lora_files::unload))
        .route("/lora-adapters", get(models::lora_adapters))
        .route(
            "/v1/collections",
            get(collections::list).post(collections::create),
        )
        .route(
            "/v1/collections/{collection}/documents",
            get(collections::documents),
        )
        .route(
            "/v1/collections/{collection}/documents/{id}",
            delete(collections::remove),
        )
        .route(
            "/v1/collections/{collection}/files/{file}",
            put(collections::upload),
        )
        .route("/v1/collections/{collection}/sync", post(collections::sync))
        .route(
            "/v1/collections/{collection}/search",
            post(collections::search),
        )
        .route(
            "/v1/collections/{collection}/passages/{id}",
            get(collections::passage),
        )
        .route("/tokenize", post(tokenize::tokenize))
        .route("/detokenize", post(tokenize::detokenize))
        .route("/tokenizer_info", get(tokenize::info))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(Arc::clone(&app), access::admit))
        .layer(from_fn_with_state(Arc::clone(&app), access::log))
        .with_state(app)
}

async fn no_route(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(100).collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        format!("there is nothing at {path}; see /openapi.json"),
    )
}

async fn no_method(method: Method) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} is not understood here; see /openapi.json"),
    )
}
