//! An index file apart from any collection: for vectors that come from elsewhere, and for measuring.

use std::path::{Path, PathBuf};

use super::bits::Bits;
use super::frozen::Frozen;
use super::header::Unusable;
use super::writer::Writer;
use crate::rag::vectors::{Best, to_bytes};
use crate::{Error, Result};

/// The key of files that belong to no collection.
const KEY: &str = "standalone";

/// Vectors of one index that a search may find.
#[derive(Debug, Clone)]
pub struct Subset(Bits);

impl Subset {
    /// Number of vectors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.count()
    }

    /// Whether a search among them finds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

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
/// let index = VectorIndex::open(&path, 2)?;
/// assert_eq!(index.nearest(&[0.8, 0.6], 1, 100)?, [(7, 0.8)]);
/// assert_eq!(index.nearest_among(&index.subset([9]), &[0.8, 0.6], 1, 100)?, [(9, 0.6)]);
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

    /// Number of vectors.
    #[must_use]
    #[allow(
        clippy::len_without_is_empty,
        reason = "an index of no vectors is no use to anybody"
    )]
    pub fn len(&self) -> usize {
        self.frozen.len()
    }

    /// Ids and cosines of the `limit` vectors nearest to `query` that a walk of breadth `breadth` (`ef_search` of HNSW)
    /// finds, best first.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when a vector is not what was written.
    pub fn nearest(&self, query: &[f32], limit: usize, breadth: usize) -> Result<Vec<(i64, f32)>> {
        self.search(query, limit, breadth, None)
    }

    /// Those of `ids` that are in the index, to search among.
    #[must_use]
    pub fn subset(&self, ids: impl IntoIterator<Item = i64>) -> Subset {
        let mut nodes = Bits::none(self.frozen.len());
        for node in ids.into_iter().filter_map(|id| self.frozen.find(id)) {
            nodes.add(node);
        }
        Subset(nodes)
    }

    /// As [`VectorIndex::nearest`], of the vectors of `subset` alone: by a walk on which only they count, or by a scan of
    /// their codes where that is quicker.
    ///
    /// # Errors
    ///
    /// As [`VectorIndex::nearest`].
    pub fn nearest_among(
        &self,
        subset: &Subset,
        query: &[f32],
        limit: usize,
        breadth: usize,
    ) -> Result<Vec<(i64, f32)>> {
        self.search(query, limit, breadth, Some(&subset.0))
    }

    fn search(
        &self,
        query: &[f32],
        limit: usize,
        breadth: usize,
        allowed: Option<&Bits>,
    ) -> Result<Vec<(i64, f32)>> {
        let mut best = Best::of(limit);
        let searched = self.frozen.nearest(query, breadth, allowed, &mut best);
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
