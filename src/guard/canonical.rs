//! One way to write data as bytes, so that the same content has the same hash however its JSON was laid out.
//!
//! Keys sorted, no white space, and numbers rounded to nine digits: they stand for measurements, and any JSON reader
//! gives them back exactly.

use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::{Error, Result};

/// Significant digits kept.
const DIGITS: usize = 9;
/// Less counts as 0. With the digits kept this stays in the range where reading decimals is exact.
const LEAST: f64 = 1e-12;

/// Any data as canonical JSON.
///
/// # Errors
/// [`Error::Certificate`] for what JSON cannot hold.
pub fn value<T: Serialize>(data: &T) -> Result<Value> {
    let value = serde_json::to_value(data).map_err(|error| Error::Certificate {
        reason: error.to_string(),
    })?;
    Ok(sorted(value))
}

/// The bytes of a canonical value.
#[must_use]
pub fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Sorts keys and rounds numbers, all the way down.
#[must_use]
pub fn sorted(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(rounded(number)),
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            let fields = fields.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn rounded(number: Number) -> Number {
    if !number.is_f64() {
        return number;
    }
    let exact = number.as_f64().unwrap_or_default();
    if exact.abs() < LEAST {
        return Number::from_f64(0.0).unwrap_or(number);
    }
    let text = format!("{exact:.*e}", DIGITS - 1);
    let short = text.parse().ok().and_then(Number::from_f64);
    short.unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::super::stats::schedule::Schedule;
    use super::*;

    #[test]
    fn layout_does_not_matter() {
        let one: Value =
            serde_json::from_str(r#"{"b": [1.50, {"z": 1, "a": null}], "a": "x"}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"a":"x","b":[1.5,{"a":null,"z":1}]}"#).unwrap();
        assert_eq!(bytes(&sorted(one)), bytes(&sorted(two.clone())));
        assert_eq!(
            bytes(&sorted(two)),
            br#"{"a":"x","b":[1.5,{"a":null,"z":1}]}"#
        );
    }

    #[test]
    fn numbers_survive_being_written_and_read() {
        let mut dice = Schedule::from_parts(["numbers"]);
        for i in 0..20_000 {
            let scale = 10_f64.powi(i % 24 - 14);
            let canonical = value(&((dice.unit() - 0.5) * scale)).unwrap();
            let again: Value = serde_json::from_slice(&bytes(&canonical)).unwrap();
            assert_eq!(bytes(&sorted(again)), bytes(&canonical));
        }
        assert_eq!(value(&1e-30).unwrap().to_string(), "0.0");
        assert_eq!(value(&u64::MAX).unwrap().to_string(), u64::MAX.to_string());
    }
}
