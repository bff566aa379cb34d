//! New model files from old ones: storing a base in other types, and merging adapters into it. The
//! work is [`unforget_quant`]'s; here files get their identity and the error of this crate, an importance matrix is
//! computed from a text, and a new file is compared with what it was made from.

mod distance;
mod synthetic;

use std::path::Path;

use unforget_quant::gguf::Gguf;
use unforget_quant::imatrix::Imatrix;
use unforget_quant::merge::{self, Density, Method, Source};
use unforget_quant::quantize::{self, FileType};
use unforget_quant::rewrite::Options;

use crate::engine::{
    CancelToken, ContentHash, GpuLayers, Model, ModelOptions, importance, text_windows,
};
use crate::prose::WINDOW;
use crate::{Error, Result};

pub use distance::{MergeCheck, check_merge, file_distance};
pub use synthetic::SyntheticModel;
pub use unforget_quant::merge::Merged;
pub use unforget_quant::quantize::Quantized;

/// Tokens of a text that an importance matrix is computed from. Means over more differ by less than the noise of rounding
/// weights; llama.cpp's users take about as many.
const MAX_IMPORTANCE_TOKENS: usize = 100_000;

/// Called with the bytes done and all of them, from any thread.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// How a new file is made.
#[derive(Clone, Copy)]
pub struct RewriteOptions<'a> {
    /// Threads; 0 is as many as there are cores.
    pub n_threads: usize,
    /// Stops the work.
    pub cancel: &'a CancelToken,
    /// What shows progress.
    pub progress: Option<Progress<'a>>,
}

impl<'a> RewriteOptions<'a> {
    fn to_quant(self) -> Options<'a> {
        Options {
            n_threads: self.n_threads,
            cancel: Some(self.cancel.flag()),
            progress: self.progress,
        }
    }
}

/// What [`quantize_file`] makes.
#[derive(Debug, Clone, Copy)]
pub struct QuantizeRequest<'a> {
    /// llama.cpp's name of a file type, such as `Q4_K_M`.
    pub file_type: &'a str,
    /// One type for every weight, without the mix of the file type.
    pub pure: bool,
    /// Quantize what is quantized already.
    pub allow_requantize: bool,
    /// Which columns of the weights matter more.
    pub importance: Option<Importance<'a>>,
}

/// Where an importance matrix comes from.
#[derive(Debug, Clone, Copy)]
pub enum Importance<'a> {
    /// A file that llama-imatrix wrote, in GGUF form.
    File(&'a Path),
    /// A text, run through the model before it is stored anew.
    Text(&'a str),
}

impl Importance<'_> {
    fn matrix(self, model: &Path, options: RewriteOptions) -> Result<Imatrix> {
        let text = match self {
            Self::File(path) => return Ok(Imatrix::open(path)?),
            Self::Text(text) => text,
        };
        let model = Model::open(
            model,
            ModelOptions {
                gpu_layers: GpuLayers::Auto,
                ..ModelOptions::default()
            },
        )?;
        let windows = text_windows(&model, text, WINDOW, MAX_IMPORTANCE_TOKENS)?;
        importance(&model, &windows, options.cancel, |done, all| {
            if let Some(progress) = options.progress {
                progress(done as u64, all as u64);
            }
        })
    }
}

/// Stores the model `input` as `out`.
///
/// # Errors
/// [`Error::InvalidArgument`] for the type, [`Error::Format`] with what stands in the way,
/// [`Error::Interrupted`], [`Error::DiskFull`].
pub fn quantize_file(
    input: &Path,
    out: &Path,
    request: &QuantizeRequest,
    options: RewriteOptions,
) -> Result<Quantized> {
    let file_type = file_type(request.file_type)?;
    let source = Gguf::open(input)?;
    let matrix = |importance: Importance| importance.matrix(input, options);
    let imatrix = request.importance.map(matrix).transpose()?;
    let request = quantize::Request {
        file_type,
        pure: request.pure,
        allow_requantize: request.allow_requantize,
        imatrix: imatrix.as_ref(),
    };
    quantize::quantize(&source, out, &request, &options.to_quant()).map_err(known)
}

/// An adapter to merge.
#[derive(Debug, Clone, Copy)]
pub struct MergeAdapter<'a> {
    /// Its GGUF file.
    pub path: &'a Path,
    /// How strongly.
    pub scale: f32,
}

/// How deltas become one, by name and settings as a person gives them.
#[derive(Debug, Clone, Copy)]
pub struct MergeRequest<'a> {
    /// `linear`, `ties` or `dare`.
    pub method: &'a str,
    /// The share of each delta that TIES and DARE keep.
    pub density: f32,
    /// What DARE's random numbers start from.
    pub seed: u64,
    /// llama.cpp's name of a file type; `None` keeps the type of each tensor.
    pub file_type: Option<&'a str>,
}

/// Writes the model `base`, which has the hash `base_sha256`, with `adapters` merged in to `out`.
///
/// # Errors
/// [`Error::InvalidArgument`] for method, density or type, [`Error::Format`] with what stands in the
/// way, [`Error::Interrupted`], [`Error::DiskFull`].
pub fn merge_adapters(
    base: &Path,
    base_sha256: ContentHash,
    adapters: &[MergeAdapter],
    out: &Path,
    request: &MergeRequest,
    options: RewriteOptions,
) -> Result<Merged> {
    with_request(base, base_sha256, adapters, request, |base, request| {
        merge::merge(base, out, request, &options.to_quant()).map_err(known)
    })
}

/// Opens what a merge is made of.
fn with_request<T>(
    base: &Path,
    base_sha256: ContentHash,
    adapters: &[MergeAdapter],
    request: &MergeRequest,
    work: impl FnOnce(&Gguf, &merge::Request<'_>) -> Result<T>,
) -> Result<T> {
    let method = method(request)?;
    let file_type = request.file_type.map(file_type).transpose()?;
    let base = Gguf::open(base)?;
    let files = adapters
        .iter()
        .map(|adapter| {
            Ok((
                Gguf::open(adapter.path)?,
                ContentHash::of_file(adapter.path)?,
            ))
        })
        .collect::<Result<Vec<_>>>()?;
    let sources: Vec<_> = files
        .iter()
        .zip(adapters)
        .map(|((file, sha256), adapter)| Source {
            adapter: file,
            scale: adapter.scale,
            sha256: sha256.to_string(),
        })
        .collect();
    let request = merge::Request {
        base_sha256: base_sha256.to_string(),
        adapters: &sources,
        method,
        file_type,
    };
    work(&base, &request)
}

fn file_type(name: &str) -> Result<FileType> {
    name.parse().map_err(|expected| Error::InvalidArgument {
        what: "--type",
        value: name.to_owned(),
        expected,
    })
}

fn method(request: &MergeRequest) -> Result<Method> {
    let density = || {
        Density::new(request.density).ok_or_else(|| Error::InvalidArgument {
            what: "--density",
            value: request.density.to_string(),
            expected: "a number above 0 and up to 1".to_owned(),
        })
    };
    match request.method {
        "linear" => Ok(Method::Linear),
        "ties" => Ok(Method::Ties {
            density: density()?,
        }),
        "dare" => Ok(Method::Dare {
            density: density()?,
            seed: request.seed,
        }),
        other => Err(Error::InvalidArgument {
            what: "--method",
            value: other.to_owned(),
            expected: "linear, ties or dare".to_owned(),
        }),
    }
}

/// Errors that this crate has words of its own for.
pub(crate) fn known(error: unforget_quant::Error) -> Error {
    match error {
        unforget_quant::Error::Cancelled => Error::Interrupted,
        unforget_quant::Error::Io { path, cause }
            if cause.kind() == std::io::ErrorKind::StorageFull =>
        {
            Error::DiskFull {
                path,
                needed_and_free: None,
            }
        }
        other => other.into(),
    }
}
