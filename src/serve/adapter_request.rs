//! Which adapters a request asks for, in any of the three ways: by the model's name, by `adapter`, by llama-server's
//! `lora`.

use serde::Deserialize;

use super::error::{ApiError, ApiResult};
use super::limits::MAX_STACK;

/// Between a base and an adapter in a model's name.
const SEPARATOR: &str = "::";
/// Between the adapters of a stack in a model's name.
const AND: char = '+';

/// The field `adapter`: a name, a name with its scale, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum AdapterField {
    One(AdapterSpec),
    Several(Vec<AdapterSpec>),
}

/// One of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum AdapterSpec {
    /// `"name"` or `"name=0.5"`.
    Text(String),
    Object {
        name: String,
        scale: Option<f32>,
    },
}

/// An entry of `lora`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct LoraSpec {
    id: LoraId,
    scale: Option<f32>,
}

/// How `lora` names an adapter: by its place in `/lora-adapters`, or by its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum LoraId {
    Index(usize),
    Name(String),
}

/// An adapter that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) name: WantedName,
    pub(super) scale: Option<f32>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum WantedName {
    Name(String),
    Index(usize),
}

/// What a request says of its adapters.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct AdapterFields {
    pub(super) model: Option<String>,
    pub(super) adapter: Option<AdapterField>,
    #[serde(default)]
    pub(super) lora: Option<Vec<LoraSpec>>,
}

/// What a model's name says.
#[derive(Debug, PartialEq)]
pub(super) enum ModelName<'a> {
    /// None, so the base.
    Default,
    /// The base or an adapter: which one is for who knows both.
    Bare(&'a str),
    /// `base::adapter`, or `base::one+two`.
    With(&'a str, Vec<&'a str>),
}

impl<'a> ModelName<'a> {
    pub(super) fn parse(text: Option<&'a str>) -> Self {
        match text.map(str::trim) {
            None | Some("") => Self::Default,
            Some(text) => match text.split_once(SEPARATOR) {
                None => Self::Bare(text),
                Some((base, adapters)) => Self::With(base, adapters.split(AND).collect()),
            },
        }
    }
}

impl AdapterFields {
    /// What `adapter` and `lora` ask for, those of the model's name not included.
    pub(super) fn wanted(&self) -> ApiResult<Vec<Wanted>> {
        let specs = match &self.adapter {
            None => Vec::new(),
            Some(AdapterField::One(spec)) => vec![spec],
            Some(AdapterField::Several(specs)) => specs.iter().collect(),
        };
        let mut wanted = specs
            .into_iter()
            .map(AdapterSpec::wanted)
            .collect::<ApiResult<Vec<_>>>()?;
        wanted.extend(self.lora.iter().flatten().map(|spec| Wanted {
            name: match &spec.id {
                LoraId::Index(index) => WantedName::Index(*index),
                LoraId::Name(name) => WantedName::Name(name.clone()),
            },
            scale: spec.scale,
        }));
        if wanted.len() > MAX_STACK {
            return Err(ApiError::invalid(
                "adapter",
                format!(
                    "{} adapters in one stack; at most {MAX_STACK}",
                    wanted.len()
                ),
            ));
        }
        Ok(wanted)
    }
}

impl AdapterSpec {
    fn wanted(&self) -> ApiResult<Wanted> {
        match self {
            Self::Object { name, scale } => Ok(Wanted {
                name: WantedName::Name(name.clone()),
                scale: *scale,
            }),
            Self::Text(text) => Wanted::parse(text),
        }
    }
}

impl Wanted {
    /// Reads `name` or `name=scale`.
    pub(super) fn parse(text: &str) -> ApiResult<Self> {
        let Some((name, scale)) = text.rsplit_once('=') else {
            return Ok(Self {
                name: WantedName::Name(text.to_owned()),
                scale: None,
            });
        };
        let scale = scale.parse().map_err(|_| {
            ApiError::invalid(
                "adapter",
                format!("'{scale}' in '{text}' is not a number; write NAME or NAME=SCALE"),
            )
        })?;
        Ok(Self {
            name: WantedName::Name(name.to_owned()),
            scale: Some(scale),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(json: &str) -> Vec<(String, Option<f32>)> {
        let fields: AdapterFields = serde_json::from_str(json).expect("fields");
        let name = |name| match name {
            WantedName::Name(name) => name,
            WantedName::Index(index) => format!("#{index}"),
        };
        let wanted = fields.wanted().expect("wanted");
        wanted
            .into_iter()
            .map(|w| (name(w.name), w.scale))
            .collect()
    }

    #[test]
    fn the_three_ways_of_asking() {
        assert_eq!(wanted(r#"{"adapter": "a"}"#), [("a".into(), None)]);
        assert_eq!(wanted(r#"{"adapter": "a=0.5"}"#), [("a".into(), Some(0.5))]);
        assert_eq!(
            wanted(
                r#"{"adapter": ["a", {"name": "b", "scale": -1}], "lora": [{"id": 1, "scale": 2}, {"id": "c"}]}"#
            ),
            [
                ("a".into(), None),
                ("b".into(), Some(-1.0)),
                ("#1".into(), Some(2.0)),
                ("c".into(), None)
            ]
        );
        assert_eq!(wanted("{}"), []);
    }

    #[test]
    fn a_model_s_name_may_carry_adapters() {
        assert_eq!(ModelName::parse(None), ModelName::Default);
        assert_eq!(ModelName::parse(Some("m")), ModelName::Bare("m"));
        assert_eq!(
            ModelName::parse(Some("m::a+b")),
            ModelName::With("m", vec!["a", "b"])
        );
    }
}
