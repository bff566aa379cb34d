//! Errors in OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`, with codes that stay the same.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::limits::RETRY_AFTER_S;
use crate::error::Error;

/// What goes back to a client that asked for something that cannot be had.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// What programs look at. Part of the interface.
    pub(super) code: &'static str,
    /// What people read.
    pub(super) message: String,
    /// The field that is wrong.
    pub(super) param: Option<String>,
}

pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
        }
    }

    /// A field whose value cannot be used.
    pub(super) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_value", message)
        }
    }

    /// There is no room for another request.
    pub(super) fn overloaded() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "overloaded",
            "as many requests wait as may; try again later",
        )
    }

    /// The request took longer than it may.
    pub(super) fn timeout() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the answer took longer than it may; ask for fewer tokens",
        )
    }

    /// Something broke here.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The envelope.
    pub(super) fn body(&self) -> Value {
        json!({ "error": {
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        } })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (status, code) = classify(&error);
        Self::new(status, code, error.to_string())
    }
}

fn classify(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::UnknownName { what, .. } => (
            StatusCode::NOT_FOUND,
            match *what {
                "model" => "model_not_found",
                "adapter" => "adapter_not_found",
                "collection" => "collection_not_found",
                "document" => "document_not_found",
                "report" => "report_not_found",
                _ => "not_found",
            },
        ),
        // None of the name, as where there are others.
        Error::NothingInstalled {
            what: "collection", ..
        } => (StatusCode::NOT_FOUND, "collection_not_found"),
        Error::NotInstalled { .. } => (StatusCode::NOT_FOUND, "model_not_found"),
        Error::NothingInstalled { .. } => (StatusCode::NOT_FOUND, "nothing_installed"),
        Error::WrongModelKind { .. } => (StatusCode::BAD_REQUEST, "wrong_model_kind"),
        Error::InvalidArgument { .. } => (StatusCode::BAD_REQUEST, "invalid_value"),
        Error::Grammar(_) => (StatusCode::BAD_REQUEST, "invalid_grammar"),
        Error::Template(_) => (StatusCode::BAD_REQUEST, "template_error"),
        Error::ContextFull { .. } => (StatusCode::BAD_REQUEST, "context_length_exceeded"),
        Error::GuardRefused { .. } => (StatusCode::FORBIDDEN, "adapter_refused_by_guard"),
        Error::AdapterRefused { .. } => (StatusCode::FORBIDDEN, "adapter_refused"),
        Error::AdapterMismatch { .. } => (StatusCode::CONFLICT, "adapter_mismatch"),
        Error::AdapterLoad { .. } | Error::Format(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "adapter_unusable")
        }
        Error::EmbedderMismatch { .. } => (StatusCode::CONFLICT, "embedder_mismatch"),
        Error::Busy { .. } => (StatusCode::CONFLICT, "collection_busy"),
        Error::Checksum { .. } => (StatusCode::CONFLICT, "content_changed"),
        Error::DiskFull { .. } => (StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        Error::Interrupted => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
    }
}
