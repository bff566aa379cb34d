//! The router without sockets: what is described is there, and what is there is described.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;
use unforget::registry::Home;
use unforget::serve::{App, ServeOptions, router};

use crate::common;

async fn call(app: &std::sync::Arc<App>, method: &str, path: &str) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Body::from("{}"))
        .expect("a request");
    let response = router(app.clone())
        .oneshot(request)
        .await
        .expect("an answer");
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 1 << 20)
        .await
        .expect("a body");
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

#[test]
fn every_described_route_is_there_and_answers_in_the_envelope() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::resolve(Some(folder.path().to_path_buf())).expect("a home");
    let app = App::new(common::base(), home, ServeOptions::default()).expect("an app");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (status, description) = call(&app, "GET", "/openapi.json").await;
        assert_eq!(status, StatusCode::OK);
        let paths = description["paths"].as_object().expect("paths");
        assert!(paths.len() >= 20, "{}", paths.len());
        for (path, methods) in paths {
            for method in methods.as_object().expect("methods").keys() {
                let filled = path
                    .replace("{collection}", "none")
                    .replace("{id}", "1")
                    .replace("{file}", "a.md")
                    .replace("{model}", "none")
                    .replace("{name}", "none");
                let (status, body) = call(&app, &method.to_uppercase(), &filled).await;
                assert!(
                    !status.is_server_error(),
                    "{method} {path}: {status} {body}"
                );
                assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                let code = body["error"]["code"].as_str().unwrap_or("");
                assert_ne!(code, "no_such_route", "{method} {path}");
                if status.is_client_error() {
                    assert!(!code.is_empty(), "{method} {path}: {body}");
                    let described = &methods[method]["responses"];
                    assert!(
                        !described[status.as_str()].is_null(),
                        "{method} {path} does not describe {status}"
                    );
                }
            }
        }
    });
}
