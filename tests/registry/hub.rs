//! Pulling from a hub, played by the local server.

use unforget::engine::ContentHash;
use unforget::registry::{HubAccess, PullRequest};
use unforget::{Error, Result};

use crate::server::{File, Route, Server};
use crate::support::{Place, gguf};

const API: &str = "/api/models/o/r/revision/main?blobs=true";
const SIZE: usize = 600_000;

/// A repository with these files, all of the same content, at commit `c0ffee`.
fn hub(files: &[&str]) -> Server {
    let server = Server::start();
    let hash = ContentHash::of(&gguf(1, SIZE));
    let siblings: Vec<_> = files
        .iter()
        .map(|file| serde_json::json!({"rfilename": file, "size": SIZE, "lfs": {"sha256": hash, "size": SIZE}}))
        .chain([serde_json::json!({"rfilename": "README.md", "size": 10})])
        .collect();
    let about = serde_json::json!({"sha": "c0ffee", "siblings": siblings, "cardData": {"license": "apache-2.0"}});
    server.route(API, Route::Text(200, about.to_string()));
    for file in files {
        server.route(
            &format!("/o/r/resolve/c0ffee/{file}"),
            Route::File(File::new(gguf(1, SIZE))),
        );
    }
    server
}

fn request(server: &Server, text: &str) -> PullRequest {
    text.parse::<PullRequest>()
        .unwrap()
        .with_hub(HubAccess::new(&server.address("/"), Some("hf_secret")))
}

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_only_model_of_a_repository_is_taken_at_its_commit() {
    let place = Place::new();
    let server = hub(&["m.Q8_0.gguf"]);
    let installed = place.pull_request(&request(&server, "hf:o/r")).unwrap();
    assert_eq!(installed.model.name, "m.Q8_0");
    assert_eq!(installed.model.licence.as_deref(), Some("apache-2.0"));
    assert_eq!(installed.model.source, "hf:o/r");
    server.forget_hits();
    assert!(
        place
            .pull_request(&request(&server, "hf:o/r"))
            .unwrap()
            .already
    );
    assert_eq!(server.hits().len(), 0);
}

#[test]
fn several_models_are_named() {
    let place = Place::new();
    let server = hub(&["q4.gguf", "dir/q8.gguf"]);
    let text = message(place.pull_request(&request(&server, "hf:o/r")));
    assert!(
        text.contains("2 models") && text.contains("q4.gguf, dir/q8.gguf"),
        "{text}"
    );
    assert_eq!(
        place
            .pull_request(&request(&server, "hf:o/r:dir/q8.gguf"))
            .unwrap()
            .model
            .name,
        "q8"
    );
    let missing = place.pull_request(&request(&server, "hf:o/r:q5.gguf"));
    assert!(
        matches!(missing, Err(Error::UnknownName { nearest: Some(ref name), .. }) if name == "q4.gguf"),
        "{missing:?}"
    );
}

#[test]
fn what_is_no_whole_model_is_refused() {
    let place = Place::new();
    let text = message(place.pull_request(&request(&hub(&[]), "hf:o/r")));
    assert!(text.contains("no .gguf file"), "{text}");
    let text = message(place.pull_request(&request(&hub(&["m-00001-of-00002.gguf"]), "hf:o/r")));
    assert!(text.contains("llama-gguf-split"), "{text}");
    let server = Server::start();
    server.route(API, Route::Text(200, "<html>".into()));
    let text = message(place.pull_request(&request(&server, "hf:o/r")));
    assert!(text.contains("not a description"), "{text}");
}

#[test]
fn content_is_verified_against_the_hubs_hash() {
    let place = Place::new();
    let server = hub(&["m.gguf"]);
    server.route(
        "/o/r/resolve/c0ffee/m.gguf",
        Route::File(File::new(gguf(2, SIZE))),
    );
    let result = place.pull_request(&request(&server, "hf:o/r"));
    assert!(matches!(result, Err(Error::Checksum { .. })), "{result:?}");
    assert!(place.files().is_empty());
}

#[test]
fn the_token_goes_to_the_hub_and_not_beyond() {
    let place = Place::new();
    let (server, storage) = (
        hub(&["m.gguf"]),
        Server::serving("/blob", File::new(gguf(1, SIZE)).cut_after(200_000)),
    );
    server.route(
        "/o/r/resolve/c0ffee/m.gguf",
        Route::Redirect(storage.address("/blob")),
    );
    place.pull_request(&request(&server, "hf:o/r")).unwrap();
    assert!(
        server
            .hits()
            .iter()
            .all(|hit| hit.authorization.as_deref() == Some("Bearer hf_secret"))
    );
    assert!(
        storage.hits().iter().all(|hit| hit.authorization.is_none()),
        "{:?}",
        storage.hits()
    );
    assert_eq!(storage.sent(), SIZE, "a redirected download resumes too");
}

#[test]
fn a_gated_repository_tells_of_the_token() {
    let server = Server::start();
    server.route(API, Route::Text(401, String::new()));
    let text = message(Place::new().pull_request(&request(&server, "hf:o/r")));
    assert!(
        text.contains("HF_TOKEN") && text.contains("hf:o/r") && !text.contains("secret"),
        "{text}"
    );
}
