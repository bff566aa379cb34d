//! How an adapter's strength varies with depth: flat, or rising from the first layer to the last (LiNeS).

use std::fmt;
use std::str::FromStr;

use unforget_quant::lora::Place;

use crate::error::{Error, Result};

/// Strength of an adapter by layer, as a factor on top of its scale.
///
/// Layer `l` of `L`, counted from 0, gets `first + (1 - first) * l / (L - 1)`. That is LiNeS
/// ([arXiv 2410.17146](https://arxiv.org/abs/2410.17146)) with `alpha = first` and `beta = 1 - first`: shallow layers,
/// which hold what the base knows in general, stay nearer to it, and the last layer gets the whole scale. The token
/// embedding counts as the first layer, the output head as the last. Flat is `first = 1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerProfile {
    first: f32,
}

impl LayerProfile {
    /// The same strength in every layer.
    pub const FLAT: Self = Self { first: 1.0 };

    /// Rising in depth from `first`, between 0 and 1, to 1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a number outside of 0 to 1.
    pub fn lines(first: f32) -> Result<Self> {
        if (0.0..=1.0).contains(&first) {
            // Plus zero, so that -0 and 0 are the same profile.
            return Ok(Self { first: first + 0.0 });
        }
        Err(Error::InvalidArgument {
            what: "layer profile",
            value: format!("lines:{first}"),
            expected: "the strength of the first layer, from 0 to 1".to_owned(),
        })
    }

    /// Whether every layer has the same strength.
    #[must_use]
    pub fn is_flat(self) -> bool {
        self.first == 1.0
    }

    /// Strength of the first layer; the last has 1.
    #[must_use]
    pub fn first(self) -> f32 {
        self.first
    }

    /// The factor at a place of a model with `n_layers` layers. A model of one layer has only a last one.
    #[must_use]
    pub fn factor(self, place: Place, n_layers: u32) -> f32 {
        let last = n_layers.saturating_sub(1);
        let depth = match place {
            Place::Input => 0.0,
            Place::Layer(_) | Place::Output if last == 0 => 1.0,
            Place::Layer(layer) => f64::from(layer.min(last)) / f64::from(last),
            Place::Output => 1.0,
        };
        let first = f64::from(self.first);
        (first + (1.0 - first) * depth) as f32
    }
}

impl Default for LayerProfile {
    fn default() -> Self {
        Self::FLAT
    }
}

/// `flat`, or `lines:0.25`.
impl fmt::Display for LayerProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_flat() {
            return f.write_str("flat");
        }
        write!(f, "lines:{}", self.first)
    }
}

/// `flat`, `lines` (from 0) or `lines:FIRST`.
impl FromStr for LayerProfile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fail = || Error::InvalidArgument {
            what: "layer profile",
            value: text.to_owned(),
            expected:
                "flat, lines or lines:FIRST, with the strength of the first layer from 0 to 1"
                    .to_owned(),
        };
        match text.split_once(':') {
            None if text == "flat" => Ok(Self::FLAT),
            None if text == "lines" => Self::lines(0.0),
            Some(("lines", first)) => Self::lines(first.parse().map_err(|_| fail())?),
            _ => Err(fail()),
        }
    }
}

impl serde::Serialize for LayerProfile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for LayerProfile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_rise_from_the_first_layer_to_the_last() {
        let lines = LayerProfile::lines(0.5).unwrap();
        let at = |place| lines.factor(place, 5);
        assert_eq!(at(Place::Input), 0.5);
        assert_eq!(at(Place::Layer(0)), 0.5);
        assert_eq!(at(Place::Layer(2)), 0.75);
        assert_eq!(at(Place::Layer(4)), 1.0);
        assert_eq!(at(Place::Output), 1.0);
        assert_eq!(lines.factor(Place::Layer(0), 1), 1.0, "the only layer");
        for place in [Place::Input, Place::Layer(1), Place::Output] {
            assert_eq!(LayerProfile::FLAT.factor(place, 5), 1.0);
        }
    }

    #[test]
    fn text_and_profile_agree() {
        for (text, first) in [("flat", 1.0), ("lines", 0.0), ("lines:0.25", 0.25)] {
            let profile: LayerProfile = text.parse().unwrap();
            assert_eq!(profile.first(), first);
            assert_eq!(
                profile.to_string().parse::<LayerProfile>().unwrap(),
                profile
            );
        }
        for wrong in [
            "",
            "line",
            "lines:",
            "lines:x",
            "lines:nan",
            "lines:-0.1",
            "lines:1.5",
            "flat:1",
        ] {
            assert!(wrong.parse::<LayerProfile>().is_err(), "{wrong}");
        }
    }
}
