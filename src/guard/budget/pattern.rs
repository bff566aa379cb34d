//! Names of groups with `*` in them.

use serde::Serialize;

/// Names and patterns: as long as file names may be.
const MAX_NAME_BYTES: usize = 255;

/// A group's name in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Takes a name or a pattern of 1 to 255 bytes.
    pub(super) fn new(text: String) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_NAME_BYTES {
            let n = text.len();
            return Err(format!(
                "a group's name has {n} bytes; write 1 to {MAX_NAME_BYTES}"
            ));
        }
        Ok(Self(text))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return self.0 == name;
        };
        let Some(mut name) = name.strip_prefix(head) else {
            return false;
        };
        // The first place for each middle part leaves most to the others.
        let mut parts = rest.split('*').collect::<Vec<_>>();
        let tail = parts.pop().unwrap_or("");
        for part in parts {
            match name.split_once(part) {
                Some((_, after)) => name = after,
                None => return false,
            }
        }
        name.ends_with(tail)
    }

    pub(super) fn is_name(&self) -> bool {
        !self.0.contains('*')
    }

    /// Names before patterns, then by letters.
    pub(super) fn specificity(&self) -> (bool, usize) {
        let letters = self.0.chars().filter(|letter| *letter != '*').count();
        (self.is_name(), letters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let fits = |pattern: &str, name| Pattern(pattern.to_owned()).matches(name);
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "acb", false),
            ("abc", "abcd", false),
            ("**", "x", true),
            ("*é*", "née", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
