//! A layout: which type each part of a model is stored as.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use unforget_quant::ggml::GgmlType;
use unforget_quant::gguf::{Gguf, TensorInfo};
use unforget_quant::quantize::{fallback, is_quantizable};

/// A part of a model whose type is chosen apart: they differ in what they cost and in what they lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Token embedding and output head: one row a token, and all of them for the answer.
    Embedding,
    /// Queries, keys, values and what follows them.
    Attention,
    /// The feed-forward network's gate and up projections, and whatever else there is.
    FeedForward,
    /// Its down projection.
    Down,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 4] = [
        Self::Embedding,
        Self::Attention,
        Self::FeedForward,
        Self::Down,
    ];

    fn of(tensor: &TensorInfo) -> Self {
        let name = tensor.name.as_str();
        if name.starts_with("token_embd") || name.starts_with("output.") {
            Self::Embedding
        } else if name.contains("ffn_down") {
            Self::Down
        } else if name.contains("attn") {
            Self::Attention
        } else {
            Self::FeedForward
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Attention => "attention",
            Self::FeedForward => "feed-forward",
            Self::Down => "down",
        }
    }
}

/// A type for each part; `None` leaves a part as it was shipped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    types: [Option<GgmlType>; Part::ALL.len()],
    /// Weights are computed with where they lie in the file, instead of in an order that suits the kernels.
    pub mapped: bool,
}

impl Layout {
    /// The file as it is.
    #[must_use]
    pub fn shipped() -> Self {
        Self::default()
    }

    /// One type for all.
    #[must_use]
    pub fn uniform(ty: GgmlType) -> Self {
        Self {
            types: [Some(ty); Part::ALL.len()],
            mapped: false,
        }
    }

    /// With another type for one part.
    #[must_use]
    pub fn with(mut self, part: Part, ty: Option<GgmlType>) -> Self {
        self.types[part as usize] = ty;
        self
    }

    /// The same types, computed with where they lie.
    #[must_use]
    pub fn as_mapped(mut self) -> Self {
        self.mapped = true;
        self
    }

    /// The type of a part.
    #[must_use]
    pub fn of(&self, part: Part) -> Option<GgmlType> {
        self.types[part as usize]
    }

    /// Whether the file as shipped already is what this layout asks for.
    #[must_use]
    pub fn is_shipped(&self) -> bool {
        self.types.iter().all(Option::is_none)
    }

    /// The type of each tensor of `source`, in file order. Rows that are not whole blocks of a type get what llama.cpp
    /// gives them instead.
    #[must_use]
    pub fn types(&self, source: &Gguf) -> Vec<GgmlType> {
        let of = |tensor: &TensorInfo| match self.of(Part::of(tensor)) {
            Some(ty) if is_quantizable(tensor) => fallback(ty, tensor.n_per_row()),
            _ => tensor.ty,
        };
        source.tensors().iter().map(of).collect()
    }

    /// A name for a file of this layout.
    #[must_use]
    pub fn file_name(&self, of: &Path) -> String {
        let stem = of
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let layout: String = self
            .to_string()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '_' {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        format!("{stem}.{layout}.gguf")
    }
}

impl fmt::Display for Layout {
    /// `Q8_0`, or `Q8_0, down IQ4_NL`: the commonest type, and where it differs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |ty: Option<GgmlType>| ty.map_or("as shipped", |ty| ty.name());
        let count = |ty| self.types.iter().filter(|other| **other == ty).count();
        // The first of equals, so that a layout always has the same name.
        let mut common = self.types[0];
        for &ty in &self.types {
            if count(ty) > count(common) {
                common = ty;
            }
        }
        f.write_str(name(common))?;
        for part in Part::ALL
            .into_iter()
            .filter(|part| self.of(*part) != common)
        {
            write!(f, ", {} {}", part.name(), name(self.of(part)))?;
        }
        if self.mapped {
            f.write_str(", mapped")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_differs() {
        let q8 = Layout::uniform(GgmlType::Q8_0);
        assert_eq!(q8.to_string(), "Q8_0");
        let mixed = q8
            .clone()
            .with(Part::Down, Some(GgmlType::IQ4_NL))
            .with(Part::Embedding, None);
        assert_eq!(mixed.to_string(), "Q8_0, embedding as shipped, down IQ4_NL");
        assert_eq!(
            Layout::shipped().as_mapped().to_string(),
            "as shipped, mapped"
        );
        assert!(Layout::shipped().is_shipped() && !mixed.is_shipped());
        assert_eq!(
            q8.as_mapped().file_name(Path::new("dir/base.Q4_1.gguf")),
            "base.Q4_1.Q8_0--mapped.gguf"
        );
    }
}
