//! Tokens for clients that count them: vLLM's and llama-server's `/tokenize`, `/detokenize` and `/tokenizer_info`, which
//! lm-eval's remote tokenizer uses.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::body::JsonBody;
use super::error::{ApiError, ApiResult};
use super::limits::MAX_PROMPT;
use crate::engine::Token;

/// vLLM says `prompt`, llama-server `content`.
#[derive(Debug, Deserialize)]
pub(super) struct TokenizeBody {
    #[serde(alias = "content")]
    prompt: String,
    /// vLLM's default; llama-server's is false.
    #[serde(alias = "add_special", default = "yes")]
    add_special_tokens: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct DetokenizeBody {
    tokens: Vec<i32>,
}

const fn yes() -> bool {
    true
}

pub(super) async fn tokenize(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<TokenizeBody>,
) -> ApiResult<Json<Value>> {
    if body.prompt.len() > MAX_PROMPT {
        return Err(ApiError::invalid(
            "prompt",
            format!("{} bytes; at most {MAX_PROMPT}", body.prompt.len()),
        ));
    }
    app.blocking(move |app| {
        let tokens = if body.add_special_tokens {
            app.model().tokenize(&body.prompt)?
        } else {
            app.model().tokenize_text(&body.prompt)?
        };
        let ids: Vec<i32> = tokens.iter().map(|token| token.0).collect();
        Ok(Json(json!({
            "count": ids.len(),
            "max_model_len": app.scheduler().n_ctx(),
            "tokens": ids,
        })))
    })
    .await
}

pub(super) async fn detokenize(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<DetokenizeBody>,
) -> ApiResult<Json<Value>> {
    let n_vocab = app.model().n_vocab();
    let is_token = |id: &i32| usize::try_from(*id).is_ok_and(|id| id < n_vocab);
    if let Some(wrong) = body.tokens.iter().find(|id| !is_token(id)) {
        return Err(ApiError::invalid(
            "tokens",
            format!("{wrong} is no token; there are {n_vocab}"),
        ));
    }
    app.blocking(move |app| {
        let tokens: Vec<Token> = body.tokens.into_iter().map(Token).collect();
        let text = app.model().detokenize(&tokens)?;
        Ok(Json(json!({ "prompt": text, "content": text })))
    })
    .await
}

pub(super) async fn info(State(app): State<Arc<App>>) -> Json<Value> {
    let model = app.model();
    let text = |token: Option<Token>| {
        token.map(|token| String::from_utf8_lossy(&model.token_bytes(token)).into_owned())
    };
    Json(json!({
        "tokenizer_class": "unforget",
        "bos_token": text(model.bos()),
        "eos_token": text(model.eos()),
        "pad_token": text(model.eos()),
        "model_max_length": app.scheduler().n_ctx(),
        "chat_template": model.chat_template_source(),
    }))
}
