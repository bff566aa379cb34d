//! The option that says how much of computed prompts is kept on disk.

use std::fmt;
use std::str::FromStr;

use clap::Args;
use unforget::Result;
use unforget::engine::{PrefixCache, SessionOptions};
use unforget::registry::Home;

use super::output;

/// Computed beginnings of prompts, kept on disk.
#[derive(Debug, Clone, Args)]
pub struct CacheArgs {
    /// Most bytes on disk of computed prompts, which later runs find again: a number with K, M or G, or off
    #[arg(
        long,
        env = "UNFORGET_PREFIX_CACHE",
        default_value_t,
        value_name = "SIZE"
    )]
    pub prefix_cache: CacheSize,
}

impl CacheArgs {
    /// `sizes` with the cache of `home`. Where it cannot be had, there is none: it saves time and nothing else.
    pub fn add_to(&self, mut sizes: SessionOptions, home: &Home) -> SessionOptions {
        if self.prefix_cache.0 > 0 {
            match open_cache(home, self.prefix_cache.0) {
                Ok(cache) => sizes.prefix_cache = Some(cache),
                Err(error) => output::warn(&format!("no prefix cache: {error}")),
            }
        }
        sizes
    }
}

fn open_cache(home: &Home, bytes: u64) -> Result<PrefixCache> {
    let folder = home.prefix_cache();
    home.create(&folder)?;
    PrefixCache::open(&folder, bytes)
}

/// Bytes; 0 is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSize(u64);

impl Default for CacheSize {
    fn default() -> Self {
        Self(PrefixCache::DEFAULT_BYTES)
    }
}

impl fmt::Display for CacheSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = [(30, "G"), (20, "M"), (10, "K")]
            .into_iter()
            .find(|(shift, _)| self.0 > 0 && self.0.trailing_zeros() >= *shift);
        match unit {
            _ if self.0 == 0 => f.write_str("off"),
            Some((shift, name)) => write!(f, "{}{name}", self.0 >> shift),
            None => self.0.fmt(f),
        }
    }
}

impl FromStr for CacheSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self(0));
        }
        parse_bytes(text)
            .map(Self)
            .ok_or_else(|| "a number of bytes such as 500M or 2G is expected, or off".to_owned())
    }
}

/// A number of bytes, with K, M or G for powers of 1024.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, bytes) in [
            ("off", 0),
            ("0", 0),
            ("123", 123),
            ("4k", 4096),
            ("500M", 500 << 20),
            ("2G", 2 << 30),
        ] {
            let size: CacheSize = text.parse().unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string().parse(), Ok(size), "{text}");
        }
        for wrong in ["", "G", "-1", "2 G", "1.5G", "99999999999999G", "2T"] {
            assert!(wrong.parse::<CacheSize>().is_err(), "{wrong}");
        }
        assert_eq!(CacheSize::default().to_string(), "2G");
    }
}
