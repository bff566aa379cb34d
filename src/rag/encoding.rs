//! Bytes into text: which encoding a file is in, and which bytes each character came from.
//!
//! A byte order mark decides; else valid UTF-8 is UTF-8; else `chardetng`, the detector of a browser, guesses a legacy
//! encoding (Windows-1252 for western text). `encoding_rs` decodes it.

use encoding_rs::{CoderResult, Encoding, UTF_8};

use super::source_map::SourceMap;

/// Bytes that the detector looks at. Its guess hardly changes after the first pages, and it reads byte by byte.
const DETECTED_BYTES: usize = 1 << 20;

/// Control characters, or characters that could not be decoded, in more than one of so many: no text.
const MOST_GARBAGE: usize = 100;

/// Longest text that one byte can complete, in UTF-8: two characters, where a broken sequence ends.
const STEP_BYTES: usize = 16;

/// A file's text.
#[derive(Debug)]
pub(super) struct Decoded {
    /// All of it, without byte order mark.
    pub text: String,
    /// Where it was in the file.
    pub map: SourceMap,
    /// The encoding by its WHATWG name: `UTF-8`, `windows-1252`.
    pub encoding: &'static str,
}

/// Decodes `bytes`.
///
/// # Errors
///
/// Why they are no text.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let marked = Encoding::for_bom(bytes);
    let (encoding, skipped) = marked.unwrap_or((UTF_8, 0));
    let body = bytes.get(skipped..).unwrap_or(&[]);
    if encoding == UTF_8 {
        if body.contains(&0) {
            return Err("binary: has NUL bytes".into());
        }
        match std::str::from_utf8(body) {
            Ok(text) => return Ok(utf8(text, skipped)),
            Err(error) if marked.is_some() => {
                let at = skipped + error.valid_up_to();
                return Err(format!("marked as UTF-8, but has an invalid byte at {at}"));
            }
            Err(_) => {}
        }
    }
    let encoding = if marked.is_some() {
        encoding
    } else {
        detect(body)
    };
    let decoded = legacy(body, skipped, encoding);
    if is_garbage(&decoded.text) {
        return Err(format!(
            "binary: not UTF-8, and as {} it is no text either",
            encoding.name()
        ));
    }
    Ok(decoded)
}

fn utf8(text: &str, skipped: usize) -> Decoded {
    let mut map = SourceMap::default();
    map.copied(0, skipped, text.len());
    Decoded {
        text: text.to_owned(),
        map,
        encoding: UTF_8.name(),
    }
}

fn detect(bytes: &[u8]) -> &'static Encoding {
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    let looked_at = bytes.get(..DETECTED_BYTES).unwrap_or(bytes);
    detector.feed(looked_at, looked_at.len() == bytes.len());
    detector.guess(None, chardetng::Utf8Detection::Deny)
}

/// Hands the decoder one byte at a time: what it has to say then came from the bytes since it last spoke.
fn legacy(bytes: &[u8], skipped: usize, encoding: &'static Encoding) -> Decoded {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(bytes.len());
    let mut map = SourceMap::default();
    let mut begun = 0;
    for at in 0..=bytes.len() {
        let byte = bytes.get(at..at + 1);
        let mut buffer = [0u8; STEP_BYTES];
        let (result, _, written, _) =
            decoder.decode_to_utf8(byte.unwrap_or(&[]), &mut buffer, byte.is_none());
        // 16 bytes hold all that one byte can complete, so the output is never full.
        debug_assert_eq!(result, CoderResult::InputEmpty);
        let piece = buffer.get(..written).map(String::from_utf8_lossy);
        let piece = piece.filter(|piece| !piece.is_empty());
        if let Some(piece) = piece {
            let end = (at + 1).min(bytes.len());
            let from = text.len();
            text.push_str(&piece);
            map.unit(from..text.len(), skipped + begun..skipped + end);
            begun = end;
        }
    }
    Decoded {
        text,
        map,
        encoding: encoding.name(),
    }
}

fn is_garbage(text: &str) -> bool {
    let garbage = |c: &char| (c.is_control() && !c.is_whitespace()) || *c == '\u{fffd}';
    let bad = text.chars().filter(garbage).count();
    bad * MOST_GARBAGE > text.chars().count() || text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_1252_points_at_its_bytes() {
        let bytes = b"caf\xe9 au lait, na\xefve \x96 d\xe9j\xe0 vu";
        let decoded = decode(bytes).expect("text");
        assert_eq!(decoded.encoding, "windows-1252");
        assert_eq!(decoded.text, "café au lait, naïve – déjà vu");
        let at = decoded.text.find("lait").expect("is there");
        assert_eq!(&bytes[decoded.map.source(at..at + 4)], b"lait");
        let at = decoded.text.find('é').expect("is there");
        assert_eq!(decoded.map.source(at..at + 2), 3..4);
    }

    #[test]
    fn utf_16_of_both_orders_points_at_its_bytes() {
        let text = "Żuraw 👩 stoi";
        for big in [false, true] {
            let mut bytes = if big {
                vec![0xfe, 0xff]
            } else {
                vec![0xff, 0xfe]
            };
            for unit in text.encode_utf16() {
                bytes.extend(if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                });
            }
            let decoded = decode(&bytes).expect("text");
            assert_eq!(decoded.text, text);
            let at = text.find("stoi").expect("is there");
            let source = decoded.map.source(at..at + 4);
            assert_eq!(source, bytes.len() - 8..bytes.len());
            let at = text.find('👩').expect("is there");
            assert_eq!(decoded.map.source(at..at + 4).len(), 4);
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert!(decode(b"a\0b").is_err());
        assert!(decode(&[0x81, 0x02, 0x03, 0xff, 0x1b, 0x07, 0x90, 0x8d]).is_err());
        assert!(decode(b"\xef\xbb\xbfab\xff").is_err_and(|why| why.contains("at 5")));
    }
}
