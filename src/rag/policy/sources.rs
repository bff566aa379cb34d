//! Which documents may be quoted, by their path.

use globset::{Glob, GlobBuilder, GlobMatcher};

/// Most patterns of a list: each is tried on each document that is found.
const MAX_PATTERNS: usize = 1000;

/// Patterns of paths. By default everything may be quoted.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    allow: Option<Vec<GlobMatcher>>,
    deny: Vec<GlobMatcher>,
}

impl Sources {
    pub fn new(allow: Option<&[String]>, deny: &[String]) -> Result<Self, String> {
        if allow.is_some_and(<[String]>::is_empty) {
            return Err(
                "sources.allow is empty, which allows nothing; leave it out to allow all"
                    .to_owned(),
            );
        }
        Ok(Self {
            allow: allow
                .map(|allow| matchers("sources.allow", allow))
                .transpose()?,
            deny: matchers("sources.deny", deny)?,
        })
    }

    /// Whether everything may be quoted.
    pub fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    pub fn len(&self) -> usize {
        self.allow.as_ref().map_or(0, Vec::len) + self.deny.len()
    }

    /// Why the document at `path` may not be quoted: the rule and the reason.
    pub fn objection(&self, path: &str) -> Option<(&'static str, String)> {
        if let Some(denied) = self.deny.iter().find(|pattern| pattern.is_match(path)) {
            let pattern = denied.glob().glob();
            return Some(("sources.deny", format!("it matches '{}'", shown(pattern))));
        }
        let allow = self.allow.as_ref()?;
        if allow.iter().any(|pattern| pattern.is_match(path)) {
            return None;
        }
        Some((
            "sources.allow",
            "it matches no pattern that is allowed".to_owned(),
        ))
    }
}

/// Put before a pattern that does not say where it begins.
const ANYWHERE: &str = "**/";

fn matchers(rule: &str, patterns: &[String]) -> Result<Vec<GlobMatcher>, String> {
    if patterns.len() > MAX_PATTERNS {
        return Err(format!("{rule} has more than {MAX_PATTERNS} patterns"));
    }
    let parse = |pattern: &String| {
        matcher(pattern).map_err(|reason| format!("{rule} has the pattern '{pattern}': {reason}"))
    };
    patterns.iter().map(parse).collect()
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    if pattern.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let anchored = pattern.starts_with('/') || pattern.starts_with(ANYWHERE);
    let pattern = if anchored {
        pattern.to_owned()
    } else {
        format!("{ANYWHERE}{pattern}")
    };
    let glob: Result<Glob, _> = GlobBuilder::new(&pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build();
    Ok(glob
        .map_err(|error| error.kind().to_string())?
        .compile_matcher())
}

/// A pattern as it stands in the file, mostly.
fn shown(pattern: &str) -> &str {
    pattern.strip_prefix(ANYWHERE).unwrap_or(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(allow: &[&str], deny: &[&str]) -> Sources {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let allow = owned(allow);
        let allow = (!allow.is_empty()).then_some(allow.as_slice());
        Sources::new(allow, &owned(deny)).expect("patterns")
    }

    #[test]
    fn deny_comes_before_allow() {
        let rules = sources(&["handbook/**", "*.md"], &["drafts/**"]);
        assert_eq!(rules.objection("/home/a/handbook/leave.pdf"), None);
        assert_eq!(rules.objection("/home/a/notes/x.md"), None);
        let denied = rules
            .objection("/home/a/handbook/drafts/leave.md")
            .expect("denied");
        assert_eq!(
            denied,
            ("sources.deny", "it matches 'drafts/**'".to_owned())
        );
        assert_eq!(
            rules
                .objection("/home/a/notes/x.pdf")
                .expect("not allowed")
                .0,
            "sources.allow"
        );
    }

    #[test]
    fn a_star_stays_in_its_folder() {
        let rules = sources(&["/srv/*.txt"], &[]);
        assert_eq!(rules.objection("/srv/a.txt"), None);
        assert!(
            rules.objection("/srv/b/a.txt").is_some() && rules.objection("/x/srv/a.txt").is_some()
        );
        assert!(sources(&[], &[]).is_open() && !rules.is_open());
    }

    #[test]
    fn bad_patterns_are_named() {
        let error = Sources::new(None, &["a[".to_owned()]).expect_err("no pattern");
        assert!(
            error.contains("sources.deny") && error.contains("'a['"),
            "{error}"
        );
        assert!(Sources::new(Some(&[]), &[]).is_err());
        assert!(Sources::new(None, &[" ".to_owned()]).is_err());
    }
}
