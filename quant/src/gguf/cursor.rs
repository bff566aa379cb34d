//! A bounded reading position in a mapped file: every read is checked against its end, and what is
//! missing is said in bytes.

use std::path::Path;

use super::limits::MAX_STRING_BYTES;
use crate::{Error, Result};

pub(super) struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self {
            path,
            bytes,
            pos: 0,
        }
    }

    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    pub(super) fn pos(&self) -> u64 {
        self.pos as u64
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: u64) -> Result<&'a [u8]> {
        let end = self.need(n)?;
        let taken = self.bytes.get(self.pos..end).unwrap_or_default();
        self.pos = end;
        Ok(taken)
    }

    /// Checks that `n` more bytes exist, so that room for them may be allocated; says where they end.
    pub(super) fn need(&self, n: u64) -> Result<usize> {
        let needed = (self.pos as u64).saturating_add(n);
        match usize::try_from(needed) {
            Ok(end) if end <= self.bytes.len() => Ok(end),
            _ => Err(Error::Truncated {
                path: self.path.to_owned(),
                needed,
                found: self.bytes.len() as u64,
            }),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A string of at most `max` bytes; `what` names it for errors.
    pub(super) fn text(&mut self, max: u64, what: impl Fn() -> String) -> Result<&'a str> {
        let n = self.u64()?;
        if n > max {
            let what = what();
            return Err(Error::invalid(
                self.path,
                format!("{what} claims {n} bytes, above the limit of {max}"),
            ));
        }
        let bytes = self.take(n)?;
        std::str::from_utf8(bytes)
            .map_err(|cause| Error::invalid(self.path, format!("{} is not UTF-8: {cause}", what())))
    }

    /// A metadata string.
    pub(super) fn string(&mut self, key: &str) -> Result<&'a str> {
        self.text(MAX_STRING_BYTES, || format!("a string of key {key}"))
    }
}
