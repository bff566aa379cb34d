//! What stands before every route: request ids, the access log, who may come in, and which host they think this is.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::app::App;
use super::error::ApiError;
use super::page;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from a client.
const MAX_REQUEST_ID: usize = 64;
/// Routes that need no key: whether it lives, what it is. The page needs none either, and then asks for it.
const OPEN: [&str; 2] = ["/health", "/openapi.json"];

/// A method as it is counted: anybody could fill the metrics with names of their own.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Gives the request an id, and writes one line about it. Never what was asked or answered.
pub(super) async fn log(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = given_id(request.headers()).unwrap_or_else(random_id);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    // Not the path itself: it may hold names, and anybody could fill the metrics with them.
    let route = route.map_or("other", MatchedPath::as_str).to_owned();
    let mut response = next.run(request).await;
    let status = response.status();
    app.metrics().http(label(&method), &route, status);
    tracing::info!(
        target: "unforget::access",
        id,
        %method,
        route,
        status = status.as_u16(),
        ms = begun.elapsed().as_millis(),
    );
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn given_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_valid = (1..=MAX_REQUEST_ID).contains(&text.len()) && text.bytes().all(is_plain);
    is_valid.then(|| text.to_owned())
}

/// 96 random bits.
pub(super) fn random_id() -> String {
    let mut bytes = [0u8; 12];
    // Without randomness ids repeat, and nothing depends on them.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses who gives no key, or the wrong one, and who was led here by another name.
pub(super) async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let options = app.options();
    if options.address.ip().is_loopback() || !options.allowed_hosts.is_empty() {
        let host = request.headers().get(header::HOST);
        let name = host.and_then(|host| host.to_str().ok()).unwrap_or("");
        if !is_allowed(name, &options.allowed_hosts) {
            return ApiError::new(
                StatusCode::MISDIRECTED_REQUEST,
                "unknown_host",
                "this server does not go by the name in the Host header; allow it with --allow-host",
            )
            .into_response();
        }
    }
    if let Some(key) = &options.api_key
        && !is_open(request.uri().path())
        && !has_key(request.headers(), key)
    {
        return ApiError::new(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "send the server's key as Authorization: Bearer KEY",
        )
        .into_response();
    }
    next.run(request).await
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || page::has(path)
}

/// A page from elsewhere can make its own name lead here; a browser then gives that name.
fn is_allowed(host: &str, allowed: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"]
        .into_iter()
        .chain(allowed.iter().map(String::as_str))
        .any(|allowed| name.eq_ignore_ascii_case(allowed))
}

/// Compares hashes, so that neither the time nor the length tells anything of the key.
fn has_key(headers: &HeaderMap, key: &str) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, token)| token.trim());
    let (given, wanted) = (Sha256::digest(given), Sha256::digest(key));
    given.as_slice().ct_eq(wanted.as_slice()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_this_host() {
        let allowed = ["box.lan".to_owned()];
        for good in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "[::1]:80",
            "[::1]",
            "box.lan:80",
        ] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io:80",
            "box.lan",
        ] {
            assert!(!is_allowed(bad, &[]), "{bad}");
        }
    }

    #[test]
    fn a_key_is_the_whole_key() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("a value"));
            has_key(&headers, "secret")
        };
        assert!(with("Bearer secret"));
        assert!(with("bearer secret"));
        assert!(!with("Bearer secre"));
        assert!(!with("Bearer secret2"));
        assert!(!with("Basic secret"));
        assert!(!with("secret"));
        assert!(!has_key(&HeaderMap::new(), "secret"));
    }
}
