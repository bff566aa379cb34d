//! One item of a group, as it stands on a line, checked.

use serde::Deserialize;

/// Most choices of an item: each takes a sequence of the engine's context.
pub const MAX_CHOICES: usize = 32;

/// A question with choices, one of which is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceItem {
    /// Unique in its group.
    pub id: String,
    /// What it shares with others, such as a passage: items of a cluster are not independent.
    pub cluster: Option<String>,
    /// The question, up to where the choice begins.
    pub prompt: String,
    /// At least two, none empty.
    pub choices: Vec<String>,
    /// Index of the right one.
    pub gold: usize,
}

/// A prompt with its one right continuation or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetItem {
    /// Unique in its group.
    pub id: String,
    /// What it shares with others.
    pub cluster: Option<String>,
    /// The beginning of a sentence, or what the user says.
    pub prompt: String,
    /// How it goes on, or the whole answer.
    pub target: String,
}

/// A prompt to answer freely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptItem {
    /// Unique in its group.
    pub id: String,
    /// What it shares with others.
    pub cluster: Option<String>,
    /// What the user says.
    pub prompt: String,
}

/// A line as it stands in the file. Other keys are allowed, so that suites may carry remarks.
#[derive(Debug, Deserialize)]
pub struct Line {
    pub id: String,
    pub cluster: Option<String>,
    pub prompt: String,
    pub choices: Option<Vec<String>>,
    pub gold: Option<usize>,
    pub target: Option<String>,
}

/// What a line turns out to be.
pub enum Item {
    Choice(ChoiceItem),
    Target(TargetItem),
    Prompt(PromptItem),
}

impl Line {
    /// Checks what can be checked of one line.
    pub fn into_item(self) -> Result<Item, String> {
        let Self {
            id,
            cluster,
            prompt,
            choices,
            gold,
            target,
        } = self;
        if id.is_empty() {
            return Err("`id` is empty".to_owned());
        }
        if prompt.trim().is_empty() {
            return Err("`prompt` is empty".to_owned());
        }
        match (choices, gold, target) {
            (Some(choices), Some(gold), None) => {
                check_choices(&choices, gold)?;
                Ok(Item::Choice(ChoiceItem {
                    id,
                    cluster,
                    prompt,
                    choices,
                    gold,
                }))
            }
            (None, None, Some(target)) if target.trim().is_empty() => {
                Err("`target` is empty".to_owned())
            }
            (None, None, Some(target)) => Ok(Item::Target(TargetItem {
                id,
                cluster,
                prompt,
                target,
            })),
            (None, None, None) => Ok(Item::Prompt(PromptItem {
                id,
                cluster,
                prompt,
            })),
            _ => Err(
                "an item has `choices` with `gold`, or `target`, or neither, and nothing in between"
                    .to_owned(),
            ),
        }
    }
}

fn check_choices(choices: &[String], gold: usize) -> Result<(), String> {
    let n = choices.len();
    if !(2..=MAX_CHOICES).contains(&n) {
        return Err(format!("{n} choices, expected 2 to {MAX_CHOICES}"));
    }
    if gold >= n {
        return Err(format!(
            "`gold` is {gold}, but the {n} choices count from 0 to {}",
            n - 1
        ));
    }
    for (i, choice) in choices.iter().enumerate() {
        if choice.trim().is_empty() {
            return Err(format!("choice {i} is empty"));
        }
        if choices[..i].contains(choice) {
            return Err(format!("choice {i} stands twice: '{choice}'"));
        }
    }
    Ok(())
}
