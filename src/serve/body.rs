//! What is read of a request: JSON within limits and names in the path, with errors in the envelope that say what is wrong.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::error::{ApiError, ApiResult};
use super::limits::{BODY_TIMEOUT, MAX_BODY, MAX_DEPTH};

/// A JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        let (head, body) = request.into_parts();
        // Also what keeps a page of another site from posting here: a browser asks before it sends this type.
        if !is_json(&head.headers) {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send the body with Content-Type: application/json",
            ));
        }
        let bytes = read(&head.headers, body, MAX_BODY).await?;
        parse(&bytes).map(Self)
    }
}

/// Names in the path.
pub(super) struct PathOf<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        let Path(value) = found.map_err(|error| ApiError::invalid("path", error.body_text()))?;
        Ok(Self(value))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = text.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> ApiResult<axum::body::Bytes> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| n > limit as u64) {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_length_limit(&error) => Err(too_large(limit)),
        Ok(Err(_)) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "incomplete_body",
            "the body ended early or its framing is wrong",
        )),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            "the body took too long to arrive",
        )),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("length limit") {
            return true;
        }
        source = error.source();
    }
    false
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("the body is larger than {limit} bytes"),
    )
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> ApiResult<T> {
    let malformed =
        |message: String| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        malformed(format!(
            "the body is not UTF-8: wrong byte at offset {}",
            error.valid_up_to()
        ))
    })?;
    if depth(text) > MAX_DEPTH {
        return Err(malformed(format!(
            "the body is nested deeper than {MAX_DEPTH} levels"
        )));
    }
    serde_json::from_str(text).map_err(|error| malformed(format!("invalid body: {error}")))
}

/// Deepest nesting of brackets outside of strings.
fn depth(text: &str) -> usize {
    let (mut deepest, mut now) = (0usize, 0usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        assert_eq!(depth("1"), 0);
        assert_eq!(depth(r#"{"a": [1, {"b": "[[[["}], "c\"[": []}"#), 3);
        assert_eq!(depth(&"[".repeat(500)), 500);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |bytes: &[u8]| parse::<serde_json::Value>(bytes).err().map(|e| e.message);
        assert!(error(b"{\"a\": \xff}").is_some_and(|m| m.contains("offset 6")));
        assert!(error(b"{").is_some_and(|m| m.contains("line 1")));
        assert!(error("[".repeat(9999).as_bytes()).is_some_and(|m| m.contains("64 levels")));
        assert!(error(b"{}").is_none());
    }
}
