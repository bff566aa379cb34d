//! Writing safetensors files of floats.

use std::collections::HashMap;
use std::path::Path;

use ::safetensors::tensor::{Dtype, TensorView, serialize};

use crate::gguf::write_beside;
use crate::{Error, Result};

/// A tensor to write: name, sizes in row-major order, values.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    /// Unique in its file.
    pub name: String,
    /// The last size is the contiguous one.
    pub shape: Vec<usize>,
    /// As many as the sizes say.
    pub values: &'a [f32],
}

/// Writes tensors as F32, with `remarks` in the header. Beside its place, synced and renamed.
///
/// # Errors
///
/// [`Error::Invalid`] where sizes and values do not agree, [`Error::Io`].
pub fn write(path: &Path, tensors: &[Values], remarks: HashMap<String, String>) -> Result<()> {
    let invalid = |cause| Error::invalid(path, format!("cannot be written: {cause}"));
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|(tensor, bytes)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(invalid)?;
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
        };
        let remarks = HashMap::from([("step".to_owned(), "3".to_owned())]);
        write(&path, &[tensor(&[2, 1], &[1.5, -2.0])], remarks).unwrap();
        let file = Safetensors::open(&path).unwrap();
        let found = file.tensor("t").unwrap();
        assert_eq!(found.shape, [2, 1]);
        assert_eq!(file.values(found).unwrap(), [1.5, -2.0]);
        assert_eq!((file.remark("step"), file.remark("x")), (Some("3"), None));
        let error = write(&path, &[tensor(&[3], &[1.0])], HashMap::new()).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}
