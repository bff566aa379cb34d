//! The page at `/`: four files that are built in `page/`, committed in `src/serve/page/` and embedded here.

use std::fmt::Write as _;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// What the page may do: speak with this server, and nothing else; be in no frame; and never turn a string into HTML
/// or a script.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// Of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

static FILES: [File; 4] = [
    File {
        path: "/",
        content_type: "text/html; charset=utf-8",
        text: include_str!("page/index.html"),
    },
    File {
        path: "/page/app.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("page/app.js"),
    },
    File {
        path: "/page/style.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("page/style.css"),
    },
    File {
        path: "/page/icon.svg",
        content_type: "image/svg+xml",
        text: include_str!("page/icon.svg"),
    },
];

/// Whether this is a file of the page: those need no key, since the page is where a person enters it.
pub(super) fn has(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

/// The page's routes.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        let tag = tag(file.text);
        router.route(
            file.path,
            get(move |headers: HeaderMap| async move { file.answer(&headers, &tag) }),
        )
    })
}

/// By content, so that a page of another version is fetched anew and the same one is not.
fn tag(text: &str) -> String {
    let hash = Sha256::digest(text);
    let mut tag = String::from("\"");
    for byte in hash.iter().take(16) {
        // Writing to a string does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

impl File {
    fn answer(&self, request: &HeaderMap, tag: &str) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.content_type),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::REFERRER_POLICY, "no-referrer"),
            // Kept, but asked for each time: a server that was replaced shows its own page.
            (header::CACHE_CONTROL, "no-cache"),
            (header::ETAG, tag),
        ];
        if is_known(request, tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.text).into_response()
    }
}

fn is_known(request: &HeaderMap, tag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*")
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(path: &str, tag: Option<&str>) -> Response {
        let mut request = Request::get(path);
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let request = request.body(Body::empty()).expect("a request");
        routes().oneshot(request).await.expect("an answer")
    }

    #[tokio::test]
    async fn each_file_comes_with_its_type_and_policy_and_is_not_sent_twice() {
        for file in &FILES {
            let answer = get(file.path, None).await;
            assert_eq!(answer.status(), StatusCode::OK, "{}", file.path);
            let headers = answer.headers().clone();
            assert_eq!(headers[header::CONTENT_TYPE], file.content_type);
            assert_eq!(headers[header::CONTENT_SECURITY_POLICY], POLICY);
            let tag = headers[header::ETAG].to_str().expect("a tag").to_owned();
            let body = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
            assert_eq!(body, file.text.as_bytes());

            let again = get(file.path, Some(&format!("\"other\", W/{tag}"))).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(again.headers()[header::ETAG], tag);
            let changed = get(file.path, Some("\"other\"")).await;
            assert_eq!(changed.status(), StatusCode::OK);
        }
    }

    #[test]
    fn the_page_names_no_other_host() {
        let (index, style) = (FILES[0].text, FILES[2].text);
        for text in [index, style] {
            assert!(!text.contains("://"), "an address in the page");
        }
        assert!(index.contains("/page/app.js") && index.contains("/page/style.css"));
        assert!(has("/") && has("/page/app.js") && !has("/page/") && !has("/v1/models"));
    }
}
