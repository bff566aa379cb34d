//! The field `filter`: which documents a request may take passages from.

use serde::Deserialize;

use super::error::{ApiError, ApiResult};
use super::limits::{MAX_FILTER, MAX_GLOB};
use crate::rag::Filter;

/// As `docs search` takes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FilterField {
    paths: Vec<String>,
    documents: Vec<i64>,
    tags: Vec<String>,
    since: Option<String>,
}

impl FilterField {
    /// Checks it.
    pub(super) fn read(&self) -> ApiResult<Filter> {
        for (kind, n) in [
            ("paths", self.paths.len()),
            ("documents", self.documents.len()),
            ("tags", self.tags.len()),
        ] {
            if n > MAX_FILTER {
                let what = format!("{n} {kind}; at most {MAX_FILTER}");
                return Err(ApiError::invalid("filter", what));
            }
        }
        if let Some(long) = self.paths.iter().find(|path| path.len() > MAX_GLOB) {
            let what = format!("a path of {} bytes; at most {MAX_GLOB}", long.len());
            return Err(ApiError::invalid("filter", what));
        }
        let since = self.since.as_deref().map(str::parse).transpose();
        Ok(Filter {
            paths: self.paths.clone(),
            documents: self.documents.clone(),
            tags: self.tags.clone(),
            since: since.map_err(|error| ApiError {
                param: Some("filter".to_owned()),
                ..ApiError::from(error)
            })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ApiResult<Filter> {
        let field: FilterField = serde_json::from_str(json).expect("a filter");
        field.read()
    }

    #[test]
    fn a_filter_is_checked() {
        let filter = read(r#"{"tags": ["work"], "since": "1970-01-02"}"#).expect("a filter");
        assert_eq!(filter.tags, ["work"]);
        assert_eq!(filter.since.map(|date| date.0), Some(86_400));
        let many = format!(r#"{{"documents": {:?}}}"#, vec![1; MAX_FILTER + 1]);
        let long = format!(r#"{{"paths": ["{}"]}}"#, "a".repeat(MAX_GLOB + 1));
        for wrong in [r#"{"since": "yesterday"}"#, &many, &long] {
            let error = read(wrong).expect_err("an error");
            assert_eq!(error.param.as_deref(), Some("filter"));
        }
        assert!(serde_json::from_str::<FilterField>(r#"{"pathes": []}"#).is_err());
    }
}
