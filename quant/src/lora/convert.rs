//! PEFT folders to GGUF LoRA files.

use std::collections::BTreeMap;
use std::path::Path;

use super::arch::Architecture;
use super::config::{CONFIG, PeftConfig};
use super::factor::{Factor, Layout};
use super::names::{Adapted, Form, Part, adapted};
use super::validate::shares_embedding;
use super::weights::Weights;
use super::{LoraSummary, validate};
use crate::gguf::{Gguf, Metadata, Writer};
use crate::safetensors::{Safetensors, Tensor};
use crate::{Error, Result};

/// Ratios of scalings closer to 1 than this are rounding, and are not folded into the weights.
const SAME_SCALING: f64 = 1e-9;

/// Converts the PEFT folder `peft_dir` for `base` into the GGUF LoRA `out`.
///
/// Bases of the architectures `llama`, `qwen2`, `qwen3` and `gemma3` are understood; LoRA on their
/// linear layers, output head and token embedding. Factors stored as F16 stay F16, others become F32. Where a module's `alpha / rank` differs from
/// the common one, the ratio is folded into its `lora_b`, which is then F32.
///
/// # Errors
///
/// [`Error::AdapterRefused`] naming the option, tensor or module that a GGUF LoRA cannot express,
/// [`Error::BaseMismatch`] naming both shapes, [`Error::NonFinite`], and the errors of reading
/// and writing. Nothing is left at `out` on failure.
pub fn convert_peft(peft_dir: &Path, base: &Gguf, out: &Path) -> Result<LoraSummary> {
    let config = PeftConfig::read(&peft_dir.join(CONFIG))?;
    let source = Weights::open(peft_dir)?;
    let architecture = Architecture::of(peft_dir, base)?;
    let heads = Heads::of(peft_dir, base, architecture)?;
    let mut writer = Writer::new(metadata(peft_dir, architecture, &config));
    for (weight, pair) in pairs(peft_dir, architecture, &source)? {
        let plan = Plan {
            dir: peft_dir,
            base,
            config: &config,
            weight: &weight,
        };
        let (a, b) = plan.factors(&pair, heads)?;
        for (suffix, factor) in [("lora_a", a), ("lora_b", b)] {
            writer.stream(
                format!("{weight}.{suffix}"),
                &factor.ggml_shape(),
                factor.ty(),
                move |out| {
                    let bytes = factor.bytes()?;
                    out.write_all(&bytes).map_err(Error::io(factor.path()))
                },
            );
        }
    }
    writer.write(out)?;
    validate(&Gguf::open(out)?, base)
}

fn metadata(peft_dir: &Path, architecture: Architecture, config: &PeftConfig) -> Metadata {
    let mut metadata = Metadata::new();
    metadata
        .set("general.architecture", architecture.name())
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
pub(super) struct Heads {
    pub(super) query: usize,
    pub(super) key: usize,
}

impl Heads {
    pub(super) fn of(peft_dir: &Path, base: &Gguf, architecture: Architecture) -> Result<Self> {
        let key = |name: &str| format!("{}.attention.{name}", architecture.name());
        let count = |key: &str| base.metadata().u32(key).map(|n| n as usize);
        let mismatch = |key: &str| Error::BaseMismatch {
            adapter: peft_dir.to_owned(),
            base: base.path().to_owned(),
            reason: format!("the base states no single {key}"),
        };
        if !architecture.rotates_neighbours() {
            // No rows are reordered, so nobody asks.
            return Ok(Self { query: 1, key: 1 });
        }
        let (heads, kv_heads) = (key("head_count"), key("head_count_kv"));
        let query = count(&heads).ok_or_else(|| mismatch(&heads))?;
        let key = match count(&kv_heads) {
            None if base.metadata().contains(&kv_heads) => return Err(mismatch(&kv_heads)),
            key => key.unwrap_or(query),
        };
        Ok(Self { query, key })
    }
}

/// Both PEFT tensors of a weight.
struct PeftPair<'a> {
    module: &'a str,
    form: Form,
    a: Stored<'a>,
    b: Stored<'a>,
}

/// A tensor and the file that holds it.
type Stored<'a> = (&'a Safetensors, &'a Tensor);

#[derive(Default)]
struct Halves<'a> {
    a: Option<(Adapted<'a>, Stored<'a>)>,
    b: Option<(Adapted<'a>, Stored<'a>)>,
}

fn pairs<'a>(
    peft_dir: &Path,
    architecture: Architecture,
    source: &'a Weights,
) -> Result<BTreeMap<String, PeftPair<'a>>> {
    let refuse = |why: String| Error::refused(peft_dir, why);
    let mut halves: BTreeMap<String, Halves> = BTreeMap::new();
    for (file, tensor) in source.tensors() {
        let adapted = adapted(architecture, &tensor.name).map_err(refuse)?;
        let entry = halves.entry(adapted.weight.clone()).or_default();
        let slot = match adapted.part {
            Part::A => &mut entry.a,
            Part::B => &mut entry.b,
        };
        if let Some((_, (_, first))) = slot.replace((adapted, (file, tensor))) {
            let (first, name) = (&first.name, &tensor.name);
            return Err(refuse(format!(
                "tensors {first} and {name} adapt the same weight"
            )));
        }
    }
    if halves.is_empty() {
        return Err(refuse("it holds no tensors".to_owned()));
    }
    halves
        .into_iter()
        .map(|(weight, halves)| match (halves.a, halves.b) {
            (Some((Adapted { module, form, .. }, a)), Some((_, b))) => {
                let pair = PeftPair { module, form, a, b };
                Ok((weight, pair))
            }
            (Some((_, (_, only))), _) => Err(refuse(format!("tensor {} has no lora_B", only.name))),
            (_, Some((_, (_, only)))) => Err(refuse(format!("tensor {} has no lora_A", only.name))),
            (None, None) => Err(refuse(format!("{weight} has no factors"))),
        })
        .collect()
}

/// The conversion of one pair.
struct Plan<'p> {
    dir: &'p Path,
    base: &'p Gguf,
    config: &'p PeftConfig,
    weight: &'p str,
}

impl Plan<'_> {
    fn factors<'a>(&self, pair: &PeftPair<'a>, heads: Heads) -> Result<(Factor<'a>, Factor<'a>)> {
        let rank = self.check_shapes(pair)?;
        let stored = self.config.gguf_alpha() / f64::from(rank);
        let ratio = self.config.scaling_of(pair.module) / stored;
        let (layout_a, layout_b) = match pair.form {
            Form::Linear => (Layout::AsStored, Layout::AsStored),
            Form::RotatedQuery => (Layout::AsStored, Layout::Interleaved(heads.query)),
            Form::RotatedKey => (Layout::AsStored, Layout::Interleaved(heads.key)),
            Form::Embedding => (Layout::Transposed, Layout::AsStored),
        };
        let fold = ((ratio - 1.0).abs() > SAME_SCALING).then_some(ratio);
        Ok((
            Factor::new(pair.a, layout_a, None),
            Factor::new(pair.b, layout_b, fold),
        ))
    }

    fn mismatch<T>(&self, reason: String) -> Result<T> {
        Err(Error::BaseMismatch {
            adapter: self.dir.to_owned(),
            base: self.base.path().to_owned(),
            reason,
        })
    }

    /// The rank of the pair, once both factors fit each other, the configuration and the base.
    fn check_shapes(&self, pair: &PeftPair) -> Result<u32> {
        let module = pair.module;
        let refuse = |why: String| Err(Error::refused(self.dir, why));
        let (a, b) = (&pair.a.1.shape, &pair.b.1.shape);
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
            return self.mismatch(format!(
                "the base has no tensor {} for {module}",
                self.weight
            ));
        };
        if pair.form == Form::Embedding {
            if weight.shape != [n_out, n_in] {
                return self.mismatch(format!(
                    "{module} adapts an embedding of {n_in} tokens and {n_out} values, but {} has the shape {:?} (values, tokens)",
                    self.weight, weight.shape
                ));
            }
            if let Some(reason) = shares_embedding(self.base) {
                return self.mismatch(reason);
            }
        } else if weight.shape != [n_in, n_out] {
            return self.mismatch(format!(
                "{module} adapts a weight of {n_out} rows and {n_in} columns, but {} has the shape {:?} (columns, rows)",
                self.weight, weight.shape
            ));
        }
        Ok(expected)
    }
}
