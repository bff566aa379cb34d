//! Messages of a chat as clients send them, made into what a chat template reads.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{ApiError, ApiResult};
use crate::engine::Message;

/// A message as it comes.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ChatMessageField {
    role: RoleField,
    content: Option<ContentField>,
    name: Option<String>,
    tool_calls: Option<Vec<ToolCallField>>,
    tool_call_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleField {
    System,
    /// OpenAI's newer name for it.
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ContentField {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct ToolCallField {
    function: FunctionField,
}

#[derive(Debug, Clone, Deserialize)]
struct FunctionField {
    name: String,
    /// JSON in a string.
    arguments: String,
}

/// A message as templates read it: arguments of calls are values, not text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct TemplateMessage {
    pub(super) role: &'static str,
    pub(super) content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

impl Message for TemplateMessage {
    fn content(&self) -> &str {
        &self.content
    }

    fn with_content(&self, content: String) -> Self {
        Self {
            content,
            ..self.clone()
        }
    }
}

impl TemplateMessage {
    pub(super) fn new(role: &'static str, content: String) -> Self {
        Self {
            role,
            content,
            name: None,
            tool_calls: None,
            tool_call_id: None,
        }
    }

    pub(super) fn system(content: String) -> Self {
        Self::new("system", content)
    }

    pub(super) fn user(content: String) -> Self {
        Self::new("user", content)
    }
}

impl ChatMessageField {
    /// Checks it and makes it what templates read.
    pub(super) fn read(&self) -> ApiResult<TemplateMessage> {
        let tool_calls = match &self.tool_calls {
            Some(calls) if !calls.is_empty() => Some(
                calls
                    .iter()
                    .map(ToolCallField::read)
                    .collect::<ApiResult<_>>()?,
            ),
            _ => None,
        };
        let content = match &self.content {
            Some(content) => content.text()?,
            None if tool_calls.is_some() => String::new(),
            None => return Err(ApiError::invalid("messages", "a message has no content")),
        };
        Ok(TemplateMessage {
            role: match self.role {
                RoleField::System | RoleField::Developer => "system",
                RoleField::User => "user",
                RoleField::Assistant => "assistant",
                RoleField::Tool => "tool",
            },
            content,
            name: self.name.clone(),
            tool_calls,
            tool_call_id: self.tool_call_id.clone(),
        })
    }
}

impl ContentField {
    fn text(&self) -> ApiResult<String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Parts(parts) => parts
                .iter()
                .map(|part| match &part.text {
                    Some(text) if part.kind == "text" => Ok(text.as_str()),
                    _ => Err(ApiError {
                        code: "unsupported_content",
                        ..ApiError::invalid(
                            "messages",
                            format!("content of type '{}'; this model reads text", part.kind),
                        )
                    }),
                })
                .collect(),
        }
    }
}

impl ToolCallField {
    fn read(&self) -> ApiResult<Value> {
        let arguments: Value = serde_json::from_str(&self.function.arguments).map_err(|error| {
            ApiError::invalid(
                "messages",
                format!("arguments of a tool call are not JSON: {error}"),
            )
        })?;
        Ok(serde_json::json!({
            "type": "function",
            "function": { "name": self.function.name, "arguments": arguments },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ApiResult<TemplateMessage> {
        let field: ChatMessageField = serde_json::from_str(json).expect("a message");
        field.read()
    }

    #[test]
    fn text_in_parts_is_joined_and_pictures_are_refused() {
        let parts = read(
            r#"{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}"#,
        )
        .expect("text");
        assert_eq!((parts.role, parts.content.as_str()), ("system", "ab"));
        let picture =
            read(r#"{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}"#);
        assert_eq!(picture.err().map(|e| e.code), Some("unsupported_content"));
    }

    #[test]
    fn a_call_s_arguments_become_values() {
        let call = read(
            r#"{"role": "assistant", "content": null,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]}"#,
        )
        .expect("a call");
        let calls = call.tool_calls.expect("calls");
        assert_eq!(calls[0]["function"]["arguments"]["a"], 1);
        assert!(read(r#"{"role": "user"}"#).is_err());
    }
}
