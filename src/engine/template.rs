//! The model's own chat template: Jinja, rendered as Hugging Face's `transformers` renders it.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Instructions that a template may execute. Templates come with downloaded files; one that loops for ever must
/// not hang the program. Real ones need a few hundred a message.
const FUEL: u64 = 10_000_000;

/// Name under which the template is kept and reported.
const NAME: &str = "chat_template";

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions for the whole chat.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// A message as a template reads it, whatever else is in it.
pub trait Message: Serialize {
    /// What is said.
    fn content(&self) -> &str;

    /// The same message with something else said.
    #[must_use]
    fn with_content(&self, content: String) -> Self;
}

/// A message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who says it.
    pub role: Role,
    /// What they say.
    pub content: String,
}

impl Message for ChatMessage {
    fn content(&self) -> &str {
        &self.content
    }

    fn with_content(&self, content: String) -> Self {
        Self {
            role: self.role,
            content,
        }
    }
}

impl ChatMessage {
    /// A message of the person.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: content.into(),
        }
    }

    /// Instructions for the whole chat.
    #[must_use]
    pub fn system(content: impl Into<String>) -> Self {
        Self {
            role: Role::System,
            content: content.into(),
        }
    }

    /// An answer of the model.
    #[must_use]
    pub fn assistant(content: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            content: content.into(),
        }
    }
}

/// A parsed chat template with the tokens that it may mention.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// Parses Jinja source.
    ///
    /// # Errors
    /// [`Error::Template`] with the line.
    pub fn new(source: &str, bos_token: String, eos_token: String) -> Result<Self> {
        let mut environment = Environment::new();
        // The three settings of `transformers`' own renderer.
        let whitespace = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|error| describe(&error))?;
        environment.set_syntax(whitespace);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.set_fuel(Some(FUEL));
        environment.add_function("raise_exception", |message: String| {
            Err::<String, _>(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| describe(&error))?;
        Ok(Self {
            environment,
            bos_token,
            eos_token,
        })
    }

    /// Renders a chat up to where the assistant speaks next.
    ///
    /// # Errors
    /// [`Error::Template`] if the template refuses the messages or fails.
    pub fn render(&self, messages: &[ChatMessage]) -> Result<String> {
        self.render_with(messages, None)
    }

    /// As [`Self::render`], for messages of any shape that the template knows, and with tools, where it has a place for
    /// them.
    ///
    /// # Errors
    /// [`Error::Template`] if the template refuses the messages or fails.
    pub fn render_with<M: Serialize>(
        &self,
        messages: &[M],
        tools: Option<&serde_json::Value>,
    ) -> Result<String> {
        self.environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! {
                    messages => Serde(messages),
                    tools => tools.map(Serde),
                    add_generation_prompt => true,
                    bos_token => self.bos_token.as_str(),
                    eos_token => self.eos_token.as_str(),
                })
            })
            .map_err(|error| describe(&error))
    }
}

impl ChatTemplate {
    /// Whether it has a place for tools.
    #[must_use]
    pub fn takes_tools(&self) -> bool {
        self.environment
            .get_template(NAME)
            .is_ok_and(|template| template.undeclared_variables(false).contains("tools"))
    }
}

fn describe(error: &minijinja::Error) -> Error {
    let place = error
        .line()
        .map_or_else(String::new, |line| format!(" (line {line})"));
    let detail = error.detail().unwrap_or("it cannot be rendered");
    Error::Template(format!("{}: {detail}{place}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> Result<ChatTemplate> {
        ChatTemplate::new(source, "<s>".to_owned(), "</s>".to_owned())
    }

    #[test]
    fn renders_as_transformers_does() -> Result<()> {
        let source = "{% for message in messages %}\n    {%- if message['role'].strip() == 'user' %}\n{{ bos_token + message['content'] }}\n    {% endif %}\n{% endfor %}\n{% if add_generation_prompt %}>{% endif %}";
        let text = template(source)?.render(&[ChatMessage::user("hi")])?;
        assert_eq!(text, "<s>hi\n>");
        Ok(())
    }

    #[test]
    fn a_template_can_refuse() -> Result<()> {
        let refusing = template("{{ raise_exception('roles must alternate') }}")?;
        let error = refusing.render(&[]).err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.contains("roles must alternate")));
        Ok(())
    }

    #[test]
    fn a_template_that_does_not_end_is_stopped() -> Result<()> {
        let looping = template(
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}",
        )?;
        assert!(looping.render(&[]).is_err());
        Ok(())
    }

    #[test]
    fn tools_go_where_a_template_has_a_place_for_them() -> Result<()> {
        let with = template("{% if tools %}{{ tools | tojson }}{% endif %}")?;
        let tools = serde_json::json!([{ "name": "f" }]);
        assert!(with.takes_tools());
        assert_eq!(with.render(&[])?, "");
        let text = with.render_with::<ChatMessage>(&[], Some(&tools))?;
        assert!(text.contains("\"name\""), "{text}");
        assert!(!template("{{ messages }}")?.takes_tools());
        Ok(())
    }

    #[test]
    fn what_is_not_jinja_is_an_error() {
        assert!(template("{% for %}").is_err());
    }
}
