//! Files of model repositories on the hub: which GGUF is meant, its size, hash, licence and address.
//!
//! One request to the hub's model API (`GET /api/models/REPO/revision/REVISION?blobs=true`) tells all of it, and the commit,
//! so that a download is of that very commit. The bytes themselves come by [`super::download`].

use serde::Deserialize;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::backoff::Backoff;
use super::client::{Answer, Failure, Get};
use super::plan::{Expected, Found};
use super::progress::Watch;
use super::request::HubRequest;
use super::token::Token;
use crate::engine::ContentHash;
use crate::registry::name::nearest;
use crate::{Error, Result};

/// The public hub. `HF_ENDPOINT` names another one.
pub const DEFAULT_HUB: &str = "https://huggingface.co";

/// The branch that is taken where nobody names a commit.
const DEFAULT_REVISION: &str = "main";

/// Largest answer of the API. A file takes about 300 bytes of it; no repository of models has 50,000.
const MAX_LISTING: usize = 16 << 20;

/// Candidates named in a message: what fits on a screen.
const MAX_NAMED: usize = 20;

/// What stands in a path as it is (RFC 3986, "unreserved").
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Which hub, and as whom.
#[derive(Debug, Clone)]
pub struct HubAccess {
    endpoint: String,
    token: Option<Token>,
}

impl HubAccess {
    /// A hub at an address; the token is sent to it and never beyond.
    #[must_use]
    pub fn new(endpoint: &str, token: Option<&str>) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.and_then(Token::new),
        }
    }

    /// From `HF_ENDPOINT` and `HF_TOKEN`, as the hub's own tools have them.
    #[must_use]
    pub fn from_env() -> Self {
        let set = |name| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let endpoint = set("HF_ENDPOINT");
        Self::new(
            endpoint.as_deref().unwrap_or(DEFAULT_HUB),
            set("HF_TOKEN").as_deref(),
        )
    }

    pub(super) fn token(&self) -> Option<Token> {
        self.token.clone()
    }

    pub(super) fn file_address(&self, repo: &str, revision: &str, file: &str) -> String {
        let file: Vec<String> = file.split('/').map(encode).collect();
        format!(
            "{}/{repo}/resolve/{}/{}",
            self.endpoint,
            encode(revision),
            file.join("/")
        )
    }
}

fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT).to_string()
}

#[derive(Deserialize)]
struct Repository {
    /// The commit.
    sha: String,
    siblings: Vec<Sibling>,
    #[serde(rename = "cardData", default)]
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Sibling {
    #[serde(rename = "rfilename")]
    path: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: ContentHash,
}

#[derive(Deserialize)]
struct Card {
    /// A name, or in some cards a list of names.
    #[serde(default)]
    license: serde_json::Value,
}

/// Finds the file that a request means.
pub(super) fn find(request: &HubRequest, access: &HubAccess, watch: &Watch<'_>) -> Result<Found> {
    let repository = describe(&request.repo, access, watch)?;
    let sibling = choose(&repository.siblings, request)?;
    if is_shard(&sibling.path) {
        return Err(Error::Fetch {
            source_name: format!("hf:{}:{}", request.repo, sibling.path),
            reason: "it is one of several parts of a model; join them with llama-gguf-split --merge and pull the file".to_owned(),
        });
    }
    Ok(Found {
        file_name: sibling
            .path
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned(),
        address: access.file_address(&request.repo, &repository.sha, &sibling.path),
        token: access.token(),
        expected: Expected {
            bytes: sibling.size,
            sha256: sibling.lfs.as_ref().map(|lfs| lfs.sha256),
        },
        licence: repository
            .card
            .as_ref()
            .and_then(|card| licence(&card.license)),
    })
}

fn describe(repo: &str, access: &HubAccess, watch: &Watch<'_>) -> Result<Repository> {
    let address = format!(
        "{}/api/models/{repo}/revision/{DEFAULT_REVISION}?blobs=true",
        access.endpoint
    );
    let get = Get {
        address,
        token: access.token(),
        resume: None,
    };
    let mut backoff = Backoff::new();
    let body = loop {
        let tried = Answer::to(&get, watch).and_then(|mut answer| match answer.head.status {
            200 => answer.text(MAX_LISTING, watch),
            _ => Err(answer.head.failure(&format!("hf:{repo}"))),
        });
        match tried {
            Ok(body) => break body,
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing { reason, after }) => {
                backoff.wait(&get.address, &reason, after, watch)?;
            }
        }
    };
    serde_json::from_slice(&body).map_err(|error| Error::Fetch {
        source_name: format!("hf:{repo}"),
        reason: format!("the hub's answer is not a description of a repository: {error}"),
    })
}

fn choose<'a>(siblings: &'a [Sibling], request: &HubRequest) -> Result<&'a Sibling> {
    if let Some(wanted) = &request.file {
        return siblings
            .iter()
            .find(|sibling| &sibling.path == wanted)
            .ok_or_else(|| Error::UnknownName {
                what: "file",
                name: wanted.clone(),
                nearest: nearest(wanted, siblings.iter().map(|sibling| sibling.path.as_str())),
            });
    }
    let models: Vec<&Sibling> = siblings
        .iter()
        .filter(|sibling| sibling.path.ends_with(".gguf"))
        .collect();
    let fail = |reason| {
        Err(Error::Fetch {
            source_name: format!("hf:{}", request.repo),
            reason,
        })
    };
    match models.as_slice() {
        [only] => Ok(only),
        [] => fail(
            "it has no .gguf file; look for a repository that has the model converted".to_owned(),
        ),
        several => {
            let mut named: Vec<&str> = several
                .iter()
                .map(|sibling| sibling.path.as_str())
                .take(MAX_NAMED)
                .collect();
            if several.len() > MAX_NAMED {
                named.push("..");
            }
            fail(format!(
                "it has {} models; name one as hf:{}:FILE: {}",
                several.len(),
                request.repo,
                named.join(", ")
            ))
        }
    }
}

/// llama.cpp splits models into `NAME-00001-of-00003.gguf`.
fn is_shard(path: &str) -> bool {
    let number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    path.strip_suffix(".gguf")
        .and_then(|stem| stem.rsplit_once("-of-"))
        .and_then(|(stem, count)| {
            stem.rsplit_once('-')
                .filter(|(_, index)| number(index) && number(count))
        })
        .is_some_and(|(_, index)| index.len() == 5)
}

fn licence(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(name) => Some(name.clone()),
        serde_json::Value::Array(names) => {
            let names: Vec<&str> = names.iter().filter_map(serde_json::Value::as_str).collect();
            (!names.is_empty()).then(|| names.join(" OR "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_recognized() {
        assert!(is_shard("q8/m-00001-of-00003.gguf"));
        for whole in [
            "m.gguf",
            "m-of-it.gguf",
            "a-1-of-3.gguf",
            "best-of-00003.gguf",
        ] {
            assert!(!is_shard(whole), "{whole}");
        }
    }

    #[test]
    fn addresses_are_encoded() {
        let hub = HubAccess::new("http://h/", Some(" "));
        assert_eq!(
            hub.file_address("o/r", "refs/pr/1", "a b/ü.gguf"),
            "http://h/o/r/resolve/refs%2Fpr%2F1/a%20b/%C3%BC.gguf"
        );
        assert!(hub.token().is_none());
    }

    #[test]
    fn a_token_does_not_show() {
        assert!(!format!("{:?}", HubAccess::new("http://h", Some("hf_secret"))).contains("secret"));
    }
}
