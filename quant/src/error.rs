//! The one error of this crate. Variants say what the caller can do about it; each carries the
//! path and the reason. Mapping to exit codes and statuses is left to the callers.

use std::path::{Path, PathBuf};

use crate::ggml::GgmlType;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file could not be read, converted or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: check the path, permissions and free space.
    #[error("{cause}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said; already names the path.
        cause: std::io::Error,
    },
    /// The file is of another format: give the right file.
    #[error("{}: not a {expected} file: {found}", path.display())]
    WrongFormat {
        /// The file.
        path: PathBuf,
        /// The format that was asked for.
        expected: &'static str,
        /// What it looks like instead, and what to do.
        found: String,
    },
    /// Well formed, but of a kind this version does not handle: convert it by another way.
    #[error("{}: not supported: {reason}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported, by name.
        reason: String,
    },
    /// The file ends too early: copy or download it again.
    #[error(
        "{}: truncated: at least {needed} bytes needed, {found} found, {} missing; copy or download it again",
        path.display(),
        needed.saturating_sub(*found)
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How many bytes what was read so far asks for.
        needed: u64,
        /// How many bytes there are.
        found: u64,
    },
    /// The file contradicts itself or its format: it is damaged or was made wrongly.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The adapter is of a kind that a GGUF LoRA cannot express: train or merge it differently.
    #[error("{}: adapter refused: {reason}", path.display())]
    AdapterRefused {
        /// The adapter's folder or file.
        path: PathBuf,
        /// The feature that stands in the way, by name.
        reason: String,
    },
    /// Adapter and base do not belong together: choose the base the adapter was trained on.
    #[error("{}: does not fit base {}: {reason}", adapter.display(), base.display())]
    BaseMismatch {
        /// The adapter's folder or file.
        adapter: PathBuf,
        /// The base model's file.
        base: PathBuf,
        /// What differs, with both values.
        reason: String,
    },
    /// Weights that are not numbers: the training run diverged, or the file is damaged.
    #[error("{}: tensor {tensor} holds {value} at element {index}; the training run diverged or the file is damaged", path.display())]
    NonFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The first element concerned, counted from 0 in storage order.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// The work was stopped by its caller. Nothing was left behind.
    #[error("interrupted")]
    Cancelled,
    /// The source is quantized already, and quantizing it again loses more than its original would.
    #[error(
        "{}: tensor {tensor} is already {ty}, and requantizing adds its loss to that of {to}; quantize the F16 or F32 original, or allow it with --allow-requantize",
        path.display()
    )]
    Requantize {
        /// The file.
        path: PathBuf,
        /// The first tensor concerned.
        tensor: String,
        /// What it is stored as.
        ty: GgmlType,
        /// What was asked for.
        to: GgmlType,
    },
    /// A type that cannot be made without an importance matrix.
    #[error(
        "{}: tensor {tensor} as {ty} needs an importance matrix: without the weight of each column, so few bits keep nothing useful; give one, or use a type of 3 bits or more such as Q3_K_M or Q4_K_M",
        path.display()
    )]
    NeedsImportance {
        /// The file.
        path: PathBuf,
        /// The first tensor concerned.
        tensor: String,
        /// What it would be stored as.
        ty: GgmlType,
    },
    /// Values cannot be converted to or from a ggml type: choose another type.
    #[error("cannot convert values of type {ty}: {reason}")]
    Convert {
        /// The type asked for.
        ty: GgmlType,
        /// Why not.
        reason: String,
    },
}

impl Error {
    /// The file or folder the error is about, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::WrongFormat { path, .. }
            | Self::Unsupported { path, .. }
            | Self::Truncated { path, .. }
            | Self::Invalid { path, .. }
            | Self::AdapterRefused { path, .. }
            | Self::NonFinite { path, .. } => Some(path),
            Self::BaseMismatch { adapter, .. } => Some(adapter),
            Self::Requantize { path, .. } | Self::NeedsImportance { path, .. } => Some(path),
            Self::Convert { .. } | Self::Cancelled => None,
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |cause| Self::Io {
            path: path.to_owned(),
            cause,
        }
    }

    pub(crate) fn invalid(path: &Path, reason: impl Into<String>) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn unsupported(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unsupported {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn refused(path: &Path, reason: impl Into<String>) -> Self {
        Self::AdapterRefused {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
