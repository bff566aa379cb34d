//! OpenAI's `tools` and `tool_choice`, for models whose template has a place for them.
//!
//! Calls are read and written in the form that the Hermes and Qwen templates teach, which most small models with tools
//! use: `<tool_call>{"name": .., "arguments": ..}</tool_call>`. Where a call is required, the answer is constrained to it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::app::App;
use super::chat_request::is_absent;
use super::error::{ApiError, ApiResult};
use super::format::check_schema;
use crate::engine::{Constraint, compact};

const BEGIN: &str = "<tool_call>";
const END: &str = "</tool_call>";
/// Tools in one request: OpenAI's limit.
const MAX_TOOLS: usize = 128;

/// The fields.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ToolFields {
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
}

/// What a request wants of its tools.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tools {
    /// There are none, or they are not to be used.
    None,
    /// The model chooses.
    Auto(Value),
    /// It has to call one of these.
    Required(Value),
}

impl ToolFields {
    /// Checks them, and that the model has a use for them.
    pub(super) fn read(&self, app: &App) -> ApiResult<Tools> {
        let tools = self.tools.as_deref().unwrap_or(&[]);
        if tools.is_empty() {
            return match &self.tool_choice {
                Some(Value::String(choice)) if choice == "required" => Err(ApiError::invalid(
                    "tool_choice",
                    "a call is required, and there are no tools",
                )),
                _ => Ok(Tools::None),
            };
        }
        let read = choose(tools, self.tool_choice.as_ref())?;
        if read != Tools::None && !app.template()?.takes_tools() {
            return Err(ApiError {
                code: "tools_unsupported",
                ..ApiError::invalid(
                    "tools",
                    format!(
                        "the chat template of '{}' has no place for tools",
                        app.model().name()
                    ),
                )
            });
        }
        Ok(read)
    }
}

fn choose(tools: &[Value], choice: Option<&Value>) -> ApiResult<Tools> {
    if tools.len() > MAX_TOOLS {
        return Err(ApiError::invalid(
            "tools",
            format!("{} tools; at most {MAX_TOOLS}", tools.len()),
        ));
    }
    for tool in tools {
        let name = tool["function"]["name"].as_str();
        if tool["type"] != "function" || name.is_none_or(str::is_empty) {
            return Err(ApiError::invalid(
                "tools",
                "a tool is {\"type\": \"function\", \"function\": {\"name\": ..}}",
            ));
        }
        if !is_absent(tool["function"].get("parameters")) {
            check_schema(&tool["function"]["parameters"], "tools")?;
        }
    }
    match choice {
        None | Some(Value::Null) => Ok(Tools::Auto(tools.into())),
        Some(Value::String(choice)) => match choice.as_str() {
            "auto" => Ok(Tools::Auto(tools.into())),
            "none" => Ok(Tools::None),
            "required" => Ok(Tools::Required(tools.into())),
            other => Err(ApiError::invalid(
                "tool_choice",
                format!("'{other}'; say auto, none, required or which function"),
            )),
        },
        Some(choice) => {
            let name = choice["function"]["name"].as_str().unwrap_or_default();
            let chosen: Vec<&Value> = tools
                .iter()
                .filter(|tool| tool["function"]["name"] == name)
                .collect();
            if chosen.is_empty() {
                return Err(ApiError::invalid(
                    "tool_choice",
                    format!("there is no tool '{name}'"),
                ));
            }
            Ok(Tools::Required(json!(chosen)))
        }
    }
}

impl Tools {
    /// What the template gets.
    pub(super) fn for_template(&self) -> Option<&Value> {
        match self {
            Self::None => None,
            Self::Auto(tools) | Self::Required(tools) => Some(tools),
        }
    }

    /// What the answer has to be where a call is required.
    pub(super) fn constraint(&self, app: &App) -> ApiResult<Option<Constraint>> {
        let Self::Required(tools) = self else {
            return Ok(None);
        };
        let calls: Vec<Value> = tools
            .as_array()
            .into_iter()
            .flatten()
            .map(call_schema)
            .collect();
        let schema = compact(json!({ "anyOf": calls }));
        let grammar = format!("start: \"{BEGIN}\\n\" call \"\\n{END}\"\ncall: %json {schema}\n");
        Ok(Some(app.constraints()?.lark(grammar)?))
    }
}

/// The schema of a call of one tool.
fn call_schema(tool: &Value) -> Value {
    let function = &tool["function"];
    let parameters = match function.get("parameters") {
        Some(schema) if !schema.is_null() => schema.clone(),
        _ => json!({ "type": "object" }),
    };
    json!({
        "type": "object",
        "properties": { "name": { "const": function["name"] }, "arguments": parameters },
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// What an answer says besides its calls, and the calls in OpenAI's form.
pub(super) fn split_calls(text: &str, id: &str) -> (String, Vec<Value>) {
    let (mut content, mut calls) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (inside, behind) = after.split_once(END).unwrap_or((after, ""));
        match call(inside, &format!("call_{id}_{}", calls.len())) {
            Some(call) => {
                content.push_str(before);
                calls.push(call);
            }
            // Not a call: leave it as it is.
            None => content.push_str(&rest[..rest.len() - behind.len()]),
        }
        rest = behind;
    }
    content.push_str(rest);
    (content.trim().to_owned(), calls)
}

fn call(text: &str, id: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    let name = value["name"].as_str()?;
    let arguments = value.get("arguments").or(value.get("parameters"))?;
    Some(json!({
        "id": id,
        "type": "function",
        "function": { "name": name, "arguments": arguments.to_string() },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_out_of_the_text() {
        let text = "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>\n\
                    <tool_call>{\"name\": \"g\", \"arguments\": {}}";
        let (content, calls) = split_calls(text, "7");
        assert_eq!(content, "Let me see.");
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0]["function"]["arguments"], "{\"a\":1}");
        assert_eq!(calls[1]["id"], "call_7_1");
    }

    #[test]
    fn what_is_no_call_stays_text() {
        let (content, calls) = split_calls("<tool_call>nonsense</tool_call> end", "1");
        assert_eq!(content, "<tool_call>nonsense</tool_call> end");
        assert!(calls.is_empty());
    }

    #[test]
    fn a_choice_is_checked() {
        let tools = [json!({"type": "function", "function": {"name": "f"}})];
        let choice = |text: &str| choose(&tools, Some(&serde_json::from_str(text).expect("JSON")));
        assert_eq!(choice("\"none\"").ok(), Some(Tools::None));
        assert!(matches!(choice("\"required\""), Ok(Tools::Required(_))));
        assert!(choice("\"maybe\"").is_err());
        assert!(choice(r#"{"type": "function", "function": {"name": "h"}}"#).is_err());
        assert!(choose(&[json!({"type": "web"})], None).is_err());
    }
}
