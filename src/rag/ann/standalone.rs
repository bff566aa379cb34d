//! An index file apart from any collection: for vectors that come from elsewhere, and for measuring.

use std::path::{Path, PathBuf};

use super::frozen::Frozen;
use super::header::Unusable;
use super::writer::Writer;
use crate::rag::vectors::{Best, to_bytes};
use crate::{Error, Result};

/// The key of files that belong to no collection.
const KEY: &str = "standalone";

/// Unit vectors in one mapped file, searched by a walk over a graph of int8 codes and ranked by their exact cosine.
///
/// ```
/// use unforget::rag::VectorIndex;
///
/// # fn main() -> unforget::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("colours.ann");
/// let vectors = [(7, vec![1.0, 0.0]), (9, vec![0.0, 1.0])];
/// VectorIndex::build(&path, 2, vectors.iter().map(|(id, v)| (*id, v.as_slice())), 1)?;
/// let nearest = VectorIndex::open(&path, 2)?.nearest(&[0.8, 0.6], 1, 100)?;
/// assert_eq!(nearest, [(7, 0.8)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct VectorIndex {
    path: PathBuf,
    frozen: Frozen,
}

impl VectorIndex {
    /// Makes the file at `path` of vectors of length `dimension` by ascending id, on `threads` threads. The same vectors
    /// make the same file, on however many.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a vector of another length, that is not finite, or whose id is not above the one
    /// before; otherwise what the file system says.
    pub fn build<'a>(
        path: &Path,
        dimension: usize,
        vectors: impl IntoIterator<Item = (i64, &'a [f32])>,
        threads: usize,
    ) -> Result<()> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let mut writer = Writer::begin(dir.unwrap_or(Path::new(".")), dimension)?;
        for (id, vector) in vectors {
            if !writer.push(id, &to_bytes(vector))? {
                return Err(Error::InvalidArgument {
                    what: "vector",
                    value: id.to_string(),
                    expected: format!("{dimension} finite numbers, by ascending id"),
                });
            }
        }
        writer.finish(path, KEY, threads, &mut |_| true)
    }

    /// Opens the file at `path`, for vectors of length `dimension`.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when it is not one that [`VectorIndex::build`] made.
    pub fn open(path: &Path, dimension: usize) -> Result<Self> {
        let frozen = Frozen::open(path, KEY, dimension).map_err(|why| explain(path, &why))?;
        Ok(Self {
            path: path.to_owned(),
            frozen,
        })
    }

    /// Ids and cosines of the `limit` vectors nearest to `query` that a walk of breadth `breadth` (`ef_search` of HNSW)
    /// finds, best first.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when a vector is not what was written.
    pub fn nearest(&self, query: &[f32], limit: usize, breadth: usize) -> Result<Vec<(i64, f32)>> {
        let mut best = Best::of(limit);
        let searched = self.frozen.nearest(query, breadth, None, &mut best);
        searched.map_err(|why| explain(&self.path, &why))?;
        let found = best.into_sorted();
        let pairs = found
            .iter()
            .map(|found| Some((self.frozen.id(found.row)?, found.score)));
        Ok(pairs.flatten().collect())
    }

    /// Checks every byte of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] with what is wrong.
    pub fn check(&self) -> Result<()> {
        self.frozen.check().map_err(|why| explain(&self.path, &why))
    }
}

fn explain(path: &Path, why: &Unusable) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        reason: format!("{why}; build it anew"),
    }
}
