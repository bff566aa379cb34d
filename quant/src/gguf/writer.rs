//! Writing GGUF v3: metadata and tensors are announced, then everything is written beside the
//! target, synced and renamed. Nothing unfinished ever has the final name, and the part file is
//! removed on every way out.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::limits::{MAX_KEY_BYTES, MAX_KEYS, MAX_STRING_BYTES, MAX_TENSORS};
use super::metadata::Metadata;
use super::parse::{MAGIC, alignment};
use super::part::Part;
use super::tensor::checked_size;
use super::value::{Array, Value};
use crate::ggml::GgmlType;
use crate::{Error, Result};

/// The GGUF version written.
const VERSION: u32 = 3;

/// A GGUF file to be.
pub struct Writer<'a> {
    metadata: Metadata,
    tensors: Vec<Planned<'a>>,
}

struct Planned<'a> {
    name: String,
    shape: Vec<u64>,
    ty: GgmlType,
    source: Source<'a>,
}

type Stream<'a> = Box<dyn FnOnce(&mut dyn Write) -> Result<()> + 'a>;

enum Source<'a> {
    Later,
    Bytes(Cow<'a, [u8]>),
    Stream(Stream<'a>),
}

impl<'a> Writer<'a> {
    /// A file with this metadata and no tensors yet. Data are aligned to `general.alignment`, or
    /// to 32 bytes.
    pub fn new(metadata: Metadata) -> Self {
        Self {
            metadata,
            tensors: Vec::new(),
        }
    }

    /// Adds a tensor whose stored bytes are at hand. `shape` is in ggml's order, contiguous first.
    pub fn tensor(
        &mut self,
        name: impl Into<String>,
        shape: &[u64],
        ty: GgmlType,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> &mut Self {
        self.add(name.into(), shape, ty, Source::Bytes(bytes.into()))
    }

    /// Adds a tensor whose stored bytes are made when their turn comes, so that only one needs to
    /// be in memory. `stream` writes exactly the bytes that shape and type ask for; its error ends
    /// the writing and is returned from [`Writer::write`].
    pub fn stream(
        &mut self,
        name: impl Into<String>,
        shape: &[u64],
        ty: GgmlType,
        stream: impl FnOnce(&mut dyn Write) -> Result<()> + 'a,
    ) -> &mut Self {
        self.add(name.into(), shape, ty, Source::Stream(Box::new(stream)))
    }

    /// Adds a tensor whose stored bytes come later, in any order: see [`Writer::create`].
    pub fn later(&mut self, name: impl Into<String>, shape: &[u64], ty: GgmlType) -> &mut Self {
        self.add(name.into(), shape, ty, Source::Later)
    }

    fn add(&mut self, name: String, shape: &[u64], ty: GgmlType, source: Source<'a>) -> &mut Self {
        self.tensors.push(Planned {
            name,
            shape: shape.to_vec(),
            ty,
            source,
        });
        self
    }

    /// Writes the file to `path`, replacing what is there only when all is on disk. Returns its
    /// size in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where names, shapes or sizes do not make a GGUF file, [`Error::Io`]
    /// where the disk fails, and whatever a stream returns.
    pub fn write(self, path: &Path) -> Result<u64> {
        let (header, sizes, alignment) = self
            .header()
            .map_err(|why| Error::invalid(path, format!("cannot be written: {why}")))?;
        let folder = folder_of(path);
        let mut part = part_file(path, &folder).map_err(name_path(path))?;
        let mut out = Counted {
            inner: BufWriter::new(part.as_file_mut()),
            n: 0,
        };
        out.write_all(&header).map_err(name_path(path))?;
        for (tensor, size) in self.tensors.into_iter().zip(sizes) {
            pad(&mut out, alignment).map_err(name_path(path))?;
            let start = out.n;
            match tensor.source {
                Source::Bytes(bytes) => out.write_all(&bytes).map_err(name_path(path))?,
                Source::Stream(stream) => stream(&mut out)?,
                // Found out just below: a tensor is never empty.
                Source::Later => {}
            }
            let written = out.n - start;
            if written != size {
                let name = tensor.name;
                return Err(Error::invalid(
                    path,
                    format!("cannot be written: tensor {name} takes {size} bytes, got {written}"),
                ));
            }
        }
        pad(&mut out, alignment).map_err(name_path(path))?;
        out.flush().map_err(name_path(path))?;
        let n = out.n;
        drop(out);
        part.as_file().sync_all().map_err(name_path(path))?;
        part.persist(path).map_err(|e| name_path(path)(e.error))?;
        sync_folder(&folder)?;
        Ok(n)
    }

    /// Writes metadata and tensor descriptions beside `path` and makes room for the data, which are
    /// then written by place, from several threads. Only for tensors added with [`Writer::later`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where names, shapes or sizes do not make a GGUF file, [`Error::Io`].
    pub fn create(self, path: &Path) -> Result<Part> {
        let (header, sizes, alignment) = self
            .header()
            .map_err(|why| Error::invalid(path, format!("cannot be written: {why}")))?;
        if self
            .tensors
            .iter()
            .any(|t| !matches!(t.source, Source::Later))
        {
            return Err(Error::invalid(
                path,
                "cannot be written: bytes given too early",
            ));
        }
        let folder = folder_of(path);
        let mut file = part_file(path, &folder).map_err(name_path(path))?;
        file.write_all(&header).map_err(name_path(path))?;
        let mut end = (header.len() as u64).next_multiple_of(alignment);
        let mut places = Vec::with_capacity(sizes.len());
        for size in sizes {
            places.push((end, size));
            end = (end + size).next_multiple_of(alignment);
        }
        file.as_file().set_len(end).map_err(name_path(path))?;
        Ok(Part::new(file, path.to_owned(), folder, places, end))
    }

    /// The bytes before the tensor data, the size of each tensor, and the alignment.
    fn header(&self) -> Result<(Vec<u8>, Vec<u64>, u64), String> {
        let alignment = u64::from(alignment(&self.metadata)?);
        let (n_keys, n_tensors) = (self.metadata.len() as u64, self.tensors.len() as u64);
        if n_keys > MAX_KEYS || n_tensors > MAX_TENSORS {
            return Err(format!(
                "{n_keys} keys and {n_tensors} tensors are too many"
            ));
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(n_tensors.to_le_bytes());
        bytes.extend(n_keys.to_le_bytes());
        for (key, value) in self.metadata.iter() {
            if key.is_empty() || key.len() as u64 > MAX_KEY_BYTES || key.contains('\0') {
                return Err(format!("metadata key {key:?} is not a name"));
            }
            string(&mut bytes, key)?;
            bytes.extend(value.kind().0.to_le_bytes());
            put_value(&mut bytes, value)?;
        }
        let sizes = self.tensor_entries(&mut bytes, alignment)?;
        Ok((bytes, sizes, alignment))
    }

    fn tensor_entries(&self, bytes: &mut Vec<u8>, alignment: u64) -> Result<Vec<u64>, String> {
        let mut names = HashSet::new();
        let mut sizes = Vec::with_capacity(self.tensors.len());
        let mut offset = 0_u64;
        for Planned {
            name, shape, ty, ..
        } in &self.tensors
        {
            let size = checked_size(name, shape, *ty)?;
            if !names.insert(name) {
                return Err(format!("tensor {name} appears twice"));
            }
            string(bytes, name)?;
            bytes.extend((shape.len() as u32).to_le_bytes());
            bytes.extend(shape.iter().flat_map(|n| n.to_le_bytes()));
            bytes.extend(ty.id().to_le_bytes());
            bytes.extend(offset.to_le_bytes());
            offset = size
                .checked_next_multiple_of(alignment)
                .and_then(|padded| offset.checked_add(padded))
                .ok_or_else(|| format!("tensor {name} ends beyond any file"))?;
            sizes.push(size);
        }
        Ok(sizes)
    }
}

fn string(bytes: &mut Vec<u8>, string: &str) -> Result<(), String> {
    if string.len() as u64 > MAX_STRING_BYTES {
        let n = string.len();
        return Err(format!(
            "a string of {n} bytes is above the limit of {MAX_STRING_BYTES}"
        ));
    }
    bytes.extend((string.len() as u64).to_le_bytes());
    bytes.extend(string.as_bytes());
    Ok(())
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) -> Result<(), String> {
    match value {
        Value::U8(v) => bytes.push(*v),
        Value::I8(v) => bytes.extend(v.to_le_bytes()),
        Value::U16(v) => bytes.extend(v.to_le_bytes()),
        Value::I16(v) => bytes.extend(v.to_le_bytes()),
        Value::U32(v) => bytes.extend(v.to_le_bytes()),
        Value::I32(v) => bytes.extend(v.to_le_bytes()),
        Value::F32(v) => bytes.extend(v.to_le_bytes()),
        Value::Bool(v) => bytes.push((*v).into()),
        Value::String(v) => string(bytes, v)?,
        Value::Array(v) => put_array(bytes, v)?,
        Value::U64(v) => bytes.extend(v.to_le_bytes()),
        Value::I64(v) => bytes.extend(v.to_le_bytes()),
        Value::F64(v) => bytes.extend(v.to_le_bytes()),
    }
    Ok(())
}

fn put_array(bytes: &mut Vec<u8>, array: &Array) -> Result<(), String> {
    bytes.extend(array.element().0.to_le_bytes());
    bytes.extend((array.len() as u64).to_le_bytes());
    match array {
        Array::U8(v) => bytes.extend(v),
        Array::I8(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::U16(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::I16(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::U32(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::I32(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::F32(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::Bool(v) => bytes.extend(v.iter().map(|x| u8::from(*x))),
        Array::String(v) => {
            for element in v.iter() {
                string(bytes, element)?;
            }
        }
        Array::U64(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::I64(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Array::F64(v) => bytes.extend(v.iter().flat_map(|x| x.to_le_bytes())),
    }
    Ok(())
}

struct Counted<W> {
    inner: W,
    n: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.n += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn pad(out: &mut Counted<impl Write>, alignment: u64) -> io::Result<()> {
    let n = out.n.next_multiple_of(alignment) - out.n;
    io::copy(&mut io::Read::take(io::repeat(0), n), out)?;
    Ok(())
}

/// Writes a small file whole: beside `path`, synced and renamed.
pub(crate) fn write_beside(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = folder_of(path);
    let mut part = part_file(path, &folder).map_err(name_path(path))?;
    part.write_all(bytes).map_err(name_path(path))?;
    part.as_file().sync_all().map_err(name_path(path))?;
    part.persist(path).map_err(|e| name_path(path)(e.error))?;
    sync_folder(&folder)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A unique file beside `path`, so that renaming stays within one file system and two writers do
/// not meet. It is removed when dropped.
fn part_file(path: &Path, folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{stem}.");
    builder.prefix(&prefix).suffix(".gguf.part");
    // The default lets only the owner read; a model is for everyone the umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

pub(super) fn name_path(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |cause| {
        let named = format!("cannot write {}: {cause}", path.display());
        Error::io(path)(io::Error::new(cause.kind(), named))
    }
}

/// Makes the rename itself durable.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    fs_err::File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(Error::io(folder))?;
    Ok(())
}
