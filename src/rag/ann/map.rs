//! An index file, mapped, and read by positions where mapping would keep too much in memory.

use std::fs::File;
use std::path::Path;

/// A file mapped read-only.
#[derive(Debug)]
pub(super) struct Mapped {
    map: memmap2::Mmap,
    #[cfg(unix)]
    file: File,
}

impl Mapped {
    /// Maps the file at `path`.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the map is read-only and handed out as bytes alone, of which any value is valid. Nobody of us writes
        // into an index file: a new one is renamed over it, which leaves this map on the old content.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        // Walks jump about: reading ahead would fetch what is not needed.
        #[cfg(unix)]
        let _ = map.advise(memmap2::Advice::Random);
        Ok(Self {
            map,
            #[cfg(unix)]
            file,
        })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Fills `buffer` from `offset` on, without mapping the pages.
    #[cfg(unix)]
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    /// Fills `buffer` from `offset` on.
    #[cfg(not(unix))]
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.map.get(start..start.saturating_add(buffer.len()));
        let bytes = bytes.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}
