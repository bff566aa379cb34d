//! PEFT's `adapter_config.json`: rank, alpha, their patterns by module, and the refusal of every
//! option that changes what an adapter computes beyond `W + scaling * B A`.

use std::fmt;
use std::path::Path;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::MAX_RANK;
use crate::{Error, Result};

/// The configuration's file within a PEFT folder.
pub(super) const CONFIG: &str = "adapter_config.json";

/// Bytes of a configuration. Real ones have about one kilobyte; patterns may list every layer.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Patterns of one kind. One for each linear layer of a very deep model.
const MAX_PATTERNS: usize = 1 << 13;

/// The largest alpha. Real ones are a few times the rank; the bound keeps `alpha * sqrt(rank)` and
/// the folding of ratios within `f32`.
const MAX_ALPHA: f64 = 1e6;

/// The smallest alpha: below it an adapter has no effect that F32 could show.
const MIN_ALPHA: f64 = 1e-6;

/// Bytes a compiled pattern may take, so that a hostile expression cannot exhaust memory.
const MAX_PATTERN_SIZE: usize = 1 << 18;

/// Options that must be unset (absent, null, false or empty), and what they would mean.
const MUST_BE_UNSET: &[(&str, &str)] = &[
    (
        "use_dora",
        "DoRA rescales each weight column by a learned magnitude",
    ),
    ("modules_to_save", "it replaces whole modules of the base"),
    ("lora_bias", "it trains biases of the LoRA factors"),
    (
        "trainable_token_indices",
        "it retrains single token embeddings",
    ),
    ("fan_in_fan_out", "its weights are stored transposed"),
    (
        "target_parameters",
        "it adapts bare parameters instead of modules",
    ),
    ("layer_replication", "it changes the layers of the base"),
    ("use_qalora", "QALoRA pools the input in groups"),
    ("use_bdlora", "BD-LoRA makes a factor block-diagonal"),
    (
        "alora_invocation_tokens",
        "aLoRA is active only after certain tokens",
    ),
    ("arrow_config", "Arrow routes between several adapters"),
    ("kasa_config", "KaSA changes the base weight"),
    ("monteclora_config", "MonteCLoRA samples its weights"),
    ("megatron_config", "its layers are split for Megatron"),
    ("loftq_config", "LoftQ changes the base weight"),
];

/// Initializations that leave the base as it was. Others (PiSSA, OLoRA, CorDA, LoRA-GA, LoftQ)
/// train against a changed base, and mean something else on the original one.
const HARMLESS_INIT: &[&str] = &["gaussian", "eva", "orthogonal"];

/// What a conversion needs to know.
#[derive(Debug)]
pub(super) struct PeftConfig {
    rank: u32,
    alpha: f64,
    rslora: bool,
    rank_pattern: Vec<(Regex, f64)>,
    alpha_pattern: Vec<(Regex, f64)>,
    pub(super) base_model: Option<String>,
    pub(super) peft_version: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    peft_type: Option<String>,
    r: Option<f64>,
    lora_alpha: Option<f64>,
    use_rslora: Option<bool>,
    bias: Option<String>,
    init_lora_weights: Option<Value>,
    rank_pattern: Option<Pattern>,
    alpha_pattern: Option<Pattern>,
    base_model_name_or_path: Option<String>,
    peft_version: Option<String>,
}

impl PeftConfig {
    /// Reads and judges `adapter_config.json` at `path`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let size = fs_err::metadata(path).map_err(Error::io(path))?.len();
        if size > MAX_CONFIG_BYTES {
            return Err(Error::invalid(
                path,
                format!(
                    "{size} bytes are above the limit of {MAX_CONFIG_BYTES} for a configuration"
                ),
            ));
        }
        let text = fs_err::read_to_string(path).map_err(Error::io(path))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let not_json = |cause| Error::invalid(path, format!("not a PEFT configuration: {cause}"));
        let options: serde_json::Map<String, Value> =
            serde_json::from_str(text).map_err(not_json)?;
        let raw: Raw = serde_json::from_str(text).map_err(not_json)?;
        if raw.peft_type.as_deref() != Some("LORA") {
            let found = raw.peft_type.as_deref().unwrap_or("missing");
            return Err(Error::refused(
                path,
                format!("peft_type is {found}, not LORA"),
            ));
        }
        for (option, meaning) in MUST_BE_UNSET {
            if let Some(value) = options.get(*option).filter(|value| is_set(value)) {
                return Err(Error::refused(
                    path,
                    format!("{option} is {}: {meaning}", brief(value)),
                ));
            }
        }
        if let Some(bias) = raw.bias.as_deref().filter(|bias| *bias != "none") {
            return Err(Error::refused(
                path,
                format!("bias is {bias:?}: it retrains biases of the base"),
            ));
        }
        check_init(path, raw.init_lora_weights.as_ref())?;
        let config = Self {
            rank: rank(path, "r", raw.r)?,
            alpha: alpha(path, "lora_alpha", raw.lora_alpha)?,
            rslora: raw.use_rslora.unwrap_or(false),
            rank_pattern: compile(path, "rank_pattern", raw.rank_pattern)?,
            alpha_pattern: compile(path, "alpha_pattern", raw.alpha_pattern)?,
            base_model: raw.base_model_name_or_path,
            peft_version: raw.peft_version,
        };
        for (pattern, value) in &config.rank_pattern {
            rank(path, pattern.as_str(), Some(*value))?;
        }
        for (pattern, value) in &config.alpha_pattern {
            alpha(path, pattern.as_str(), Some(*value))?;
        }
        Ok(config)
    }

    /// The rank of a module, by its path within the base model.
    pub(super) fn rank_of(&self, module: &str) -> u32 {
        // Checked in `parse` to be a whole number within the limits.
        first_match(&self.rank_pattern, module).map_or(self.rank, |rank| rank as u32)
    }

    /// What PEFT multiplies `B A` of a module with: `alpha / rank`, or `alpha / sqrt(rank)` with
    /// rank-stabilized LoRA (Kalajdzievski 2023).
    pub(super) fn scaling_of(&self, module: &str) -> f64 {
        let alpha = first_match(&self.alpha_pattern, module).unwrap_or(self.alpha);
        alpha / self.divisor(self.rank_of(module))
    }

    /// The alpha for the GGUF file: the one for which `alpha / rank` is the scaling of a module
    /// without patterns.
    pub(super) fn gguf_alpha(&self) -> f64 {
        self.alpha / self.divisor(self.rank) * f64::from(self.rank)
    }

    fn divisor(&self, rank: u32) -> f64 {
        let rank = f64::from(rank);
        if self.rslora { rank.sqrt() } else { rank }
    }
}

fn check_init(path: &Path, init: Option<&Value>) -> Result<()> {
    match init {
        None | Some(Value::Null | Value::Bool(_)) => Ok(()),
        Some(Value::String(name)) if HARMLESS_INIT.contains(&name.as_str()) => Ok(()),
        Some(other) => Err(Error::refused(
            path,
            format!(
                "init_lora_weights is {}: it was trained against a changed base; save it from PEFT with path_initial_model_for_weight_conversion",
                brief(other)
            ),
        )),
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
    }
}

fn brief(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

fn rank(path: &Path, what: &str, value: Option<f64>) -> Result<u32> {
    let stated = value.unwrap_or(0.0);
    if stated.fract() == 0.0 && (1.0..=MAX_RANK as f64).contains(&stated) {
        return Ok(stated as u32);
    }
    let found = value.map_or("missing".to_owned(), |v| v.to_string());
    Err(Error::refused(
        path,
        format!("the rank {what} is {found}, not a whole number from 1 to {MAX_RANK}"),
    ))
}

fn alpha(path: &Path, what: &str, value: Option<f64>) -> Result<f64> {
    match value {
        // llama.cpp reads alpha 0 as "no scaling" where PEFT means "no effect".
        Some(alpha) if (MIN_ALPHA..=MAX_ALPHA).contains(&alpha) => Ok(alpha),
        other => {
            let found = other.map_or("missing".to_owned(), |v| v.to_string());
            Err(Error::refused(
                path,
                format!(
                    "the alpha {what} is {found}, not a number from {MIN_ALPHA} to {MAX_ALPHA}"
                ),
            ))
        }
    }
}

/// A JSON object in its written order: PEFT takes the first pattern that matches.
struct Pattern(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Pattern;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of numbers by module")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pattern, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Pattern(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Compiles patterns as PEFT's `get_pattern_key` does: each names a module or the end of its path.
fn compile(path: &Path, what: &str, pattern: Option<Pattern>) -> Result<Vec<(Regex, f64)>> {
    let entries = pattern.map(|p| p.0).unwrap_or_default();
    if entries.len() > MAX_PATTERNS {
        let n = entries.len();
        return Err(Error::invalid(
            path,
            format!("{what} has {n} entries, above the limit of {MAX_PATTERNS}"),
        ));
    }
    entries
        .into_iter()
        .map(|(key, value)| {
            let regex = RegexBuilder::new(&format!(r"^(?:(?:.*\.)?(?:{key}))$"))
                .size_limit(MAX_PATTERN_SIZE)
                .build()
                .map_err(|_| {
                    let key = brief(&Value::String(key));
                    Error::refused(
                        path,
                        format!("{what} {key} is not an expression that is understood"),
                    )
                })?;
            Ok((regex, value))
        })
        .collect()
}

fn first_match(patterns: &[(Regex, f64)], module: &str) -> Option<f64> {
    let (_, value) = patterns.iter().find(|(regex, _)| regex.is_match(module))?;
    Some(*value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extra: &str) -> Result<PeftConfig> {
        let text = format!(r#"{{"peft_type": "LORA", "r": 8, "lora_alpha": 16{extra}}}"#);
        PeftConfig::parse(Path::new("adapter_config.json"), &text)
    }

    const Q0: &str = "model.layers.0.self_attn.q_proj";

    #[test]
    fn patterns_choose_by_the_end_of_the_path_and_by_order() {
        let config = parse(
            r#", "rank_pattern": {"layers\\.0\\..*q_proj": 4, "q_proj": 2, "proj": 64},
               "alpha_pattern": {"^model.layers.0.self_attn.q_proj": 6}"#,
        )
        .unwrap();
        assert_eq!(config.rank_of(Q0), 4);
        assert_eq!(config.rank_of("model.layers.1.self_attn.q_proj"), 2);
        assert_eq!(config.rank_of("model.layers.1.self_attn.k_proj"), 8);
        assert_eq!(config.scaling_of(Q0), 6.0 / 4.0);
        assert_eq!(config.scaling_of("model.layers.1.self_attn.q_proj"), 8.0);
    }

    #[test]
    fn rank_stabilized_scaling_divides_by_the_root() {
        let config = parse(r#", "use_rslora": true, "rank_pattern": {"q_proj": 2}"#).unwrap();
        let k = config.scaling_of("model.layers.0.self_attn.k_proj");
        assert!((k - 16.0 / 8.0_f64.sqrt()).abs() < 1e-12);
        assert!((config.gguf_alpha() / 8.0 - k).abs() < 1e-12);
        assert!((config.scaling_of(Q0) - 16.0 / 2.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn every_option_that_changes_the_meaning_is_refused_by_name() {
        for (option, _) in MUST_BE_UNSET {
            for value in ["true", "[\"x\"]", "{\"x\": 1}"] {
                let error = parse(&format!(r#", "{option}": {value}"#)).unwrap_err();
                assert!(matches!(error, Error::AdapterRefused { .. }), "{option}");
                assert!(error.to_string().contains(option), "{error}");
            }
            for value in ["null", "false", "[]", "{}"] {
                parse(&format!(r#", "{option}": {value}"#)).unwrap();
            }
        }
    }

    #[test]
    fn other_refusals_name_the_value() {
        for (extra, named) in [
            (r#", "bias": "lora_only""#, "lora_only"),
            (r#", "init_lora_weights": "pissa_niter_4""#, "pissa_niter_4"),
            (r#", "rank_pattern": {"q_proj": 0}"#, "q_proj"),
            (r#", "rank_pattern": {"q_proj": 1e18}"#, "q_proj"),
            (r#", "alpha_pattern": {"q_proj": -1}"#, "q_proj"),
            (r#", "alpha_pattern": {"(?=q)": 1}"#, "(?=q)"),
            (r#", "rank_pattern": {"(((a{999}){999}){999})": 1}"#, "999"),
        ] {
            let error = parse(extra).unwrap_err();
            assert!(matches!(error, Error::AdapterRefused { .. }), "{extra}");
            assert!(error.to_string().contains(named), "{error}");
        }
        let whole = |text: &str| {
            PeftConfig::parse(Path::new("c"), text)
                .unwrap_err()
                .to_string()
        };
        assert!(whole(r#"{"peft_type": "IA3"}"#).contains("IA3"));
        assert!(whole(r#"{"r": 8}"#).contains("peft_type"));
        let sized = |r, a| format!(r#"{{"peft_type": "LORA", "r": {r}, "lora_alpha": {a}}}"#);
        assert!(whole(&sized("1000000000", "1")).contains("1000000000"));
        assert!(whole(&sized("0", "1")).contains("rank"));
        assert!(whole(&sized("1.5", "1")).contains("1.5"));
        assert!(whole(&sized("8", "0")).contains("alpha"));
        assert!(whole(&sized("8", "1e300")).contains("alpha"));
        assert!(whole("{").contains("not a PEFT configuration"));
    }

    #[test]
    fn initializations_that_leave_the_base_alone_pass() {
        for init in [
            "true",
            "false",
            "null",
            r#""gaussian""#,
            r#""eva""#,
            r#""orthogonal""#,
        ] {
            parse(&format!(r#", "init_lora_weights": {init}"#)).unwrap();
        }
    }
}
