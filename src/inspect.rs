//! What is in a file: metadata, tensors and totals of GGUF and safetensors, as data.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use unforget_quant::gguf::{Array, Gguf, Summary, Value};
use unforget_quant::safetensors::Safetensors;

use crate::Result;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// `GGUF v3` or `safetensors`.
    pub format: String,
    /// `general.architecture` of a GGUF.
    pub architecture: Option<String>,
    /// Parameters, bytes and bits per weight, in all and by type.
    #[serde(flatten)]
    pub summary: Summary,
    /// Metadata of a GGUF in file order; arrays are described, not listed.
    pub metadata: Map<String, Json>,
    /// Every tensor.
    pub tensors: Vec<TensorReport>,
}

/// A tensor's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// How its values are stored.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its sizes, in the order in which the file has them.
    pub shape: Vec<u64>,
    /// Bytes of its values.
    pub bytes: u64,
}

impl FileReport {
    /// Whether this is a model that can be loaded, and not an adapter or bare tensors.
    #[must_use]
    pub fn is_model(&self) -> bool {
        let is_adapter = self
            .metadata
            .get("general.type")
            .is_some_and(|kind| kind == "adapter");
        self.architecture.is_some() && !is_adapter
    }
}

/// Reads a file's description; a `.safetensors` name decides for that format, anything else is taken for GGUF.
///
/// # Errors
/// [`crate::Error::Format`] if the file is not sound.
pub fn inspect_file(path: &Path) -> Result<FileReport> {
    if path
        .extension()
        .is_some_and(|extension| extension == "safetensors")
    {
        return Ok(of_safetensors(&Safetensors::open(path)?));
    }
    Ok(of_gguf(&Gguf::open(path)?))
}

fn of_gguf(file: &Gguf) -> FileReport {
    FileReport {
        path: file.path().to_owned(),
        bytes: file.file_len(),
        format: format!("GGUF v{}", file.version()),
        architecture: file.architecture().map(str::to_owned),
        summary: file.summary(),
        metadata: file
            .metadata()
            .iter()
            .map(|(key, value)| (key.to_owned(), to_json(value)))
            .collect(),
        tensors: file
            .tensors()
            .iter()
            .map(|tensor| TensorReport {
                name: tensor.name.clone(),
                kind: tensor.ty.name().to_owned(),
                shape: tensor.shape.clone(),
                bytes: tensor.n_bytes,
            })
            .collect(),
    }
}

fn of_safetensors(file: &Safetensors) -> FileReport {
    FileReport {
        path: file.path().to_owned(),
        bytes: file.file_len(),
        format: "safetensors".to_owned(),
        architecture: None,
        summary: file.summary(),
        metadata: Map::new(),
        tensors: file
            .tensors()
            .map(|tensor| TensorReport {
                name: tensor.name.clone(),
                kind: tensor.dtype.to_string(),
                shape: tensor.shape.clone(),
                bytes: tensor.n_bytes,
            })
            .collect(),
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::from(text.as_str()),
        Value::Bool(flag) => Json::from(*flag),
        Value::F32(number) => Json::from(*number),
        Value::F64(number) => Json::from(*number),
        Value::I8(number) => Json::from(*number),
        Value::I16(number) => Json::from(*number),
        Value::I32(number) => Json::from(*number),
        Value::I64(number) => Json::from(*number),
        Value::Array(array) => describe(array),
        Value::U8(_) | Value::U16(_) | Value::U32(_) | Value::U64(_) => {
            Json::from(value.unsigned())
        }
    }
}

/// A vocabulary has tens of thousands of entries, which nobody wants to read.
fn describe(array: &Array) -> Json {
    json!({ "array": array.element_name(), "len": array.len() })
}
