//! A GGUF file whose tensor data are written by place, in any order and from several threads. It
//! has its final name only when all is on disk; dropped before, it is removed.

use std::io;
use std::path::PathBuf;

use super::writer::{name_path, sync_folder};
use crate::{Error, Result};

/// A GGUF file to be, with its metadata written: see [`super::Writer::create`].
#[derive(Debug)]
pub struct Part {
    file: tempfile::NamedTempFile,
    path: PathBuf,
    folder: PathBuf,
    /// Where the data of each tensor begin, and how many bytes they are.
    places: Vec<(u64, u64)>,
    len: u64,
}

impl Part {
    pub(super) fn new(
        file: tempfile::NamedTempFile,
        path: PathBuf,
        folder: PathBuf,
        places: Vec<(u64, u64)>,
        len: u64,
    ) -> Self {
        Self {
            file,
            path,
            folder,
            places,
            len,
        }
    }

    /// Writes `bytes` at `from` within the data of tensor `index`, by order of announcement.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a place outside of the tensor, [`Error::Io`].
    pub fn write(&self, index: usize, from: u64, bytes: &[u8]) -> Result<()> {
        let place = self.places.get(index).filter(|(_, size)| {
            from.checked_add(bytes.len() as u64)
                .is_some_and(|end| end <= *size)
        });
        let Some((start, _)) = place else {
            let n = bytes.len();
            return Err(Error::invalid(
                &self.path,
                format!("cannot be written: {n} bytes at {from} lie outside of tensor {index}"),
            ));
        };
        write_at(self.file.as_file(), bytes, start + from).map_err(name_path(&self.path))
    }

    /// Syncs the file and gives it its name, replacing what has it. Returns its size in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn finish(self) -> Result<u64> {
        let path = self.path;
        self.file.as_file().sync_all().map_err(name_path(&path))?;
        self.file
            .persist(&path)
            .map_err(|e| name_path(&path)(e.error))?;
        sync_folder(&self.folder)?;
        Ok(self.len)
    }
}

#[cfg(unix)]
fn write_at(file: &std::fs::File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &std::fs::File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(n..).unwrap_or_default();
        at += n as u64;
    }
    Ok(())
}
