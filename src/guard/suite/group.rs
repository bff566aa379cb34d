//! A group: items of one kind from one file.

use std::collections::HashSet;

use super::item::{ChoiceItem, Item, Line, PromptItem, TargetItem};
use super::wrong;
use crate::Result;
use crate::engine::ContentHash;

/// Longest line in bytes: longer than any context holds as tokens of one item.
const MAX_LINE_BYTES: usize = 64 << 10;
/// Most items: beyond it nothing is decided any better.
const MAX_ITEMS: usize = 20_000;
/// Fewest items: the spread of a single one is unknown, so no verdict could rest on it.
const MIN_ITEMS: usize = 2;

/// The items of a group, all of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Items {
    /// Multiple choice.
    Choice(Vec<ChoiceItem>),
    /// One right continuation (a cloze), or one right answer (a task).
    Target(Vec<TargetItem>),
    /// Free answers.
    Prompts(Vec<PromptItem>),
}

/// A named group of at least two items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    name: String,
    items: Items,
}

impl Group {
    /// Reads JSONL. Empty lines are skipped.
    ///
    /// # Errors
    /// [`crate::Error::Suite`] with the line: no JSON, a wrong or missing key, a kind unlike the first line's, an id that
    /// stands twice, too long; or with the last line, if there are fewer than two items or too many.
    pub fn parse(name: &str, jsonl: &str) -> Result<Self> {
        let mut reader = Reader::default();
        let mut last = 1;
        for (number, line) in (1..).zip(jsonl.lines()) {
            last = number;
            if line.trim().is_empty() {
                continue;
            }
            reader
                .take(line)
                .map_err(|reason| wrong(name, number, reason))?;
        }
        if reader.ids.len() < MIN_ITEMS {
            let n = reader.ids.len();
            return Err(wrong(
                name,
                last,
                format!(
                    "{n} items; a group needs at least {MIN_ITEMS}, since the spread of one is unknown"
                ),
            ));
        }
        let items = match reader {
            Reader { choice, .. } if !choice.is_empty() => Items::Choice(choice),
            Reader { target, .. } if !target.is_empty() => Items::Target(target),
            Reader { prompts, .. } => Items::Prompts(prompts),
        };
        Ok(Self {
            name: name.to_owned(),
            items,
        })
    }

    /// The group's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The items.
    #[must_use]
    pub const fn items(&self) -> &Items {
        &self.items
    }

    /// Number of items, at least two.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.items {
            Items::Choice(items) => items.len(),
            Items::Target(items) => items.len(),
            Items::Prompts(items) => items.len(),
        }
    }

    /// Never: a group has at least two items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps one half of the items, see [`super::Suite::half`].
    pub(super) fn halve(&mut self, first: bool) {
        fn keep<T: Clone>(items: &mut Vec<T>, first: bool, id: impl Fn(&T) -> &str) {
            let is_first =
                |item: &T| ContentHash::of(id(item).as_bytes()).as_bytes()[0].is_multiple_of(2);
            let kept: Vec<T> = items
                .iter()
                .filter(|item| is_first(item) == first)
                .cloned()
                .collect();
            if kept.len() >= MIN_ITEMS {
                *items = kept;
            }
        }
        match &mut self.items {
            Items::Choice(items) => keep(items, first, |item| &item.id),
            Items::Target(items) => keep(items, first, |item| &item.id),
            Items::Prompts(items) => keep(items, first, |item| &item.id),
        }
    }

    /// Prompts with their answers, for comparing with an adapter's training rows.
    pub fn texts(&self) -> Vec<(&str, String)> {
        match &self.items {
            Items::Choice(items) => items
                .iter()
                .map(|item| {
                    let gold = item.choices.get(item.gold).map_or("", String::as_str);
                    (item.id.as_str(), format!("{} {gold}", item.prompt))
                })
                .collect(),
            Items::Target(items) => items
                .iter()
                .map(|item| (item.id.as_str(), format!("{} {}", item.prompt, item.target)))
                .collect(),
            Items::Prompts(items) => items
                .iter()
                .map(|item| (item.id.as_str(), item.prompt.clone()))
                .collect(),
        }
    }
}

#[derive(Default)]
struct Reader {
    ids: HashSet<String>,
    choice: Vec<ChoiceItem>,
    target: Vec<TargetItem>,
    prompts: Vec<PromptItem>,
}

impl Reader {
    fn take(&mut self, line: &str) -> std::result::Result<(), String> {
        if line.len() > MAX_LINE_BYTES {
            return Err(format!(
                "the line has {} bytes, more than the {MAX_LINE_BYTES} allowed",
                line.len()
            ));
        }
        if self.ids.len() >= MAX_ITEMS {
            return Err(format!("more than {MAX_ITEMS} items"));
        }
        let parsed: Line =
            serde_json::from_str(line).map_err(|error| reason_of(&error.to_string()))?;
        if !self.ids.insert(parsed.id.clone()) {
            return Err(format!("id '{}' stands twice", parsed.id));
        }
        match parsed.into_item()? {
            Item::Choice(item) => self.choice.push(item),
            Item::Target(item) => self.target.push(item),
            Item::Prompt(item) => self.prompts.push(item),
        }
        let kinds = [
            self.choice.is_empty(),
            self.target.is_empty(),
            self.prompts.is_empty(),
        ];
        if kinds.into_iter().filter(|empty| !empty).count() > 1 {
            return Err(
                "another kind of item than on the lines before; put it into a group of its own"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// serde's reason, without its own count of lines, which is always 1.
fn reason_of(error: &str) -> String {
    error
        .split_once(" at line ")
        .map_or(error, |(reason, _)| reason)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(jsonl: &str, words: &str) {
        let error = Group::parse("mine", jsonl)
            .expect_err("refused")
            .to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn each_mistake_is_named_with_its_line() {
        let good = "{\"id\":\"a\",\"prompt\":\"P\",\"choices\":[\"x\",\"y\"],\"gold\":1}\n";
        refused("", "0 items");
        refused(good, "1 items; a group needs at least 2");
        refused(&format!("{good}nonsense"), "mine line 2: expected");
        refused(&format!("{good}{good}"), "line 2: id 'a' stands twice");
        refused(
            &format!("{good}{{\"id\":\"b\",\"prompt\":\"P\"}}"),
            "line 2: another kind",
        );
        refused(
            &good.replace("\"gold\":1", "\"gold\":2"),
            "`gold` is 2, but the 2 choices",
        );
        refused(
            &good.replace("\"gold\":1", "\"gold\":-1"),
            "line 1: invalid value",
        );
        refused(&good.replace("\"y\"", "\"x\""), "choice 1 stands twice");
        refused(&good.replace(",\"y\"", ""), "1 choices, expected 2 to 32");
        refused(&good.replace("\"y\"", "\" \""), "choice 1 is empty");
        refused(&good.replace(",\"gold\":1", ""), "`choices` with `gold`");
        refused(&good.replace("\"P\"", "\" \""), "`prompt` is empty");
        refused("{\"prompt\":\"P\"}", "missing field `id`");
        refused(
            "{\"id\":\"a\",\"prompt\":\"P\",\"target\":\"\"}",
            "`target` is empty",
        );
        refused(&"x".repeat(70_000), "70000 bytes");
    }

    #[test]
    fn halves_share_nothing_and_leave_nothing_out() -> Result<()> {
        let lines: String = (0..40)
            .map(|i| format!("{{\"id\":\"{i}\",\"prompt\":\"P\"}}\n"))
            .collect();
        let whole = Group::parse("g", &lines)?;
        let half = |first| {
            let mut group = whole.clone();
            group.halve(first);
            group
                .texts()
                .iter()
                .map(|(id, _)| (*id).to_owned())
                .collect::<HashSet<_>>()
        };
        let (one, other) = (half(true), half(false));
        assert!(one.is_disjoint(&other));
        assert_eq!(one.len() + other.len(), 40);
        assert!(one.len() > 10 && other.len() > 10);
        Ok(())
    }

    #[test]
    fn the_kind_follows_from_the_keys() -> Result<()> {
        let two = |rest: &str| {
            format!(
                "{{\"id\":\"a\",\"prompt\":\"P\"{rest}}}\n\n{{\"id\":\"b\",\"prompt\":\"P\"{rest},\"note\":1}}"
            )
        };
        let kind = |rest: &str| Group::parse("g", &two(rest)).map(|group| group.items().clone());
        assert!(matches!(kind("")?, Items::Prompts(items) if items.len() == 2));
        assert!(matches!(kind(",\"target\":\"T\"")?, Items::Target(_)));
        assert!(matches!(
            kind(",\"choices\":[\"x\",\"y\"],\"gold\":0")?,
            Items::Choice(_)
        ));
        Ok(())
    }
}
