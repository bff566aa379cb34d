//! The header that says which part of a file a server sends.

use std::str::FromStr;

/// `Content-Range: bytes START-END/TOTAL` (RFC 9110, section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) start: u64,
    /// Bytes of the whole file; `None` where the server writes `*`.
    pub(super) total: Option<u64>,
}

impl FromStr for ContentRange {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let range = text.trim().strip_prefix("bytes").ok_or(())?.trim_start();
        let (span, total) = range.split_once('/').ok_or(())?;
        let (start, end) = span.split_once('-').ok_or(())?;
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| ());
        let (start, end) = (number(start)?, number(end)?);
        let total = match total.trim() {
            "*" => None,
            total => Some(number(total)?),
        };
        if end < start || total.is_some_and(|total| end >= total) {
            return Err(());
        }
        Ok(Self { start, total })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn malformed_ranges_are_refused() {
        for bad in [
            "",
            "bytes",
            "bytes */10",
            "bytes 5-4/10",
            "bytes 0-10/10",
            "items 0-1/2",
            "bytes -1-2/3",
            "bytes 1-2",
        ] {
            assert!(bad.parse::<ContentRange>().is_err(), "{bad}");
        }
        assert_eq!(
            "bytes 0-1/*".parse(),
            Ok(ContentRange {
                start: 0,
                total: None
            })
        );
    }

    proptest! {
        #[test]
        fn a_well_formed_one_is_read(start in 0..u64::MAX / 4, length in 1..u64::MAX / 4, rest in 0..u64::MAX / 4) {
            let total = start + length + rest;
            let text = format!("bytes {start}-{}/{total}", start + length - 1);
            prop_assert_eq!(text.parse(), Ok(ContentRange { start, total: Some(total) }));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<ContentRange>();
        }
    }
}
