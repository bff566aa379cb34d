//! Writing safetensors files of floats.

use std::collections::HashMap;
use std::path::Path;

use ::safetensors::tensor::{Dtype, TensorView, serialize};
use half::f16;

use crate::gguf::write_beside;
use crate::{Error, Result};

/// What a file holds of a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// F16: rounded to the nearest, infinite beyond 65,504.
    Half,
    /// F32: all of it.
    Single,
}

/// A tensor to write: name, sizes in row-major order, values.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    /// Unique in its file.
    pub name: String,
    /// The last size is the contiguous one.
    pub shape: Vec<usize>,
    /// As many as the sizes say.
    pub values: &'a [f32],
    /// How each is stored.
    pub precision: Precision,
}

impl Values<'_> {
    fn encode(&self) -> (Dtype, Vec<u8>) {
        let values = self.values.iter();
        match self.precision {
            Precision::Half => {
                let bytes = values.flat_map(|&v| f16::from_f32(v).to_le_bytes());
                (Dtype::F16, bytes.collect())
            }
            Precision::Single => (Dtype::F32, values.flat_map(|v| v.to_le_bytes()).collect()),
        }
    }
}

/// Writes tensors, with `remarks` in the header. Beside its place, synced and renamed.
///
/// # Errors
///
/// [`Error::Invalid`] where sizes and values do not agree, [`Error::Io`].
pub fn write(path: &Path, tensors: &[Values], remarks: HashMap<String, String>) -> Result<()> {
    let invalid = |cause| Error::invalid(path, format!("cannot be written: {cause}"));
    let encoded: Vec<_> = tensors.iter().map(Values::encode).collect();
    let views = tensors
        .iter()
        .zip(&encoded)
        .map(|(tensor, (dtype, bytes))| {
            let view = TensorView::new(*dtype, tensor.shape.clone(), bytes).map_err(invalid)?;
            Ok((tensor.name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    let whole = serialize(views, Some(remarks)).map_err(invalid)?;
    write_beside(path, &whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safetensors::Safetensors;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let tensor = |shape: &[usize], values| Values {
            name: "t".to_owned(),
            shape: shape.to_vec(),
            values,
            precision: Precision::Single,
        };
        let remarks = HashMap::from([("step".to_owned(), "3".to_owned())]);
        write(&path, &[tensor(&[2, 1], &[1.5, -2.0])], remarks).unwrap();
        let file = Safetensors::open(&path).unwrap();
        let found = file.tensor("t").unwrap();
        assert_eq!(found.shape, [2, 1]);
        assert_eq!(file.values(found).unwrap(), [1.5, -2.0]);
        assert_eq!((file.remark("step"), file.remark("x")), (Some("3"), None));
        let short = Values {
            precision: Precision::Half,
            ..tensor(&[1, 2], &[0.1, -65_504.0])
        };
        write(&path, &[short], HashMap::new()).unwrap();
        let file = Safetensors::open(&path).unwrap();
        let found = file.tensor("t").unwrap();
        assert_eq!(found.dtype, ::safetensors::Dtype::F16);
        assert_eq!(file.values(found).unwrap(), [0.099_975_586, -65_504.0]);
        let error = write(&path, &[tensor(&[3], &[1.0])], HashMap::new()).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}
