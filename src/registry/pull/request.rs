//! What is asked for, as text: `NAME`, `hf:OWNER/REPO[:FILE]`, an address, or a path.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::hub::HubAccess;
use crate::engine::ContentHash;
use crate::registry::catalog::{Catalog, Entry};
use crate::registry::name::check_name;
use crate::{Error, Result};

/// Longest address. Servers commonly refuse longer request lines, and nothing to type in comes near it.
const MAX_ADDRESS: usize = 8 * 1024;

/// A request to pull a model.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// Where from.
    pub source: PullSource,
    /// The name to install it under; by default the catalog's, or one made from the file's name.
    pub(super) name: Option<String>,
    pub(super) hub: HubAccess,
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullSource {
    /// An entry of the catalog.
    Catalog(Box<Entry>),
    /// A repository on the hub.
    Hub(HubRequest),
    /// A plain address.
    Url(UrlRequest),
    /// A file that stays where it is.
    Local(PathBuf),
}

/// A GGUF in a hub repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRequest {
    /// `OWNER/REPO`.
    pub repo: String,
    /// Path in the repository; `None` takes the one GGUF that is there.
    pub file: Option<String>,
}

/// A GGUF at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlRequest {
    /// The address, without a fragment.
    pub address: String,
    /// The hash it must have, from a fragment `#sha256=..`.
    pub sha256: Option<ContentHash>,
}

impl PullRequest {
    /// Understands `text`, with names from `catalog`. [`PullRequest::from_str`] does it with the built-in catalog.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name where `text` is no name, address or file; [`Error::InvalidArgument`]
    /// for a malformed `hf:` or address.
    pub fn parse(text: &str, catalog: &Catalog) -> Result<Self> {
        let source = if let Some(rest) = text.strip_prefix("hf:") {
            PullSource::Hub(HubRequest::parse(text, rest)?)
        } else if text.starts_with("https://") || text.starts_with("http://") {
            PullSource::Url(UrlRequest::parse(text)?)
        } else if looks_like_path(text) {
            PullSource::Local(PathBuf::from(text))
        } else {
            match catalog.find(text) {
                Ok(entry) => PullSource::Catalog(Box::new(entry.clone())),
                Err(_) if PathBuf::from(text).is_file() => PullSource::Local(PathBuf::from(text)),
                Err(error) => return Err(error),
            }
        };
        Ok(Self {
            source,
            name: None,
            hub: HubAccess::from_env(),
        })
    }

    /// The same under another name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that cannot be one.
    pub fn named(mut self, name: &str) -> Result<Self> {
        check_name("model name", name)?;
        self.name = Some(name.to_owned());
        Ok(self)
    }

    /// The same from another hub than the environment names.
    #[must_use]
    pub fn with_hub(mut self, hub: HubAccess) -> Self {
        self.hub = hub;
        self
    }
}

impl FromStr for PullRequest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text, &Catalog::load()?)
    }
}

/// How the registry writes where a model came from. Equal requests are equal text.
impl fmt::Display for PullSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog(entry) => f.write_str(&entry.origin()),
            Self::Hub(HubRequest { repo, file: None }) => write!(f, "hf:{repo}"),
            Self::Hub(HubRequest {
                repo,
                file: Some(file),
            }) => write!(f, "hf:{repo}:{file}"),
            Self::Url(UrlRequest {
                address,
                sha256: None,
            }) => f.write_str(address),
            Self::Url(UrlRequest {
                address,
                sha256: Some(hash),
            }) => write!(f, "{address}#sha256={hash}"),
            Self::Local(path) => write!(f, "path:{}", path.display()),
        }
    }
}

impl HubRequest {
    fn parse(text: &str, rest: &str) -> Result<Self> {
        let (repo, file) = match rest.split_once(':') {
            Some((repo, file)) => (repo, Some(file)),
            None => (rest, None),
        };
        let part = |part: &str| check_name("repository", part).is_ok();
        let repo_ok = repo
            .split_once('/')
            .is_some_and(|(owner, name)| part(owner) && part(name));
        let file_ok = file.is_none_or(|file| {
            file.len() <= MAX_ADDRESS
                && file.split('/').all(|part| !matches!(part, "" | "." | ".."))
        });
        if repo_ok && file_ok {
            return Ok(Self {
                repo: repo.to_owned(),
                file: file.map(str::to_owned),
            });
        }
        Err(invalid(text, "hf:OWNER/REPO or hf:OWNER/REPO:FILE"))
    }
}

impl UrlRequest {
    fn parse(text: &str) -> Result<Self> {
        let (address, fragment) = match text.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (text, None),
        };
        let (_, after_scheme) = address.split_once("://").unwrap_or_default();
        let host = after_scheme.split(['/', '?']).next().unwrap_or_default();
        if host.is_empty()
            || address.len() > MAX_ADDRESS
            || address.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(invalid(text, "http(s)://HOST/PATH, without spaces"));
        }
        if host.contains('@') {
            // The registry and messages show addresses.
            return Err(invalid(
                "http(s)://..@..",
                "an address without a user name and password",
            ));
        }
        let sha256 = match fragment {
            None => None,
            Some(fragment) => match fragment.strip_prefix("sha256=") {
                Some(hash) => Some(hash.parse()?),
                None => return Err(invalid(text, "no fragment but #sha256=HASH")),
            },
        };
        Ok(Self {
            address: address.to_owned(),
            sha256,
        })
    }

    /// The last part of the path, decoded.
    pub(super) fn file_name(&self) -> String {
        let path = self.address.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        percent_encoding::percent_decode_str(last)
            .decode_utf8_lossy()
            .into_owned()
    }
}

/// Names have no separators and do not begin with a dot; files that are meant usually do, or end in `.gguf`.
fn looks_like_path(text: &str) -> bool {
    text.contains(std::path::is_separator)
        || text.starts_with(['.', '~'])
        || text.ends_with(".gguf")
}

fn invalid(text: &str, expected: &str) -> Error {
    Error::InvalidArgument {
        what: "source",
        value: text.chars().take(200).collect(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(text: &str) -> Result<PullSource> {
        text.parse::<PullRequest>().map(|request| request.source)
    }

    #[test]
    fn every_form_is_told_apart() -> Result<()> {
        assert!(
            matches!(source("smollm2")?, PullSource::Catalog(entry) if entry.name == "smollm2")
        );
        let repo = "owner/re-po".to_owned();
        assert_eq!(
            source("hf:owner/re-po")?,
            PullSource::Hub(HubRequest {
                repo: repo.clone(),
                file: None
            })
        );
        assert_eq!(
            source("hf:owner/re-po:q4/m.gguf")?,
            PullSource::Hub(HubRequest {
                repo,
                file: Some("q4/m.gguf".into())
            })
        );
        assert_eq!(source("./m")?, PullSource::Local("./m".into()));
        assert_eq!(source("m.gguf")?, PullSource::Local("m.gguf".into()));
        let hash = ContentHash::of(b"");
        assert_eq!(
            source(&format!("https://h/m%20x.gguf?a=1#sha256={hash}"))?,
            PullSource::Url(UrlRequest {
                address: "https://h/m%20x.gguf?a=1".into(),
                sha256: Some(hash)
            })
        );
        Ok(())
    }

    #[test]
    fn malformed_sources_are_refused() {
        for bad in [
            "hf:",
            "hf:owner",
            "hf:owner/",
            "hf:../x",
            "hf:a/b:",
            "hf:a/b:../c",
            "hf:a/b/c",
            "http://",
            "https:///x",
            "http://user:secret@host/x",
            "http://h/a b",
            "http://h/x#md5=1",
            "http://h/x#sha256=12",
        ] {
            assert!(
                matches!(source(bad), Err(Error::InvalidArgument { .. })),
                "{bad}"
            );
        }
        let message = source("http://user:secret@host/x").unwrap_err().to_string();
        assert!(!message.contains("secret"), "{message}");
    }

    #[test]
    fn an_unknown_name_comes_with_the_nearest() {
        let Err(Error::UnknownName { nearest, .. }) = source("smollm") else {
            panic!("not refused")
        };
        assert_eq!(nearest.as_deref(), Some("smollm2"));
    }

    #[test]
    fn the_file_name_is_the_decoded_end_of_the_path() {
        let name = |address: &str| {
            UrlRequest {
                address: address.into(),
                sha256: None,
            }
            .file_name()
        };
        assert_eq!(name("http://h/a/m%20x.gguf?download=1/2"), "m x.gguf");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_display_parses_back(text in "(hf:|http://|https://)?.{0,60}") {
            if let Ok(source) = source(&text)
                && !matches!(source, PullSource::Local(_) | PullSource::Catalog(_))
            {
                let again = source.to_string().parse::<PullRequest>().unwrap().source;
                prop_assert_eq!(again, source);
            }
        }
    }
}
