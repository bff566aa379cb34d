//! Suites: what a check measures on. Groups of items in JSONL, natural texts, and the task that an adapter was made
//! for.
//!
//! The groups of `models/suites/` are part of the program; a user's own are a folder of `*.jsonl` and `*.txt` files
//! beside them. What is wrong in a file is said with its line.

mod builtin;
mod group;
mod item;

use std::path::Path;

use sha2::{Digest, Sha256};

pub use group::{Group, Items};
pub use item::{ChoiceItem, PromptItem, TargetItem};

use crate::engine::ContentHash;
use crate::{Error, Result};

/// Largest file read, in bytes: a thousand times what a group needs.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Most files of a suite's folder.
const MAX_FILES: usize = 64;

/// Name of the group of general prompts, answered freely.
pub const GENERAL_PROMPTS: &str = "general_prompts";
/// Name that the adapter's own task has in measurements.
pub const DOMAIN: &str = "domain";

/// A natural text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Name of the stratum: the file's, without its ending.
    pub name: String,
    /// The text.
    pub text: String,
}

/// What a check measures on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    groups: Vec<Group>,
    texts: Vec<Text>,
    domain: Option<Group>,
    hasher: Vec<ContentHash>,
}

impl Suite {
    /// The groups and texts that come with the program.
    ///
    /// # Errors
    /// [`Error::Suite`] never, unless the program was built from broken files. [`Error::NothingInstalled`] in a build
    /// without the feature `suites`.
    pub fn builtin() -> Result<Self> {
        if cfg!(not(feature = "suites")) {
            return Err(Error::NothingInstalled {
                what: "suite",
                advice: "this build has none inside; give a folder of your own, or build with the feature `suites`"
                    .to_owned(),
            });
        }
        let mut suite = Self::empty();
        for (name, text) in builtin::GROUPS {
            suite.add_group(name, text)?;
        }
        for (name, text) in builtin::TEXTS {
            suite.add_text(name, text)?;
        }
        Ok(suite)
    }

    /// A suite without anything: add to it.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            groups: Vec::new(),
            texts: Vec::new(),
            domain: None,
            hasher: Vec::new(),
        }
    }

    /// Adds every `*.jsonl` file of a folder as a group and every `*.txt` file as a text, by name.
    ///
    /// # Errors
    /// [`Error::Suite`] for what is wrong in a file, [`Error::InvalidArgument`] if there are none, or too many,
    /// [`Error::Io`].
    pub fn add_folder(&mut self, folder: &Path) -> Result<()> {
        let mut paths = Vec::new();
        for entry in fs_err::read_dir(folder)? {
            let path = entry?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            if matches!(ending, Some("jsonl" | "txt")) {
                paths.push(path);
            }
        }
        if paths.is_empty() || paths.len() > MAX_FILES {
            return Err(Error::InvalidArgument {
                what: "suite",
                value: folder.display().to_string(),
                expected: format!(
                    "a folder with 1 to {MAX_FILES} groups (*.jsonl) and texts (*.txt), not {}",
                    paths.len()
                ),
            });
        }
        paths.sort_unstable();
        for path in paths {
            let name = stem(&path);
            let text = read(&path)?;
            if path.extension().is_some_and(|ending| ending == "txt") {
                self.add_text(&name, &text)?;
            } else {
                self.add_group(&name, &text)?;
            }
        }
        Ok(())
    }

    /// Adds a group from JSONL.
    ///
    /// # Errors
    /// [`Error::Suite`] for what is wrong in it, or a name that is taken.
    pub fn add_group(&mut self, name: &str, jsonl: &str) -> Result<()> {
        self.check_name(name)?;
        self.groups.push(Group::parse(name, jsonl)?);
        self.hash("group", name, jsonl);
        Ok(())
    }

    /// Adds a natural text.
    ///
    /// # Errors
    /// [`Error::Suite`] for an empty text or a name that is taken.
    pub fn add_text(&mut self, name: &str, text: &str) -> Result<()> {
        self.check_name(name)?;
        if text.trim().is_empty() {
            return Err(wrong(name, 1, "the text is empty".to_owned()));
        }
        self.texts.push(Text {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        self.hash("text", name, text);
        Ok(())
    }

    /// Sets the task that the adapter was made for, from a JSONL file.
    ///
    /// # Errors
    /// As [`Self::set_domain`], and [`Error::Io`].
    pub fn set_domain_file(&mut self, path: &Path) -> Result<()> {
        let text = read(path)?;
        self.set_domain(&stem(path), &text)
    }

    /// Sets the task that the adapter was made for: chat tasks with their answers, or multiple choice.
    ///
    /// # Errors
    /// [`Error::Suite`] for what is wrong in it, or items that have no right answer.
    pub fn set_domain(&mut self, name: &str, jsonl: &str) -> Result<()> {
        let group = Group::parse(name, jsonl)?;
        if matches!(group.items(), Items::Prompts(_)) {
            return Err(wrong(
                name,
                1,
                "a domain item needs a right answer: `target`, or `choices` and `gold`".to_owned(),
            ));
        }
        self.domain = Some(group);
        self.hash("domain", name, jsonl);
        Ok(())
    }

    /// Names of all groups and texts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let texts = self.texts.iter().map(|text| text.name.as_str());
        self.groups.iter().map(Group::name).chain(texts)
    }

    /// Keeps only the groups and texts that `keep` wants, for tests and quick looks; the hash tells the difference.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.groups.retain(|group| keep(group.name()));
        self.texts.retain(|text| keep(&text.name));
        let kept: Vec<&str> = self.names().collect();
        let hash = ContentHash::of(kept.join("\n").as_bytes());
        self.hasher.push(hash);
    }

    /// Every second item of each group and every second paragraph of each text, from the first or from the second on, chosen
    /// by the hash of the id so that neighbours do not go together. A group that would keep fewer than two stays whole.
    #[must_use]
    pub fn half(&self, first: bool) -> Self {
        let mut half = self.clone();
        for group in half.groups.iter_mut().chain(&mut half.domain) {
            group.halve(first);
        }
        for text in &mut half.texts {
            let parts = text.text.split("\n\n").enumerate();
            let kept: Vec<&str> = parts
                .filter(|(i, _)| (i % 2 == 0) == first)
                .map(|(_, part)| part)
                .collect();
            if !kept.is_empty() {
                text.text = kept.join("\n\n");
            }
        }
        half.hasher.push(ContentHash::of(&[u8::from(first)]));
        half
    }

    /// The groups, in order.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The natural texts, in order.
    #[must_use]
    pub fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// The adapter's own task.
    #[must_use]
    pub const fn domain(&self) -> Option<&Group> {
        self.domain.as_ref()
    }

    /// What the suite is, by content: changes with any byte of any file, name or order.
    #[must_use]
    pub fn sha256(&self) -> ContentHash {
        let mut hasher = Sha256::new();
        for part in &self.hasher {
            hasher.update(part.as_bytes());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        ContentHash::from(digest)
    }

    fn check_name(&self, name: &str) -> Result<()> {
        let taken = self.groups.iter().map(Group::name);
        let taken = taken.chain(self.texts.iter().map(|text| text.name.as_str()));
        if name == DOMAIN || taken.into_iter().any(|other| other == name) {
            return Err(wrong(
                name,
                1,
                format!("the name '{name}' is taken by another group; rename the file"),
            ));
        }
        Ok(())
    }

    fn hash(&mut self, kind: &str, name: &str, text: &str) {
        let content = ContentHash::of(text.as_bytes());
        let line = format!("{kind}\n{name}\n{content}");
        self.hasher.push(ContentHash::of(line.as_bytes()));
    }
}

/// An error in a suite's file.
fn wrong(file: &str, line: usize, reason: String) -> Error {
    Error::Suite {
        file: file.to_owned(),
        line,
        reason,
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

fn read(path: &Path) -> Result<String> {
    let size = fs_err::metadata(path)?.len();
    let name = path.display().to_string();
    if size > MAX_FILE_BYTES {
        return Err(wrong(
            &name,
            1,
            format!("the file has {size} bytes, more than the {MAX_FILE_BYTES} allowed"),
        ));
    }
    let bytes = fs_err::read(path)?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        wrong(&name, line, "the line is not UTF-8".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "{\"id\":\"a\",\"prompt\":\"P\"}\n{\"id\":\"b\",\"prompt\":\"Q\"}\n";

    #[test]
    fn the_built_in_groups_are_sound_and_complete() -> Result<()> {
        let suite = Suite::builtin()?;
        for name in [
            "world_knowledge",
            "facts_cloze",
            "commonsense",
            "reasoning",
            "language",
            "arithmetic",
            "safety_honesty",
            "code_format",
        ] {
            let group = suite.groups().iter().find(|group| group.name() == name);
            assert!(group.is_some_and(|group| group.len() >= 60), "{name}");
        }
        let prompts = suite.groups().iter().find(|g| g.name() == GENERAL_PROMPTS);
        assert!(prompts.is_some_and(|group| group.len() >= 240));
        assert!(suite.texts()[0].text.len() > 50_000);
        Ok(())
    }

    #[test]
    fn the_hash_is_of_names_and_content() -> Result<()> {
        let suite = |name: &str, text: &str| -> Result<ContentHash> {
            let mut suite = Suite::empty();
            suite.add_group(name, text)?;
            Ok(suite.sha256())
        };
        let one = suite("mine", TWO)?;
        assert_eq!(one, suite("mine", TWO)?);
        assert_ne!(one, suite("other", TWO)?);
        assert_ne!(one, suite("mine", &TWO.replace('Q', "R"))?);
        Ok(())
    }

    #[test]
    fn names_are_taken_once_and_a_domain_needs_answers() -> Result<()> {
        let mut suite = Suite::empty();
        suite.add_group("mine", TWO)?;
        let error = suite.add_group("mine", TWO).expect_err("taken").to_string();
        assert!(error.contains("'mine' is taken"), "{error}");
        assert!(suite.add_text(DOMAIN, "text").is_err());
        assert!(suite.add_text("empty", " \n").is_err());
        let error = suite
            .set_domain("d", TWO)
            .expect_err("no answers")
            .to_string();
        assert!(error.contains("right answer"), "{error}");
        Ok(())
    }

    #[test]
    fn a_folder_of_ones_own() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut suite = Suite::empty();
        assert!(suite.add_folder(folder.path()).is_err(), "nothing in it");
        fs_err::write(folder.path().join("mine.jsonl"), TWO)?;
        fs_err::write(folder.path().join("letters.txt"), "Dear all,")?;
        fs_err::write(folder.path().join("notes.md"), "not one")?;
        suite.add_folder(folder.path())?;
        assert_eq!(suite.groups()[0].name(), "mine");
        assert_eq!(suite.texts()[0].name, "letters");
        fs_err::write(folder.path().join("latin.txt"), b"one\ntw\xe9\n")?;
        let error = Suite::empty()
            .add_folder(folder.path())
            .expect_err("not UTF-8");
        assert!(error.to_string().contains("latin.txt line 2"), "{error}");
        Ok(())
    }
}
