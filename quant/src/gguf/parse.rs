//! The structure of a GGUF file: header, metadata, tensor descriptions. Follows the GGUF v3
//! specification; v2 differs only in its number. Every count is checked before memory is asked
//! for. What llama.cpp makes of the content is left to [`super::engine`].

use std::collections::HashSet;

use super::cursor::Cursor;
use super::limits::{
    DEFAULT_ALIGNMENT, MAX_ALIGNMENT, MAX_ARRAY_ELEMENTS, MAX_DIMS, MAX_KEY_BYTES, MAX_KEYS,
    MAX_TENSOR_NAME_BYTES, MAX_TENSORS, MIN_ALIGNMENT,
};
use super::metadata::Metadata;
use super::tensor::{TensorInfo, checked_size};
use super::value::{Array, StringArray, Value};
use crate::ggml::GgmlType;
use crate::{Error, Result};

/// The first four bytes of every GGUF file.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";

/// Bytes of the smallest entries a file can hold: a key is a length, one byte and a type with one
/// byte of value; a tensor a length, a dimension count, one size, a type and an offset.
const MIN_KEY_ENTRY: u64 = 8 + 1 + 4 + 1;
const MIN_TENSOR_ENTRY: u64 = 8 + 1 + 4 + 8 + 4 + 8;

/// Everything before the tensor data, checked against the length of the file.
#[derive(Debug)]
pub(super) struct Structure {
    pub(super) version: u32,
    pub(super) alignment: u32,
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<TensorInfo>,
}

pub(super) fn structure(mut cursor: Cursor) -> Result<Structure> {
    magic(&mut cursor)?;
    let version = version(&mut cursor)?;
    let n_tensors = count(&mut cursor, "tensors", MAX_TENSORS)?;
    let n_keys = count(&mut cursor, "metadata keys", MAX_KEYS)?;
    cursor.need(n_keys * MIN_KEY_ENTRY + n_tensors * MIN_TENSOR_ENTRY)?;
    let metadata = metadata(&mut cursor, n_keys)?;
    let alignment = alignment(&metadata).map_err(|why| Error::invalid(cursor.path(), why))?;
    let tensors = tensors(&mut cursor, n_tensors, alignment)?;
    Ok(Structure {
        version,
        alignment,
        metadata,
        tensors,
    })
}

fn magic(cursor: &mut Cursor) -> Result<()> {
    let magic: [u8; 4] = cursor.array()?;
    if &magic == MAGIC {
        return Ok(());
    }
    let found = match &magic {
        b"PK\x03\x04" => {
            "it is a zip archive or a PyTorch checkpoint; convert it to GGUF first".to_owned()
        }
        b"ggjt" | b"ggml" | b"ggla" | b"tjgg" | b"lmgg" | b"algg" => {
            "it is an old GGML file; convert the original model to GGUF".to_owned()
        }
        [_, _, _, 0] => "it may be safetensors or another binary file; convert it to GGUF".into(),
        text if text
            .iter()
            .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) =>
        {
            let shown = String::from_utf8_lossy(text).into_owned();
            format!(
                "it is text that begins with {shown:?}; a failed download or a Git LFS pointer looks like that"
            )
        }
        other => format!("it begins with the bytes {other:02x?} instead of \"GGUF\""),
    };
    Err(Error::WrongFormat {
        path: cursor.path().to_owned(),
        expected: "GGUF",
        found,
    })
}

fn version(cursor: &mut Cursor) -> Result<u32> {
    match cursor.u32()? {
        version @ (2 | 3) => Ok(version),
        version if matches!(version.swap_bytes(), 1..=3) => Err(Error::unsupported(
            cursor.path(),
            "the file is big-endian; convert it to little-endian",
        )),
        version => Err(Error::unsupported(
            cursor.path(),
            format!("GGUF version {version}; versions 2 and 3 are read"),
        )),
    }
}

fn count(cursor: &mut Cursor, what: &str, max: u64) -> Result<u64> {
    match cursor.u64()? {
        n if n <= max => Ok(n),
        n => Err(Error::invalid(
            cursor.path(),
            format!("the header claims {n} {what}, above the limit of {max}"),
        )),
    }
}

fn metadata(cursor: &mut Cursor, n_keys: u64) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    for at in 0..n_keys {
        let key = cursor.text(MAX_KEY_BYTES, || format!("metadata key {at}"))?;
        if key.is_empty() || key.contains('\0') {
            return Err(Error::invalid(
                cursor.path(),
                format!("metadata key {at} is {key:?}, not a name"),
            ));
        }
        if metadata.contains(key) {
            return Err(Error::invalid(
                cursor.path(),
                format!("metadata key {key} appears twice"),
            ));
        }
        let value = value(cursor, key)?;
        metadata.set(key, value);
    }
    Ok(metadata)
}

fn value(cursor: &mut Cursor, key: &str) -> Result<Value> {
    Ok(match cursor.u32()? {
        0 => Value::U8(u8::from_le_bytes(cursor.array()?)),
        1 => Value::I8(i8::from_le_bytes(cursor.array()?)),
        2 => Value::U16(u16::from_le_bytes(cursor.array()?)),
        3 => Value::I16(i16::from_le_bytes(cursor.array()?)),
        4 => Value::U32(cursor.u32()?),
        5 => Value::I32(i32::from_le_bytes(cursor.array()?)),
        6 => Value::F32(f32::from_le_bytes(cursor.array()?)),
        7 => Value::Bool(cursor.array::<1>()? != [0]),
        8 => Value::String(cursor.string(key)?.to_owned()),
        9 => Value::Array(array(cursor, key)?),
        10 => Value::U64(cursor.u64()?),
        11 => Value::I64(i64::from_le_bytes(cursor.array()?)),
        12 => Value::F64(f64::from_le_bytes(cursor.array()?)),
        ty => {
            return Err(Error::invalid(
                cursor.path(),
                format!("metadata key {key} has the unknown type {ty}"),
            ));
        }
    })
}

fn array(cursor: &mut Cursor, key: &str) -> Result<Array> {
    let ty = cursor.u32()?;
    let n = count(
        cursor,
        &format!("elements of key {key}"),
        MAX_ARRAY_ELEMENTS,
    )?;
    Ok(match ty {
        0 => Array::U8(elements(cursor, n, u8::from_le_bytes)?),
        1 => Array::I8(elements(cursor, n, i8::from_le_bytes)?),
        2 => Array::U16(elements(cursor, n, u16::from_le_bytes)?),
        3 => Array::I16(elements(cursor, n, i16::from_le_bytes)?),
        4 => Array::U32(elements(cursor, n, u32::from_le_bytes)?),
        5 => Array::I32(elements(cursor, n, i32::from_le_bytes)?),
        6 => Array::F32(elements(cursor, n, f32::from_le_bytes)?),
        7 => Array::Bool(elements(cursor, n, |b: [u8; 1]| b != [0])?),
        8 => Array::String(strings(cursor, key, n)?),
        10 => Array::U64(elements(cursor, n, u64::from_le_bytes)?),
        11 => Array::I64(elements(cursor, n, i64::from_le_bytes)?),
        12 => Array::F64(elements(cursor, n, f64::from_le_bytes)?),
        9 => {
            return Err(Error::unsupported(
                cursor.path(),
                format!("metadata key {key} is an array of arrays"),
            ));
        }
        ty => {
            return Err(Error::invalid(
                cursor.path(),
                format!("metadata key {key} is an array of the unknown type {ty}"),
            ));
        }
    })
}

fn elements<T, const N: usize>(
    cursor: &mut Cursor,
    n: u64,
    decode: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>> {
    let bytes = cursor.take(n * N as u64)?;
    Ok(bytes.as_chunks().0.iter().map(|b| decode(*b)).collect())
}

fn strings(cursor: &mut Cursor, key: &str, n: u64) -> Result<StringArray> {
    // Each string takes at least its length field.
    cursor.need(n * 8)?;
    let mut strings = StringArray::with_capacity(usize::try_from(n).unwrap_or_default());
    for _ in 0..n {
        strings.push(cursor.string(key)?);
    }
    Ok(strings)
}

/// The alignment of tensor data that `metadata` asks for, or what is wrong with it.
pub(super) fn alignment(metadata: &Metadata) -> Result<u32, String> {
    match metadata.get("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Value::U32(n))
            if n.is_power_of_two() && (MIN_ALIGNMENT..=MAX_ALIGNMENT).contains(n) =>
        {
            Ok(*n)
        }
        Some(other) => Err(format!(
            "general.alignment is {other:?}, not a u32 power of two from {MIN_ALIGNMENT} to {MAX_ALIGNMENT}"
        )),
    }
}

fn tensors(cursor: &mut Cursor, n_tensors: u64, alignment: u32) -> Result<Vec<TensorInfo>> {
    let mut tensors = Vec::with_capacity(usize::try_from(n_tensors).unwrap_or_default());
    let mut names = HashSet::new();
    // ggml wants the data of each tensor right after the padded data of the one before.
    let mut expected = 0_u64;
    for at in 0..n_tensors {
        let tensor = tensor(cursor, at)?;
        let TensorInfo { name, offset, .. } = &tensor;
        if !names.insert(name.clone()) {
            return Err(Error::invalid(
                cursor.path(),
                format!("tensor {name} appears twice"),
            ));
        }
        if *offset != expected {
            return Err(Error::invalid(
                cursor.path(),
                format!("tensor {name} has its data at offset {offset}, expected at {expected}"),
            ));
        }
        expected = tensor
            .n_bytes
            .checked_next_multiple_of(alignment.into())
            .and_then(|padded| expected.checked_add(padded))
            .ok_or_else(|| {
                Error::invalid(cursor.path(), format!("tensor {name} ends beyond any file"))
            })?;
        tensors.push(tensor);
    }
    place(cursor, &mut tensors, alignment)?;
    Ok(tensors)
}

fn tensor(cursor: &mut Cursor, at: u64) -> Result<TensorInfo> {
    let path = cursor.path();
    let name = cursor.text(MAX_TENSOR_NAME_BYTES, || format!("the name of tensor {at}"))?;
    let n_dims = cursor.u32()?;
    if !(1..=MAX_DIMS).contains(&n_dims) {
        return Err(Error::invalid(
            path,
            format!("tensor {name} has {n_dims} dimensions, not 1 to {MAX_DIMS}"),
        ));
    }
    let shape = elements(cursor, n_dims.into(), u64::from_le_bytes)?;
    let id = cursor.u32()?;
    let ty = GgmlType::from_id(id).ok_or_else(|| {
        Error::unsupported(
            path,
            format!("tensor {name} has the unknown ggml type {id}"),
        )
    })?;
    let n_bytes = checked_size(name, &shape, ty).map_err(|why| Error::invalid(path, why))?;
    Ok(TensorInfo {
        name: name.to_owned(),
        shape,
        ty,
        offset: cursor.u64()?,
        n_bytes,
    })
}

/// Turns offsets within the data section into offsets within the file, and checks that all data
/// are there.
fn place(cursor: &Cursor, tensors: &mut [TensorInfo], alignment: u32) -> Result<()> {
    let beyond = || Error::invalid(cursor.path(), "the tensor data end beyond any file");
    let start = cursor
        .pos()
        .checked_next_multiple_of(alignment.into())
        .ok_or_else(beyond)?;
    let mut end = start;
    for tensor in tensors.iter_mut() {
        tensor.offset = tensor.offset.checked_add(start).ok_or_else(beyond)?;
        end = tensor
            .offset
            .checked_add(tensor.n_bytes)
            .ok_or_else(beyond)?;
    }
    if tensors.is_empty() {
        return Ok(());
    }
    cursor.need(end.saturating_sub(cursor.pos()))?;
    Ok(())
}
