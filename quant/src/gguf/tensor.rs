//! What a GGUF file says about a tensor, and the rules for shapes. The data are left to
//! [`super::Gguf::tensor_bytes`].

use super::limits::{MAX_DIMS, MAX_TENSOR_NAME_BYTES};
use crate::ggml::GgmlType;

/// A tensor's description, consistent in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Unique in its file, 1 to 63 bytes.
    pub name: String,
    /// One to four sizes, all positive, in ggml's order: `shape[0]` is the contiguous one, so a
    /// weight of `out` rows and `in` columns is `[in, out]`.
    pub shape: Vec<u64>,
    /// How the values are stored.
    pub ty: GgmlType,
    /// Where the data begin, in bytes from the start of the file.
    pub offset: u64,
    /// How many bytes the data take, padding excluded.
    pub n_bytes: u64,
}

impl TensorInfo {
    /// How many values there are.
    pub fn n_elements(&self) -> u64 {
        // Cannot overflow: `checked_size` computed the same product.
        self.shape.iter().product()
    }

    /// How many values a row holds.
    pub fn n_per_row(&self) -> u64 {
        self.shape.first().copied().unwrap_or(1)
    }
}

/// The bytes that a tensor of this description takes, or why it is not one that ggml can hold.
pub(super) fn checked_size(name: &str, shape: &[u64], ty: GgmlType) -> Result<u64, String> {
    if name.is_empty() || name.len() as u64 > MAX_TENSOR_NAME_BYTES || name.contains('\0') {
        return Err(format!(
            "tensor name {name:?} is not 1 to {MAX_TENSOR_NAME_BYTES} bytes of text"
        ));
    }
    if shape.is_empty() || shape.len() > MAX_DIMS as usize {
        let n = shape.len();
        return Err(format!(
            "tensor {name} has {n} dimensions, not 1 to {MAX_DIMS}"
        ));
    }
    if shape.contains(&0) {
        return Err(format!("tensor {name} has an empty shape {shape:?}"));
    }
    let row = shape[0];
    let block = ty.block_size();
    if !row.is_multiple_of(block as u64) {
        return Err(format!(
            "tensor {name} has rows of {row} values, not a multiple of the {block} of a {ty} block"
        ));
    }
    shape
        .iter()
        .try_fold(1_u64, |n, &size| n.checked_mul(size))
        // ggml counts elements and bytes in signed 64-bit numbers.
        .filter(|&n| i64::try_from(n).is_ok())
        .and_then(|n| ty.bytes_for(n))
        .filter(|&n| i64::try_from(n).is_ok())
        .ok_or_else(|| format!("tensor {name} has an impossible shape {shape:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_ggml_cannot_hold_are_refused() {
        let size = |shape: &[u64], ty| checked_size("t", shape, ty);
        assert_eq!(size(&[32, 3], GgmlType::Q8_0), Ok(102));
        assert_eq!(size(&[5], GgmlType::F16), Ok(10));
        assert!(size(&[], GgmlType::F32).is_err());
        assert!(size(&[1; 5], GgmlType::F32).is_err());
        assert!(size(&[4, 0], GgmlType::F32).is_err());
        assert!(size(&[33], GgmlType::Q8_0).is_err());
        assert!(size(&[1 << 32, 1 << 31], GgmlType::I8).is_err());
        assert!(size(&[1 << 32, 1 << 30], GgmlType::F32).is_err());
        assert!(size(&[u64::MAX, u64::MAX], GgmlType::F32).is_err());
    }

    #[test]
    fn names_ggml_would_cut_are_refused() {
        let name = |name: &str| checked_size(name, &[1], GgmlType::F32);
        assert!(name(&"n".repeat(63)).is_ok());
        assert!(name(&"n".repeat(64)).is_err());
        assert!(name("").is_err());
        assert!(name("a\0b").is_err());
    }
}
