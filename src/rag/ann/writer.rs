//! Writing an index file: vectors as they come, then what is made of them; beside the old one, renamed over it when whole.
//!
//! Vectors go straight to the file and are read back from it once, so that only codes and edges are in memory: half a
//! gigabyte for a million vectors of 384 numbers.

use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::build::Build;
use super::codes::{Histogram, stride};
use super::header::{ALIGN, HEADER, Header, MAX_KEY, Place, Section};
use super::kernel::{Kernel, Rows};
use super::walk::MAX_NODES;
use crate::rag::vectors::floats;
use crate::{Error, Result};

/// Read and written at once.
const BUFFER: usize = 1 << 20;

/// An index file in the making.
#[derive(Debug)]
pub(crate) struct Writer {
    file: BufWriter<tempfile::NamedTempFile>,
    dimension: usize,
    ids: Vec<i64>,
    checks: Vec<u32>,
    crc: crc32fast::Hasher,
    sizes: Histogram,
    at: u64,
}

impl Writer {
    /// Begins a file in `dir`, for vectors of length `dimension`.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn begin(dir: &Path, dimension: usize) -> Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(PART_PREFIX)
            .tempfile_in(dir)?;
        let mut writer = Self {
            file: BufWriter::with_capacity(BUFFER, file),
            dimension,
            ids: Vec::new(),
            checks: Vec::new(),
            crc: crc32fast::Hasher::new(),
            sizes: Histogram::new(),
            at: 0,
        };
        // Its place is kept: what it says is known at the end.
        writer.put(&vec![0; HEADER])?;
        Ok(writer)
    }

    /// Adds a vector as its row holds it. False when it is not usable, or its id not above all others.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn push(&mut self, id: i64, vector: &[u8]) -> Result<bool> {
        let ascending = self.ids.last().is_none_or(|&last| last < id);
        let fits = vector.len() == self.dimension * size_of::<f32>();
        let room = self.ids.len() + 1 < MAX_NODES;
        if !ascending || !fits || !room || !floats(vector).all(f32::is_finite) {
            return Ok(false);
        }
        self.sizes.add(floats(vector));
        self.ids.push(id);
        self.checks.push(crc32fast::hash(vector));
        self.crc.update(vector);
        self.put(vector)?;
        Ok(true)
    }

    /// Vectors so far.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Builds the graph, writes the rest, and puts the file in place of `path`. `go_on` is asked now and then, with the
    /// number of vectors that are in the graph; false ends it without a trace.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] when `go_on` said so; otherwise what the file system says.
    pub fn finish(
        mut self,
        path: &Path,
        key: &str,
        threads: usize,
        go_on: &mut dyn FnMut(usize) -> bool,
    ) -> Result<()> {
        let vectors = Place {
            offset: HEADER as u64,
            length: self.at - HEADER as u64,
            crc: self.crc.clone().finalize(),
        };
        let scale = self.sizes.scale();
        let codes = self.codes(vectors.length)?;
        let build = Build {
            rows: Rows {
                codes: &codes,
                stride: stride(self.dimension),
            },
            nodes: self.ids.len(),
            kernel: Kernel::best(),
            threads,
        };
        let graph = build.graph(go_on).map_err(|_| Error::Interrupted)?;
        let checks = std::mem::take(&mut self.checks);
        let ids = std::mem::take(&mut self.ids);
        let places = [
            vectors,
            self.section(checks.iter().map(|check| check.to_le_bytes()))?,
            self.section(ids.iter().map(|id| id.to_le_bytes()))?,
            self.section(codes.chunks(BUFFER))?,
            self.section(graph.edges.iter())?,
            self.section(graph.starts.iter())?,
        ];
        let key_fits = key.len() <= MAX_KEY;
        let header = Header {
            dimension: self.dimension,
            nodes: ids.len(),
            starts: graph.starts.len(),
            scale,
            key: if key_fits { key.into() } else { String::new() },
            places,
        };
        let mut file = self
            .file
            .into_inner()
            .map_err(|e| Error::Io(e.into_error()))?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header.encode())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| Error::Io(e.error))?;
        Ok(())
    }

    /// The codes of all vectors, read back from the file.
    fn codes(&mut self, length: u64) -> Result<Vec<u8>> {
        debug_assert_eq!(Section::ALL.first(), Some(&Section::Vectors));
        self.file.flush()?;
        let scale = self.sizes.scale();
        let mut codes = Vec::with_capacity(self.ids.len() * stride(self.dimension));
        let mut row = vec![0; self.dimension * size_of::<f32>()];
        let file = self.file.get_mut().as_file_mut();
        file.seek(SeekFrom::Start(HEADER as u64))?;
        let mut file = BufReader::with_capacity(BUFFER, file.take(length));
        for _ in &self.ids {
            file.read_exact(&mut row)?;
            scale.append(floats(&row), &mut codes);
        }
        let file = self.file.get_mut().as_file_mut();
        file.seek(SeekFrom::Start(self.at))?;
        Ok(codes)
    }

    /// Writes a section, aligned.
    fn section(&mut self, parts: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<Place> {
        let padding = self.at.next_multiple_of(ALIGN) - self.at;
        self.put(&vec![0; usize::try_from(padding).unwrap_or(0)])?;
        let offset = self.at;
        let mut crc = crc32fast::Hasher::new();
        for part in parts {
            crc.update(part.as_ref());
            self.put(part.as_ref())?;
        }
        Ok(Place {
            offset,
            length: self.at - offset,
            crc: crc.finalize(),
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// How the names of unfinished files begin: what a killed builder left is known by it.
pub(crate) const PART_PREFIX: &str = "index.part-";
