//! `/v1/embeddings`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::body::JsonBody;
use super::error::{ApiError, ApiResult};
use super::limits::MAX_EMBEDDINGS;

/// The body.
#[derive(Debug, Deserialize)]
pub(super) struct EmbeddingBody {
    input: InputField,
    model: Option<String>,
    #[serde(default)]
    encoding_format: Option<Encoding>,
    dimensions: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum InputField {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    /// Little-endian 32-bit floats: what OpenAI's own clients ask for.
    Base64,
}

pub(super) async fn embed(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<EmbeddingBody>,
) -> ApiResult<Json<Value>> {
    let place = app.enter()?;
    app.blocking(move |app| {
        let _place = place;
        let texts: Vec<&str> = match &body.input {
            InputField::One(one) => vec![one],
            InputField::Several(several) => several.iter().map(String::as_str).collect(),
        };
        if texts.is_empty() || texts.len() > MAX_EMBEDDINGS {
            return Err(ApiError::invalid(
                "input",
                format!("{} texts; from 1 to {MAX_EMBEDDINGS}", texts.len()),
            ));
        }
        let (vectors, n_tokens, model) = app.library().embed(body.model.as_deref(), &texts)?;
        let length = vectors.first().map_or(0, Vec::len);
        if body.dimensions.is_some_and(|wanted| wanted != length) {
            return Err(ApiError::invalid(
                "dimensions",
                format!("'{model}' gives {length} dimensions"),
            ));
        }
        let encoding = body.encoding_format.unwrap_or_default();
        let data: Vec<Value> = vectors
            .iter()
            .enumerate()
            .map(|(index, vector)| {
                json!({ "object": "embedding", "index": index, "embedding": encoded(vector, encoding) })
            })
            .collect();
        Ok(Json(json!({
            "object": "list",
            "data": data,
            "model": model,
            "usage": { "prompt_tokens": n_tokens, "total_tokens": n_tokens },
        })))
    })
    .await
}

fn encoded(vector: &[f32], encoding: Encoding) -> Value {
    match encoding {
        Encoding::Float => json!(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            json!(STANDARD.encode(bytes))
        }
    }
}
