//! What a request comes to: a name, files with their sources, and whether they are converted.

use super::hub;
use super::progress::Watch;
use super::request::{PullRequest, PullSource, UrlRequest};
use super::token::Token;
use crate::engine::ContentHash;
use crate::registry::catalog::{Entry, FileSpec, ModelKind, PipMember, Source};
use crate::registry::name::from_file_name;
use crate::{Error, Result};

/// A pull, ready to be carried out.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) kind: ModelKind,
    /// [`PullSource`] as text.
    pub(super) origin: String,
    pub(super) licence: Option<String>,
    pub(super) files: Vec<PlannedFile>,
    pub(super) outcome: Outcome,
}

/// What becomes of the files.
pub(super) enum Outcome {
    /// The one file is the model.
    AsFetched,
    /// They are converted to a file of this name.
    Converted(String),
}

/// A file to fetch.
pub(super) struct PlannedFile {
    /// Path under the folder that it is fetched to.
    pub(super) name: String,
    pub(super) keep: bool,
    pub(super) from: Fetch,
}

/// What is known of a file beforehand.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expected {
    pub(super) bytes: Option<u64>,
    pub(super) sha256: Option<ContentHash>,
}

/// The way a file comes.
pub(super) enum Fetch {
    Pip {
        members: Vec<PipMember>,
        bytes: u64,
        sha256: ContentHash,
    },
    Http {
        address: String,
        token: Option<Token>,
        expected: Expected,
    },
}

impl Plan {
    /// Looks up what the request leaves open; of a hub repository that takes the network.
    pub(super) fn of(request: &PullRequest, origin: String, watch: &mut Watch<'_>) -> Result<Self> {
        let found = match &request.source {
            PullSource::Catalog(entry) => return Ok(Self::of_entry(entry, request, origin)),
            PullSource::Hub(hub) => hub::find(hub, &request.hub, watch)?,
            PullSource::Url(url) => Found::at(url),
            PullSource::Local(path) => {
                return Err(Error::InvalidArgument {
                    what: "source",
                    value: path.display().to_string(),
                    expected: "something to fetch".to_owned(),
                });
            }
        };
        let name = match request
            .name
            .clone()
            .or_else(|| from_file_name(&found.file_name))
        {
            Some(name) => name,
            None => {
                return Err(Error::InvalidArgument {
                    what: "source",
                    value: origin,
                    expected: "an address that ends in a file name, or a name to install it under"
                        .to_owned(),
                });
            }
        };
        Ok(Self {
            files: vec![PlannedFile {
                name: format!("{name}.gguf"),
                keep: false,
                from: Fetch::Http {
                    address: found.address,
                    token: found.token,
                    expected: found.expected,
                },
            }],
            name,
            kind: ModelKind::Base,
            origin,
            licence: found.licence,
            outcome: Outcome::AsFetched,
        })
    }

    fn of_entry(entry: &Entry, request: &PullRequest, origin: String) -> Self {
        Self {
            name: request.name.clone().unwrap_or_else(|| entry.name.clone()),
            kind: entry.kind,
            origin,
            licence: Some(entry.licence.clone()),
            files: entry
                .files
                .iter()
                .map(|file| PlannedFile::of(file, request))
                .collect(),
            outcome: entry
                .convert_to
                .clone()
                .map_or(Outcome::AsFetched, Outcome::Converted),
        }
    }
}

impl PlannedFile {
    fn of(file: &FileSpec, request: &PullRequest) -> Self {
        let (bytes, sha256) = (file.bytes, file.sha256);
        let expected = Expected {
            bytes: Some(bytes),
            sha256: Some(sha256),
        };
        Self {
            name: file.name.clone(),
            keep: file.keep,
            from: match &file.source {
                Source::Pip(members) => Fetch::Pip {
                    members: members.clone(),
                    bytes,
                    sha256,
                },
                Source::Hub(hub) => Fetch::Http {
                    address: request
                        .hub
                        .file_address(&hub.repo, &hub.revision, &hub.file),
                    token: request.hub.token(),
                    expected,
                },
                Source::Url(address) => Fetch::Http {
                    address: address.clone(),
                    token: None,
                    expected,
                },
            },
        }
    }

    pub(super) const fn expected(&self) -> Expected {
        match self.from {
            Fetch::Pip { bytes, sha256, .. } => Expected {
                bytes: Some(bytes),
                sha256: Some(sha256),
            },
            Fetch::Http { expected, .. } => expected,
        }
    }
}

/// One GGUF found at an address.
pub(super) struct Found {
    pub(super) file_name: String,
    pub(super) address: String,
    pub(super) token: Option<Token>,
    pub(super) expected: Expected,
    pub(super) licence: Option<String>,
}

impl Found {
    fn at(url: &UrlRequest) -> Self {
        Self {
            file_name: url.file_name(),
            address: url.address.clone(),
            token: None,
            expected: Expected {
                bytes: None,
                sha256: url.sha256,
            },
            licence: None,
        }
    }
}
