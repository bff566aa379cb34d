//! A chat as tokens in which nobody but the template speaks in control tokens.
//!
//! A template writes control tokens as text, so the rendered prompt has to be read with them recognised; and then a
//! document that contains `<|im_end|>` could end the user's message. So a message that would be read differently with
//! control tokens recognised is kept out of the rendering: a placeholder stands for it, and its own text is split into
//! tokens as plain text, in which no control token is ever recognised, whatever the vocabulary.

use super::model::Model;
use super::session::Segment;
use super::template::{ChatMessage, ChatTemplate, Message};
use crate::error::{Error, Result};
use crate::llama::Token;

/// Encloses the number of a message in its placeholder; a private-use character, which no template writes.
const FENCE: char = '\u{F8F2}';

impl Model {
    /// Renders `messages` by the model's own template and splits them into tokens, up to where the assistant speaks
    /// next. Control tokens come from the template alone.
    ///
    /// # Errors
    /// As [`Model::chat_template`] and [`Model::tokenize`]; [`Error::Template`] if a message spells a control token and
    /// the template does not repeat messages as they are.
    pub fn tokenize_chat(&self, messages: &[ChatMessage]) -> Result<Vec<Token>> {
        self.tokenize_chat_by(&self.chat_template()?, messages, None)
    }

    /// As [`Self::tokenize_chat`], by another template, for messages of any shape that it knows, and with tools, where it has a
    /// place for them. What messages have beside their content, and tools, may still bring in control tokens.
    ///
    /// # Errors
    /// As [`Self::tokenize_chat`].
    pub fn tokenize_chat_by<M: Message>(
        &self,
        template: &ChatTemplate,
        messages: &[M],
        tools: Option<&serde_json::Value>,
    ) -> Result<Vec<Token>> {
        if !self.any_spells_control(messages)? {
            return self.tokenize_prompt(&template.render_with(messages, tools)?);
        }
        let rendered = template.render_with(&placeholders(messages), tools)?;
        let mut tokens = Vec::new();
        let mut rest = rendered.as_str();
        for (nth, content) in said(messages) {
            let (before, after) = rest.split_once(&placeholder(nth)).ok_or_else(altered)?;
            self.append_template(before, &mut tokens)?;
            tokens.extend(self.tokenize_text(content)?);
            rest = after;
        }
        if rest.contains(FENCE) {
            return Err(altered());
        }
        self.append_template(rest, &mut tokens)?;
        Ok(tokens)
    }

    /// As [`Self::tokenize_chat`], with `pieces` of the last message, in their order, apart from the rest.
    ///
    /// # Errors
    /// As [`Self::tokenize_chat`]; [`Error::Template`] also if the last message does not contain the pieces.
    pub fn tokenize_chat_in_segments(
        &self,
        messages: &[ChatMessage],
        pieces: &[String],
    ) -> Result<Vec<Segment>> {
        let rendered = self.chat_template()?.render(&placeholders(messages))?;
        let mut segments = Vec::new();
        let mut between = Vec::new();
        let mut rest = rendered.as_str();
        for (nth, mut content) in said(messages) {
            let (before, after) = rest.split_once(&placeholder(nth)).ok_or_else(altered)?;
            self.append_template(before, &mut between)?;
            if nth + 1 == messages.len() {
                for piece in pieces {
                    let (before, after) = content.split_once(piece).ok_or_else(altered)?;
                    between.extend(self.tokenize_text(before)?);
                    segments.push(Segment {
                        tokens: std::mem::take(&mut between),
                        is_piece: false,
                    });
                    segments.push(Segment {
                        tokens: self.tokenize_text(piece)?,
                        is_piece: true,
                    });
                    content = after;
                }
            }
            between.extend(self.tokenize_text(content)?);
            rest = after;
        }
        self.append_template(rest, &mut between)?;
        segments.push(Segment {
            tokens: between,
            is_piece: false,
        });
        Ok(segments)
    }

    /// Appends text of the template; only the first piece gets what the model wants at the beginning of a text.
    fn append_template(&self, text: &str, tokens: &mut Vec<Token>) -> Result<()> {
        if tokens.is_empty() {
            tokens.extend(self.tokenize_prompt(text)?);
        } else {
            tokens.extend(self.tokenize_markup(text)?);
        }
        Ok(())
    }

    /// Whether a message holds text that would become a control token. Nearly none does, and a long chat takes long to read: it
    /// is read once more only where there is such a token.
    fn any_spells_control<M: Message>(&self, messages: &[M]) -> Result<bool> {
        for content in messages.iter().map(Message::content) {
            let read = self.tokenize_markup(content)?;
            if self.has_markup(&read) && read != self.tokenize_text(content)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn placeholders<M: Message>(messages: &[M]) -> Vec<M> {
    let numbered = messages.iter().enumerate();
    let placed = numbered.map(|(nth, message)| {
        message.with_content(match message.content() {
            "" => String::new(),
            _ => placeholder(nth),
        })
    });
    placed.collect()
}

/// What is said, with the number of its message. A message that says nothing has no placeholder: a template may write it
/// differently than one that says something.
fn said<M: Message>(messages: &[M]) -> impl Iterator<Item = (usize, &str)> {
    let contents = messages.iter().map(Message::content).enumerate();
    contents.filter(|(_, content)| !content.is_empty())
}

fn placeholder(nth: usize) -> String {
    format!("{FENCE}{nth}{FENCE}")
}

fn altered() -> Error {
    Error::Template(
        "a message contains control tokens, and this template does not repeat messages as they are; take them out"
            .to_owned(),
    )
}
