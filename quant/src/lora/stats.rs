//! What an adapter does to its base, in numbers: how large its delta is against each weight, how
//! many directions it uses, and which layers stand out. Judging is left to people and the guard.

use std::collections::BTreeMap;

use serde::Serialize;

use super::delta::delta;
use super::pairs::pairs;
use super::scaled::Place;
use super::spectrum::Spectrum;
use crate::ggml::dequantize;
use crate::gguf::{Gguf, TensorInfo};
use crate::{Error, Result};

/// Ranks above this get no effective rank: its cost grows with the cube.
const MAX_SPECTRUM_RANK: usize = 1024;

/// A modified z-score beyond this is an outlier (Iglewicz and Hoaglin, "How to detect and handle
/// outliers", 1993).
const OUTLIER: f64 = 3.5;

/// How many times the median change makes an outlier suspicious. Below, it only stands out: later
/// layers of sound adapters do.
const SUSPICIOUS: f64 = 2.0;

/// What makes the median absolute deviation of normal values their standard deviation.
const MAD_OF_NORMAL: f64 = 0.6745;

/// Fewer layers have no shape that one could stand out from.
const MIN_LAYERS: usize = 5;

/// Values of the base in memory at once.
const CHUNK: usize = 1 << 20;

/// An adapter against its base, at scale 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdapterStats {
    /// The layers adapted, in order of depth.
    pub layers: Vec<LayerStats>,
    /// The weights adapted, by name.
    pub weights: Vec<WeightStats>,
}

/// A layer, or what stands before or after all layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerStats {
    /// Number of the layer, counted from 0; `None` for embedding and head.
    pub layer: Option<u32>,
    /// `3`, `token_embd` or `output`.
    pub name: String,
    /// Frobenius norm of all deltas of the layer.
    pub delta_norm: f64,
    /// Frobenius norm of the adapted weights of the layer.
    pub weight_norm: f64,
    /// `delta_norm / weight_norm`.
    pub relative: f64,
    /// Mean effective rank of its deltas.
    pub effective_rank: Option<f64>,
    /// Modified z-score of `relative` among the layers.
    pub z: f64,
    /// Whether it stands out.
    pub outlier: bool,
}

/// One adapted weight.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeightStats {
    /// Its name in the base.
    pub name: String,
    /// The stored rank.
    pub rank: u32,
    /// Frobenius norm of `alpha / rank * B A`.
    pub delta_norm: f64,
    /// Frobenius norm of the weight, dequantized.
    pub weight_norm: f64,
    /// `delta_norm / weight_norm`.
    pub relative: f64,
    /// Exponential of the entropy of the singular values of `B A` (Roy and Vetterli, 2007). `None`
    /// where the delta is 0 or the rank above 1024.
    pub effective_rank: Option<f64>,
}

impl AdapterStats {
    /// What is suspicious, in words; empty for an adapter that looks like others.
    pub fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if self.weights.iter().all(|weight| weight.delta_norm == 0.0) {
            findings.push("it adds nothing: it was never trained".to_owned());
        }
        let suspicious = SUSPICIOUS * median(relative_of_layers(&self.layers));
        for layer in &self.layers {
            let (name, times) = (&layer.name, layer.relative);
            if times > 1.0 {
                findings.push(format!(
                    "layer {name} is changed by {times:.1} times its own weights"
                ));
            } else if layer.outlier && times > suspicious {
                findings.push(format!(
                    "layer {name} stands out: changed by {:.1} %, z-score {:.1}",
                    times * 100.0,
                    layer.z
                ));
            }
        }
        findings
    }
}

/// Measures `adapter` against `base`. Reads the adapter and every weight that it adapts.
///
/// # Errors
///
/// [`Error::AdapterRefused`] where it is not a complete LoRA, [`Error::BaseMismatch`] where the base
/// lacks a weight, [`Error::Convert`] where a weight's type is not one of numbers.
pub fn stats(adapter: &Gguf, base: &Gguf) -> Result<AdapterStats> {
    let mut weights = Vec::new();
    for target in pairs(adapter)?.keys() {
        let weight = base.tensor(target).ok_or_else(|| Error::BaseMismatch {
            adapter: adapter.path().to_owned(),
            base: base.path().to_owned(),
            reason: format!("the base has no tensor {target}"),
        })?;
        weights.extend(weight_stats(adapter, base, target, weight)?);
    }
    Ok(AdapterStats {
        layers: layers(&weights),
        weights,
    })
}

fn weight_stats(
    adapter: &Gguf,
    base: &Gguf,
    target: &str,
    weight: &TensorInfo,
) -> Result<Option<WeightStats>> {
    let Some(delta) = delta(adapter, target)? else {
        return Ok(None);
    };
    let spectrum = Spectrum::of(&delta, MAX_SPECTRUM_RANK);
    let delta_norm = spectrum.norm * f64::from(delta.scaling()).abs();
    let weight_norm = norm(base, weight)?;
    Ok(Some(WeightStats {
        name: target.to_owned(),
        rank: u32::try_from(delta.rank).unwrap_or(u32::MAX),
        delta_norm,
        weight_norm,
        relative: ratio(delta_norm, weight_norm),
        effective_rank: spectrum.effective_rank(),
    }))
}

/// The Frobenius norm of a tensor, dequantized some rows at a time.
fn norm(base: &Gguf, tensor: &TensorInfo) -> Result<f64> {
    let block = tensor.ty.block_size();
    let chunk = CHUNK.next_multiple_of(block);
    let chunk_bytes = chunk / block * tensor.ty.block_bytes();
    let mut sum = 0.0;
    for bytes in base.tensor_bytes(tensor).chunks(chunk_bytes) {
        let n = bytes.len() / tensor.ty.block_bytes() * block;
        let values = dequantize(tensor.ty, bytes, n)?;
        sum += values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    }
    Ok(sum.sqrt())
}

fn ratio(delta: f64, weight: f64) -> f64 {
    if delta == 0.0 { 0.0 } else { delta / weight }
}

fn layers(weights: &[WeightStats]) -> Vec<LayerStats> {
    let mut by_place: BTreeMap<Place, Vec<&WeightStats>> = BTreeMap::new();
    for weight in weights {
        let place = by_place.entry(Place::of(&weight.name)).or_default();
        place.push(weight);
    }
    let mut layers: Vec<LayerStats> = by_place
        .into_iter()
        .map(|(place, weights)| layer(place, &weights))
        .collect();
    score(&mut layers);
    layers
}

fn layer(place: Place, weights: &[&WeightStats]) -> LayerStats {
    let total = |norm: fn(&WeightStats) -> f64| {
        let squares = weights.iter().map(|weight| norm(weight).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let ranks: Vec<f64> = weights.iter().filter_map(|w| w.effective_rank).collect();
    let (delta_norm, weight_norm) = (total(|w| w.delta_norm), total(|w| w.weight_norm));
    let (layer, name) = match place {
        Place::Input => (None, "token_embd".to_owned()),
        Place::Layer(n) => (Some(n), n.to_string()),
        Place::Output => (None, "output".to_owned()),
    };
    LayerStats {
        layer,
        name,
        delta_norm,
        weight_norm,
        relative: ratio(delta_norm, weight_norm),
        effective_rank: (!ranks.is_empty()).then(|| ranks.iter().sum::<f64>() / ranks.len() as f64),
        z: 0.0,
        outlier: false,
    }
}

fn relative_of_layers(layers: &[LayerStats]) -> Vec<f64> {
    let numbered = layers.iter().filter(|layer| layer.layer.is_some());
    numbered.map(|layer| layer.relative).collect()
}

/// Modified z-scores: distance from the median in units of the median distance.
fn score(layers: &mut [LayerStats]) {
    let relative = relative_of_layers(layers);
    if relative.len() < MIN_LAYERS {
        return;
    }
    let middle = median(relative.clone());
    let spread = median(relative.iter().map(|r| (r - middle).abs()).collect());
    if spread <= 0.0 {
        return;
    }
    for layer in layers.iter_mut().filter(|layer| layer.layer.is_some()) {
        layer.z = MAD_OF_NORMAL * (layer.relative - middle) / spread;
        layer.outlier = layer.z.abs() > OUTLIER;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    match (values.get(upper.wrapping_sub(1)), values.get(upper)) {
        (Some(a), Some(b)) if values.len().is_multiple_of(2) => f64::midpoint(*a, *b),
        (_, Some(b)) => *b,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(relative: &[f64]) -> Vec<LayerStats> {
        let weights: Vec<_> = relative
            .iter()
            .enumerate()
            .map(|(layer, &relative)| WeightStats {
                name: format!("blk.{layer}.ffn_up.weight"),
                rank: 4,
                delta_norm: relative * 10.0,
                weight_norm: 10.0,
                relative,
                effective_rank: Some(2.0),
            })
            .collect();
        layers(&weights)
    }

    #[test]
    fn the_layer_that_stands_out_is_named() {
        let layers = of(&[0.10, 0.11, 0.09, 0.60, 0.10, 0.12]);
        let outliers: Vec<_> = layers.iter().filter(|l| l.outlier).collect();
        assert_eq!(outliers.len(), 1);
        assert_eq!(outliers[0].name, "3");
        // Median 0.105, distances 0.005, 0.005, 0.015, 0.495, 0.005, 0.015: their median is 0.01.
        assert!((outliers[0].z - 0.6745 * 0.495 / 0.01).abs() < 1e-9);
        assert_eq!(outliers[0].effective_rank, Some(2.0));
        assert!(of(&[0.1, 0.9, 0.1]).iter().all(|l| !l.outlier), "too few");
        assert!(of(&[0.2; 8]).iter().all(|l| l.z == 0.0), "all alike");
    }

    #[test]
    fn findings_say_why() {
        let stats = |relative: &[f64]| {
            let layers = of(relative);
            let weights = layers
                .iter()
                .map(|layer| WeightStats {
                    name: layer.name.clone(),
                    rank: 1,
                    delta_norm: layer.delta_norm,
                    weight_norm: layer.weight_norm,
                    relative: layer.relative,
                    effective_rank: None,
                })
                .collect();
            AdapterStats { layers, weights }.findings()
        };
        assert!(stats(&[0.1, 0.12, 0.11, 0.1, 0.13]).is_empty());
        assert!(
            stats(&[0.1, 0.101, 0.099, 0.15, 0.1]).is_empty(),
            "only stands out"
        );
        assert!(stats(&[0.0; 5])[0].contains("never trained"));
        assert!(stats(&[0.1, 2.5])[0].contains("layer 1 is changed by 2.5 times"));
        assert!(stats(&[0.1, 0.11, 0.09, 0.6, 0.1])[0].contains("layer 3 stands out"));
    }
}
