//! Merging adapters into a base: a new model in which they are part of the weights.
//!
//! Per adapter `i` and weight, the delta is `d_i = scale_i * alpha_i / rank_i * B_i A_i` (plain
//! `scale_i` where alpha is 0, as in llama.cpp). With scale and density as given:
//!
//! - linear: `W + sum_i d_i`;
//! - TIES (arXiv 2306.01708): of each `d_i` only the share `density` with the largest magnitude is
//!   kept, the sign of the sum is elected for each value, and the mean of the deltas that have that
//!   sign is added;
//! - DARE (arXiv 2311.03099): each value of `d_i` is kept with the probability `density` and then
//!   divided by it, and the sum is added.
//!
//! Each block of rows is merged by itself in the pass of [`crate::rewrite`]; no delta is ever held
//! whole.

mod combine;
mod factors;
mod method;
mod product;
mod trim;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde::Serialize;

use crate::gguf::{Array, Gguf, Metadata, StringArray, TensorInfo};
use crate::lora;
use crate::quantize::{self, FileType};
use crate::rewrite::{Change, Job, Options, Report, rewrite};
use crate::{Error, Result};

use factors::Factors;
pub use method::{Density, Method};

/// Adapters in one merge. Beyond a few, merging keeps nothing of any; the bound is for the metadata.
pub const MAX_ADAPTERS: usize = 64;

/// An adapter to merge.
pub struct Source<'a> {
    /// The GGUF LoRA.
    pub adapter: &'a Gguf,
    /// How strongly; any finite number.
    pub scale: f32,
    /// Its sha256 in hexadecimal, for the provenance.
    pub sha256: String,
}

/// What to merge.
pub struct Request<'a> {
    /// sha256 of the base in hexadecimal, for the provenance.
    pub base_sha256: String,
    /// The adapters.
    pub adapters: &'a [Source<'a>],
    /// How their deltas become one.
    pub method: Method,
    /// The type of the new file; `None` keeps that of each tensor.
    pub file_type: Option<FileType>,
}

/// What merging did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Merged {
    /// The pass.
    #[serde(flatten)]
    pub report: Report,
    /// Tensors that an adapter changed.
    pub n_merged: usize,
}

/// Writes `base` with the adapters merged in to `out`.
///
/// # Errors
///
/// Those of [`lora::validate`] for each adapter, [`Error::AdapterRefused`] for a scale that is not
/// finite, [`Error::NonFinite`] where sums are not, and those of [`rewrite`].
pub fn merge(base: &Gguf, out: &Path, request: &Request, options: &Options) -> Result<Merged> {
    let deltas = Deltas::new(base, request, options)?;
    let report = store(base, out, request, &deltas, options)?;
    Ok(Merged {
        report,
        n_merged: deltas.targets.len(),
    })
}

/// Writes `base` to `out` with the tensors that the adapters touch read and stored anew as [`merge`] stores them, and
/// nothing added: what storing costs by itself.
///
/// # Errors
///
/// As [`merge`].
pub fn store_targets(
    base: &Gguf,
    out: &Path,
    request: &Request,
    options: &Options,
) -> Result<Report> {
    /// Touches what the deltas touch, and leaves it as it is.
    struct Nothing<'a>(Deltas<'a>);

    impl Change for Nothing<'_> {
        fn touches(&self, tensor: &TensorInfo) -> bool {
            self.0.touches(tensor)
        }

        fn apply(&self, _: &TensorInfo, _: Range<usize>, _: &mut [f32]) -> Result<()> {
            Ok(())
        }
    }

    let nothing = Nothing(Deltas::new(base, request, options)?);
    store(base, out, request, &nothing, options)
}

fn store(
    base: &Gguf,
    out: &Path,
    request: &Request,
    change: &dyn Change,
    options: &Options,
) -> Result<Report> {
    let types = match request.file_type {
        Some(file_type) => quantize::plan(base, file_type, false, false).types,
        None => base.tensors().iter().map(|tensor| tensor.ty).collect(),
    };
    let mut metadata = match request.file_type {
        Some(file_type) => quantize::metadata(base, file_type),
        None => base.metadata().clone(),
    };
    record(&mut metadata, request);
    rewrite(
        &Job {
            source: base,
            metadata,
            types: &types,
            change: Some(change),
            imatrix: None,
        },
        out,
        options,
    )
}

/// Where the new model came from. No paths and no names: contents.
fn record(metadata: &mut Metadata, request: &Request) {
    let hashes: StringArray = request.adapters.iter().map(|s| s.sha256.as_str()).collect();
    let scales = request.adapters.iter().map(|s| s.scale).collect();
    metadata
        .set("unforget.merge.base_sha256", request.base_sha256.as_str())
        .set("unforget.merge.adapter_sha256", hashes)
        .set("unforget.merge.scale", Array::F32(scales))
        .set("unforget.merge.method", request.method.name());
    match request.method {
        Method::Linear => {}
        Method::Ties { density } => {
            metadata.set("unforget.merge.density", density.get());
        }
        Method::Dare { density, seed } => {
            metadata
                .set("unforget.merge.density", density.get())
                .set("unforget.merge.seed", seed);
        }
    }
}

/// The deltas of all adapters, made block by block.
pub struct Deltas<'a> {
    targets: HashMap<String, Vec<Factors<'a>>>,
    method: Method,
}

impl<'a> Deltas<'a> {
    /// Checks every adapter against `base`; for TIES also finds out what is trimmed.
    ///
    /// # Errors
    ///
    /// As [`merge`].
    pub fn new(base: &Gguf, request: &'a Request, options: &Options) -> Result<Self> {
        let n = request.adapters.len();
        if n == 0 || n > MAX_ADAPTERS {
            return Err(Error::invalid(
                base.path(),
                format!("{n} adapters cannot be merged; give 1 to {MAX_ADAPTERS}"),
            ));
        }
        let mut targets: HashMap<String, Vec<Factors>> = HashMap::new();
        for (number, source) in request.adapters.iter().enumerate() {
            if !source.scale.is_finite() {
                let reason = format!("its scale is {}, not a finite number", source.scale);
                return Err(Error::refused(source.adapter.path(), reason));
            }
            lora::validate(source.adapter, base)?;
            if source.scale == 0.0 {
                continue;
            }
            for factors in factors::of(source, number as u64)? {
                targets
                    .entry(factors.target().to_owned())
                    .or_default()
                    .push(factors);
            }
        }
        if let Method::Ties { density } = request.method {
            trim::set_thresholds(&mut targets, density, options)?;
        }
        Ok(Self {
            targets,
            method: request.method,
        })
    }
}

impl Change for Deltas<'_> {
    fn touches(&self, tensor: &TensorInfo) -> bool {
        self.targets.contains_key(&tensor.name)
    }

    fn apply(&self, tensor: &TensorInfo, rows: Range<usize>, values: &mut [f32]) -> Result<()> {
        match self.targets.get(&tensor.name) {
            Some(factors) => combine::apply(self.method, factors, rows, values),
            None => Ok(()),
        }
    }
}
