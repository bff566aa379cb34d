//! OpenAI's `response_format`: what an answer has to look like.

use serde::Deserialize;
use serde_json::Value;

use super::app::App;
use super::error::{ApiError, ApiResult};
use super::limits::{MAX_SCHEMA, MAX_SCHEMA_DEPTH};
use crate::engine::Constraint;

/// The field.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ResponseFormat {
    Text,
    JsonObject {
        /// llama-server's way of giving a schema.
        schema: Option<Value>,
    },
    JsonSchema {
        json_schema: NamedSchema,
    },
}

/// A schema as OpenAI wraps it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct NamedSchema {
    schema: Option<Value>,
}

impl ResponseFormat {
    /// A matcher for one answer.
    pub(super) fn constraint(&self, app: &App) -> ApiResult<Option<Constraint>> {
        let schema = match self {
            Self::Text => return Ok(None),
            Self::JsonObject { schema: None } => {
                return Ok(Some(app.constraints()?.json_object()?));
            }
            Self::JsonObject {
                schema: Some(schema),
            } => schema,
            Self::JsonSchema { json_schema } => json_schema.schema.as_ref().ok_or_else(|| {
                ApiError::invalid("response_format", "json_schema has no 'schema'")
            })?,
        };
        check_schema(schema, "response_format")?;
        Ok(Some(app.constraints()?.json_schema(schema.clone())?))
    }
}

/// Fails for a schema that is larger or deeper than is compiled.
pub(super) fn check_schema(schema: &Value, param: &'static str) -> ApiResult<()> {
    let depth = depth(schema);
    if depth > MAX_SCHEMA_DEPTH {
        return Err(ApiError::invalid(
            param,
            format!("the schema is {depth} levels deep; at most {MAX_SCHEMA_DEPTH}"),
        ));
    }
    let size = schema.to_string().len();
    if size > MAX_SCHEMA {
        return Err(ApiError::invalid(
            param,
            format!("the schema is {size} bytes long; at most {MAX_SCHEMA}"),
        ));
    }
    Ok(())
}

/// Levels of objects and arrays. The body's own limit bounds the recursion.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_has_limits() {
        let nested = |n: usize| {
            (0..n).fold(
                Value::Null,
                |inner, _| serde_json::json!({ "properties": inner }),
            )
        };
        assert!(check_schema(&nested(MAX_SCHEMA_DEPTH), "p").is_ok());
        assert!(check_schema(&nested(MAX_SCHEMA_DEPTH + 1), "p").is_err());
        let long = Value::String("x".repeat(MAX_SCHEMA));
        assert!(check_schema(&long, "p").is_err());
    }
}
