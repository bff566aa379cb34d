//! Models with random weights, of shapes that are not at hand: whether there is room, and writing them.

use std::path::Path;
use std::str::FromStr;

use unforget_quant::quantize::FileType;
use unforget_quant::synthetic::{SHAPES, Shape};

use super::{RewriteOptions, known};
use crate::engine::available_memory;
use crate::{Error, Result};

/// What computing takes beside the weights, at least: the program, buffers, and the KV of a short context.
const BESIDE_WEIGHTS: u64 = 512 << 20;

/// A shape in a type, such as `llama-7b:Q4_K_M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyntheticModel {
    shape: Shape,
    file_type: FileType,
}

impl FromStr for SyntheticModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, kind) = text.split_once(':').unwrap_or((text, "Q4_K_M"));
        let shape = Shape::of(name).ok_or_else(|| {
            let names: Vec<_> = SHAPES.iter().map(|shape| shape.name).collect();
            format!("SHAPE:TYPE is expected, with one of {}", names.join(", "))
        })?;
        Ok(Self {
            shape,
            file_type: kind.parse()?,
        })
    }
}

impl SyntheticModel {
    /// Its name, `llama-7b-Q4_K_M`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.shape.name, self.file_type)
    }

    /// Parameters.
    #[must_use]
    pub fn n_params(&self) -> u64 {
        self.shape.n_params()
    }

    /// Bytes of its weights.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.shape.n_bytes(self.file_type)
    }

    /// Fails where the file does not fit beside `path`, or the weights not into the memory that is free.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::NoMemory`]. A system that does not tell counts as large enough.
    pub fn check_room(&self, path: &Path) -> Result<()> {
        let needed = self.n_bytes();
        let free = path
            .parent()
            .and_then(|folder| fs4::available_space(folder).ok());
        if let Some(free) = free.filter(|&free| free < needed) {
            return Err(Error::DiskFull {
                path: path.to_owned(),
                needed_and_free: Some((needed, free)),
            });
        }
        // Packed weights are copies; the file's own pages can go.
        let needed = needed.saturating_add(BESIDE_WEIGHTS);
        match available_memory() {
            Some(free) if free < needed => Err(Error::NoMemory { needed, free }),
            _ => Ok(()),
        }
    }

    /// Writes it to `path`. Returns the size of the file.
    ///
    /// # Errors
    /// As [`Self::check_room`]; [`Error::Interrupted`], [`Error::Io`], [`Error::Format`] for a type that cannot be made.
    pub fn write(&self, path: &Path, options: RewriteOptions<'_>) -> Result<u64> {
        self.check_room(path)?;
        let all = self.n_bytes();
        let progress = |done: u64| {
            if let Some(show) = options.progress {
                show(done, all);
            }
            !options.cancel.is_cancelled()
        };
        let written = self.shape.write(self.file_type, path, &progress);
        written.map_err(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_others_refused() {
        let model: SyntheticModel = "llama-7b:Q4_K_M".parse().unwrap();
        assert_eq!(model.name(), "llama-7b-Q4_K_M");
        assert_eq!("llama-7b".parse(), Ok(model));
        assert!(
            "llama-9b:Q8_0"
                .parse::<SyntheticModel>()
                .unwrap_err()
                .contains("llama-7b")
        );
        assert!(
            "llama-7b:Q9"
                .parse::<SyntheticModel>()
                .unwrap_err()
                .contains("Q4_K_M")
        );
    }
}
