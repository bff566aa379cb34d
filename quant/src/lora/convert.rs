//! PEFT folders to GGUF LoRA files, for bases of the `llama` architecture.

use std::collections::BTreeMap;
use std::path::Path;

use ::safetensors::Dtype;

use super::config::PeftConfig;
use super::names::{Adapted, Part, RowOrder, adapted};
use super::permute::interleave;
use super::{LoraSummary, validate};
use crate::ggml::GgmlType;
use crate::gguf::{Gguf, Metadata, Writer};
use crate::safetensors::{Safetensors, Tensor, check_finite};
use crate::{Error, Result};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Ratios of scalings closer to 1 than this are rounding, and are not folded into the weights.
const SAME_SCALING: f64 = 1e-9;

/// Converts the PEFT folder `peft_dir` for `base` into the GGUF LoRA `out`.
///
/// Factors stored as F16 stay F16, others become F32. Where a module's `alpha / rank` differs from
/// the common one, the ratio is folded into its `lora_b`, which is then F32.
///
/// # Errors
///
/// [`Error::AdapterRefused`] naming the option, tensor or module that a GGUF LoRA cannot express,
/// [`Error::BaseMismatch`] naming both shapes, [`Error::NonFinite`], and the errors of reading
/// and writing. Nothing is left at `out` on failure.
pub fn convert_peft(peft_dir: &Path, base: &Gguf, out: &Path) -> Result<LoraSummary> {
    let weights = weights_path(peft_dir)?;
    let config = PeftConfig::read(&peft_dir.join(CONFIG))?;
    let source = Safetensors::open(&weights)?;
    let heads = Heads::of(peft_dir, base)?;
    let mut writer = Writer::new(metadata(peft_dir, &config));
    for (weight, pair) in pairs(peft_dir, &source)? {
        let plan = Plan {
            dir: peft_dir,
            source: &source,
            base,
            config: &config,
            weight: &weight,
        };
        let (a, b) = plan.factors(&pair, heads)?;
        for (suffix, factor) in [("lora_a", a), ("lora_b", b)] {
            let shape = factor.tensor.ggml_shape();
            writer.stream(
                format!("{weight}.{suffix}"),
                &shape,
                factor.ty(),
                move |out| {
                    let bytes = factor.bytes()?;
                    out.write_all(&bytes)
                        .map_err(Error::io(factor.source.path()))
                },
            );
        }
    }
    writer.write(out)?;
    validate(&Gguf::open(out)?, base)
}

fn weights_path(peft_dir: &Path) -> Result<std::path::PathBuf> {
    let weights = peft_dir.join(WEIGHTS);
    if !weights.exists() && peft_dir.join("adapter_model.bin").exists() {
        return Err(Error::refused(
            peft_dir,
            "it has adapter_model.bin, a Python pickle that can run code; save it with safe_serialization=True",
        ));
    }
    Ok(weights)
}

fn metadata(peft_dir: &Path, config: &PeftConfig) -> Metadata {
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", "llama")
        .set("general.type", "adapter")
        .set("adapter.type", "lora")
        .set("adapter.lora.alpha", config.gguf_alpha() as f32)
        .set("unforget.source.format", "peft");
    if let Some(name) = peft_dir.file_name() {
        metadata.set("general.name", name.to_string_lossy().into_owned());
    }
    if let Some(base) = &config.base_model {
        metadata.set("unforget.source.base_model", base.as_str());
    }
    if let Some(version) = &config.peft_version {
        metadata.set("unforget.source.peft_version", version.as_str());
    }
    metadata
}

/// The head counts of the base, which decide the order of q and k rows.
#[derive(Clone, Copy)]
struct Heads {
    query: usize,
    key: usize,
}

impl Heads {
    fn of(peft_dir: &Path, base: &Gguf) -> Result<Self> {
        let mismatch = |reason: String| Error::BaseMismatch {
            adapter: peft_dir.to_owned(),
            base: base.path().to_owned(),
            reason,
        };
        let architecture = base.architecture().unwrap_or("missing");
        let kind = base.metadata().str("general.type").unwrap_or("model");
        if architecture != "llama" || kind != "model" {
            return Err(mismatch(format!(
                "the base is a {kind} of architecture {architecture}; PEFT adapters are converted for llama models"
            )));
        }
        let count = |key: &str| base.metadata().u32(key).map(|n| n as usize);
        let query = count("llama.attention.head_count").ok_or_else(|| {
            mismatch("the base states no single llama.attention.head_count".to_owned())
        })?;
        let kv = "llama.attention.head_count_kv";
        let key = match count(kv) {
            None if base.metadata().contains(kv) => {
                return Err(mismatch(format!("the base states no single {kv}")));
            }
            key => key.unwrap_or(query),
        };
        Ok(Self { query, key })
    }
}

/// Both PEFT tensors of a weight.
struct PeftPair<'a> {
    module: &'a str,
    rows: RowOrder,
    a: &'a Tensor,
    b: &'a Tensor,
}

#[derive(Default)]
struct Halves<'a> {
    a: Option<(Adapted<'a>, &'a Tensor)>,
    b: Option<(Adapted<'a>, &'a Tensor)>,
}

fn pairs<'a>(peft_dir: &Path, source: &'a Safetensors) -> Result<BTreeMap<String, PeftPair<'a>>> {
    let refuse = |why: String| Error::refused(peft_dir, why);
    let mut halves: BTreeMap<String, Halves> = BTreeMap::new();
    for tensor in source.tensors() {
        let adapted = adapted(&tensor.name).map_err(refuse)?;
        let entry = halves.entry(adapted.weight.clone()).or_default();
        let slot = match adapted.part {
            Part::A => &mut entry.a,
            Part::B => &mut entry.b,
        };
        if let Some((_, first)) = slot.replace((adapted, tensor)) {
            let (first, name) = (&first.name, &tensor.name);
            return Err(refuse(format!(
                "tensors {first} and {name} adapt the same weight"
            )));
        }
    }
    if halves.is_empty() {
        return Err(refuse(format!("{WEIGHTS} holds no tensors")));
    }
    halves
        .into_iter()
        .map(|(weight, halves)| match (halves.a, halves.b) {
            (Some((Adapted { module, rows, .. }, a)), Some((_, b))) => {
                let pair = PeftPair { module, rows, a, b };
                Ok((weight, pair))
            }
            (Some((_, only)), _) => Err(refuse(format!("tensor {} has no lora_B", only.name))),
            (_, Some((_, only))) => Err(refuse(format!("tensor {} has no lora_A", only.name))),
            (None, None) => Err(refuse(format!("{weight} has no factors"))),
        })
        .collect()
}

/// The conversion of one pair.
struct Plan<'a, 'p> {
    dir: &'p Path,
    source: &'a Safetensors,
    base: &'p Gguf,
    config: &'p PeftConfig,
    weight: &'p str,
}

impl<'a> Plan<'a, '_> {
    fn factors(&self, pair: &PeftPair<'a>, heads: Heads) -> Result<(Factor<'a>, Factor<'a>)> {
        let rank = self.check_shapes(pair)?;
        let stored = self.config.gguf_alpha() / f64::from(rank);
        let ratio = self.config.scaling_of(pair.module) / stored;
        let plain = |tensor| Factor {
            source: self.source,
            tensor,
            fold: None,
            n_heads: None,
        };
        let b = Factor {
            fold: ((ratio - 1.0).abs() > SAME_SCALING).then_some(ratio),
            n_heads: match pair.rows {
                RowOrder::Same => None,
                RowOrder::QueryHeads => Some(heads.query),
                RowOrder::KeyHeads => Some(heads.key),
            },
            ..plain(pair.b)
        };
        Ok((plain(pair.a), b))
    }

    /// The rank of the pair, once both factors fit each other, the configuration and the base.
    fn check_shapes(&self, pair: &PeftPair) -> Result<u32> {
        let module = pair.module;
        let refuse = |why: String| Err(Error::refused(self.dir, why));
        let mismatch = |reason: String| {
            Err(Error::BaseMismatch {
                adapter: self.dir.to_owned(),
                base: self.base.path().to_owned(),
                reason,
            })
        };
        let (a, b) = (&pair.a.shape, &pair.b.shape);
        let (&[rank, n_in], &[n_out, rank_b]) = (a.as_slice(), b.as_slice()) else {
            return refuse(format!(
                "{module} has factors of shape {a:?} and {b:?}, not matrices"
            ));
        };
        let expected = self.config.rank_of(module);
        if rank != u64::from(expected) || rank_b != rank {
            return refuse(format!(
                "{module} has factors of shape {a:?} and {b:?}, but {CONFIG} says rank {expected}"
            ));
        }
        let Some(weight) = self.base.tensor(self.weight) else {
            return mismatch(format!(
                "the base has no tensor {} for {module}",
                self.weight
            ));
        };
        if weight.shape != [n_in, n_out] {
            return mismatch(format!(
                "{module} adapts a weight of {n_out} rows and {n_in} columns, but {} has the shape {:?} (columns, rows)",
                self.weight, weight.shape
            ));
        }
        Ok(expected)
    }
}

/// One factor on its way from safetensors to GGUF.
#[derive(Clone, Copy)]
struct Factor<'a> {
    source: &'a Safetensors,
    tensor: &'a Tensor,
    fold: Option<f64>,
    n_heads: Option<usize>,
}

impl Factor<'_> {
    fn ty(&self) -> GgmlType {
        match (self.tensor.dtype, self.fold) {
            (Dtype::F16, None) => GgmlType::F16,
            _ => GgmlType::F32,
        }
    }

    /// The bytes as GGUF stores them.
    fn bytes(&self) -> Result<Vec<u8>> {
        let mut values = self.source.values(self.tensor)?;
        if let Some(ratio) = self.fold {
            for value in &mut values {
                *value = (f64::from(*value) * ratio) as f32;
            }
            check_finite(self.source.path(), &self.tensor.name, &values)?;
        }
        let bytes: Vec<u8> = match self.ty() {
            GgmlType::F16 => self.source.bytes(self.tensor).to_vec(),
            _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        let Some(n_heads) = self.n_heads else {
            return Ok(bytes);
        };
        let n_rows = self.tensor.shape.first().copied().unwrap_or(0);
        let row_bytes = usize::try_from(n_rows)
            .ok()
            .and_then(|n| bytes.len().checked_div(n))
            .unwrap_or(0);
        interleave(&bytes, row_bytes, n_heads).ok_or_else(|| {
            let name = &self.tensor.name;
            Error::refused(
                self.source.path(),
                format!("tensor {name} has {n_rows} rows, which do not divide into {n_heads} heads of pairs"),
            )
        })
    }
}
