//! How numbers of the KV cache are stored.

use std::fmt;
use std::str::FromStr;

use llama_cpp_sys_2 as sys;

use crate::error::{Error, Result};

/// Type of keys and values in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvType {
    /// Half precision, two bytes a number.
    #[default]
    F16,
    /// Blocks of 32 numbers in 34 bytes: a little over half the memory, for a small loss. The steps of our own for a few
    /// tokens are not for it, so that nothing is drafted.
    Q8_0,
}

impl KvType {
    /// Its name, as ggml has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
        }
    }

    /// Bytes that numbers take in this type which take `bytes` in half precision.
    #[must_use]
    pub fn bytes_of(self, bytes_in_f16: u64) -> u64 {
        match self {
            Self::F16 => bytes_in_f16,
            Self::Q8_0 => (bytes_in_f16 / 64).saturating_mul(34),
        }
    }

    pub(super) fn of_ggml(self) -> sys::ggml_type {
        match self {
            Self::F16 => sys::GGML_TYPE_F16,
            Self::Q8_0 => sys::GGML_TYPE_Q8_0,
        }
    }
}

impl fmt::Display for KvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KvType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::F16, Self::Q8_0]
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::InvalidArgument {
                what: "cache type",
                value: text.to_owned(),
                expected: "f16 or q8_0".to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_sizes_are_those_of_blocks() {
        for kind in [KvType::F16, KvType::Q8_0] {
            assert_eq!(kind.name().parse::<KvType>().unwrap(), kind);
        }
        assert!("q4_0".parse::<KvType>().is_err());
        assert_eq!(KvType::F16.bytes_of(23_040), 23_040);
        assert_eq!(KvType::Q8_0.bytes_of(23_040), 12_240);
    }
}
