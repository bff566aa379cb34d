//! Names of models and adapters: what one may look like, and which existing one a wrong one was meant to be.

use crate::{Error, Result};

/// Longest name, in bytes. A name becomes a folder, and file systems end at 255 bytes; this leaves room for suffixes.
pub const MAX_NAME: usize = 100;

/// How alike two names must be (Jaro-Winkler, 0 to 1) for one to be proposed for the other. Lower, and the
/// proposals look random.
const ALIKE: f64 = 0.75;

/// Checks a name: ASCII letters, digits, `.`, `_`, `-`, beginning and ending with a letter or digit.
///
/// No path separator, so that a name stays inside its folder; no `=` and `:`, which the command line uses around names.
///
/// # Errors
/// [`Error::InvalidArgument`] with the rule.
pub fn check_name(what: &'static str, name: &str) -> Result<()> {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    let valid = bytes.len() <= MAX_NAME
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().copied().all(is_name_byte);
    if valid {
        return Ok(());
    }
    Err(Error::InvalidArgument {
        what,
        value: name.chars().take(MAX_NAME + 1).collect(),
        expected: format!(
            "1 to {MAX_NAME} letters, digits, '.', '_' or '-', with a letter or digit at both ends, since it names a folder"
        ),
    })
}

/// A valid name made from a file's name, or `None` where nothing usable is in it.
pub(super) fn from_file_name(file: &str) -> Option<String> {
    let stem = file.strip_suffix(".gguf").unwrap_or(file);
    let clean: String = stem
        .bytes()
        .map(|byte| {
            if is_name_byte(byte) {
                char::from(byte)
            } else {
                '-'
            }
        })
        .take(MAX_NAME)
        .collect();
    let trimmed = clean.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// The candidate most like `name`, if one is alike at all: for [`Error::UnknownName`].
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let wanted = name.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&wanted, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "a b",
            "a=1",
            "hf:x",
            ".hidden",
            "trailing.",
            "é",
        ] {
            assert!(check_name("name", bad).is_err(), "{bad:?}");
        }
        assert!(check_name("name", &"a".repeat(MAX_NAME + 1)).is_err());
        for good in ["a", "smollm2", "gemma3-270m", "Q4_K_M.v2"] {
            assert!(check_name("name", good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn the_nearest_name_ignores_case_and_far_ones() {
        let known = ["smollm2", "minilm", "gemma3-270m"];
        assert_eq!(nearest("smolm2", known).as_deref(), Some("smollm2"));
        assert_eq!(nearest("MiniLM", known).as_deref(), Some("minilm"));
        assert_eq!(nearest("zzz", known), None);
    }

    proptest! {
        #[test]
        fn a_name_from_any_file_name_is_valid(file in ".{0,200}") {
            if let Some(name) = from_file_name(&file) {
                prop_assert!(check_name("name", &name).is_ok(), "{name:?}");
            }
        }
    }
}
