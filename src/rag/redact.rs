//! Redaction: what identifies people or opens doors, replaced by a token before it is stored or embedded.
//!
//! Found by shape, and by check digits where there are some: e-mail addresses, phone numbers, IBANs (mod 97), payment
//! cards (Luhn), keys and access tokens. The same value becomes the same token in one collection (`<EMAIL_7f3a90c1>`,
//! an HMAC-SHA256 with the collection's own key), so that an answer can still tell two people apart. Names and
//! addresses have no shape and stay, and so do file names.

use std::collections::BTreeMap;
use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use regex::Regex;
use sha2::Sha256;

use super::files::hex;
use super::source_map::SourceMap;
use crate::{Error, Result};

/// Bytes of the MAC that a token shows. With four, two values share a token once in 4 billion pairs; with two it would
/// be likely among 300 values, and an answer would take one person for another.
const TOKEN_BYTES: usize = 4;

/// How many values of each kind were replaced: `EMAIL`, `PHONE`, `IBAN`, `CARD`, `KEY`.
pub type Redacted = BTreeMap<&'static str, usize>;

/// What is looked for, in order: where two overlap, the earlier kind wins.
const PATTERNS: [(&str, &str); 10] = [
    (
        "KEY",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s:,-]*?-----END [A-Z ]*PRIVATE KEY-----",
    ),
    (
        "KEY",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    ),
    (
        "KEY",
        r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[opsru]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}|(?:sk|pk|rk)[-_][A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36})",
    ),
    (
        "KEY",
        r#"(?i)(?:api[_-]?key|secret|passw(?:or)?d|access[_-]?token|auth[_-]?token)["']?\s*[:=]\s*["']?(?P<value>[A-Za-z0-9+/_.~!@$%^&*-]{8,})"#,
    ),
    (
        "EMAIL",
        r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b",
    ),
    (
        "IBAN",
        r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b",
    ),
    ("CARD", r"\b[0-9](?:[ -]?[0-9]){12,18}\b"),
    (
        "PHONE",
        r"\+[1-9][0-9]{0,3}(?:[ ./-]?\(?[0-9]{1,5}\)?){2,6}\b",
    ),
    ("PHONE", r"\(0?[0-9]{2,5}\)[ -]?[0-9]{3,4}[ -]?[0-9]{3,5}\b"),
    (
        "PHONE",
        r"\b0[0-9]{2,5}[ /-][0-9]{3,}(?:[ -][0-9]{2,})*\b|\b[2-9][0-9]{2}[-.][0-9]{3}[-.][0-9]{4}\b",
    ),
];

/// Digits of a phone number, ITU-T E.164: 15 at most, and less than 7 is no number to call.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// How much there is of each kind in each of `texts`, which stay as they are.
///
/// # Errors
///
/// [`Error::Engine`] never: the patterns are constants that the tests compile.
pub fn personal_data<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Redacted>> {
    let finder = Redactor::new("")?;
    let counts = texts.into_iter().map(|text| {
        let mut counts = Redacted::new();
        for (kind, _) in finder.find(text) {
            *counts.entry(kind).or_default() += 1;
        }
        counts
    });
    Ok(counts.collect())
}

/// Replaces what it finds, with one collection's key.
#[derive(Debug)]
pub(super) struct Redactor {
    key: Vec<u8>,
    patterns: Vec<(&'static str, Regex)>,
    counts: Redacted,
}

impl Redactor {
    /// With the key of a collection.
    ///
    /// # Errors
    ///
    /// [`Error::Engine`] never: the patterns are constants that the tests compile.
    pub fn new(key: &str) -> Result<Self> {
        let compiled = PATTERNS.iter().map(|&(kind, pattern)| {
            let pattern = Regex::new(pattern);
            pattern.map(|pattern| (kind, pattern))
        });
        Ok(Self {
            key: key.as_bytes().to_vec(),
            patterns: compiled
                .collect::<std::result::Result<_, _>>()
                .map_err(|error| Error::Engine(format!("redaction: {error}")))?,
            counts: Redacted::new(),
        })
    }

    /// What was replaced since the last call.
    pub fn take_counts(&mut self) -> Redacted {
        std::mem::take(&mut self.counts)
    }

    /// `text` with tokens, and the way back from it.
    pub fn redact(&mut self, text: &str) -> (String, SourceMap) {
        let (redacted, map, found) = self.replace(text);
        for kind in found {
            *self.counts.entry(kind).or_default() += 1;
        }
        (redacted, map)
    }

    /// A title, which is part of the text and was counted with it.
    pub fn title(&self, title: &str) -> String {
        self.replace(title).0
    }

    fn replace(&self, text: &str) -> (String, SourceMap, Vec<&'static str>) {
        let mut out = String::with_capacity(text.len());
        let (mut map, mut kinds) = (SourceMap::default(), Vec::new());
        let mut copied = 0;
        for (kind, range) in self.find(text) {
            let before = text.get(copied..range.start).unwrap_or("");
            map.copied(out.len(), copied, before.len());
            out.push_str(before);
            let value = text.get(range.clone()).unwrap_or("");
            let token = self.token(kind, value);
            map.unit(out.len()..out.len() + token.len(), range.clone());
            out.push_str(&token);
            kinds.push(kind);
            copied = range.end;
        }
        let rest = text.get(copied..).unwrap_or("");
        map.copied(out.len(), copied, rest.len());
        out.push_str(rest);
        (out, map, kinds)
    }

    /// What is to be replaced, in order, without overlaps.
    fn find(&self, text: &str) -> Vec<(&'static str, Range<usize>)> {
        let mut found: Vec<(&'static str, Range<usize>)> = Vec::new();
        let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
        for (kind, pattern) in &self.patterns {
            for captures in pattern.captures_iter(text) {
                let Some(hit) = captures.name("value").or_else(|| captures.get(0)) else {
                    continue;
                };
                let range = hit.range();
                let overlaps = taken
                    .range(..range.end)
                    .next_back()
                    .is_some_and(|(_, &end)| end > range.start);
                let alone = *kind != "PHONE" || !goes_on(text, &range);
                if !overlaps && alone && is_one(kind, hit.as_str()) {
                    taken.insert(range.start, range.end);
                    found.push((kind, range));
                }
            }
        }
        found.sort_by_key(|(_, range)| range.start);
        found
    }

    fn token(&self, kind: &str, value: &str) -> String {
        let plain: String = match kind {
            "EMAIL" => value.to_lowercase(),
            "KEY" => value.to_owned(),
            _ => value.chars().filter(char::is_ascii_alphanumeric).collect(),
        };
        // HMAC takes a key of any length.
        let digest = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key).map(|mut mac| {
            mac.update(kind.as_bytes());
            mac.update(&[0]);
            mac.update(plain.as_bytes());
            mac.finalize().into_bytes()
        });
        let shown = digest.unwrap_or_default();
        format!("<{kind}_{}>", hex(shown.get(..TOKEN_BYTES).unwrap_or(&[])))
    }
}

/// Whether digits at `range` are the later groups of a longer number: those of an IBAN with a wrong digit look like a
/// phone number.
fn goes_on(text: &str, range: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let at = |back: usize| range.start.checked_sub(back).and_then(|at| bytes.get(at));
    bytes.get(range.start).is_some_and(u8::is_ascii_digit)
        && at(1).is_some_and(|c| matches!(c, b' ' | b'-'))
        && at(2).is_some_and(u8::is_ascii_digit)
}

/// Whether what has the shape also has the check digits.
fn is_one(kind: &str, value: &str) -> bool {
    match kind {
        "IBAN" => is_iban(value),
        "CARD" => is_card(value),
        "PHONE" => PHONE_DIGITS.contains(&digits(value).count()),
        _ => true,
    }
}

fn digits(value: &str) -> impl DoubleEndedIterator<Item = u32> {
    value.chars().filter_map(|c| c.to_digit(10))
}

/// ISO 13616: the first four characters moved to the end, letters as 10 to 35, the number modulo 97 is 1.
fn is_iban(value: &str) -> bool {
    let plain: Vec<char> = value.chars().filter(|c| !c.is_whitespace()).collect();
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let (head, tail) = plain.split_at(4);
    let rest = tail.iter().chain(head).try_fold(0u32, |rest, c| {
        let digit = c.to_digit(36)?;
        let shift = if digit < 10 { 10 } else { 100 };
        Some((rest * shift + digit) % 97)
    });
    rest == Some(1)
}

/// ISO/IEC 7812: Luhn's sum over 13 to 19 digits, which are not all the same.
fn is_card(value: &str) -> bool {
    let numbers: Vec<u32> = digits(value).collect();
    if !(13..=19).contains(&numbers.len()) || numbers.windows(2).all(|pair| pair[0] == pair[1]) {
        return false;
    }
    let sum: u32 = numbers
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| match (at % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(text: &str) -> (String, Redacted) {
        let mut redactor = Redactor::new("key").expect("compiles");
        let (text, _) = redactor.redact(text);
        (text, redactor.take_counts())
    }

    #[test]
    fn values_become_stable_tokens() {
        let (text, counts) = redact("Ann (ann@example.org, Ann@Example.org) or bob@example.org");
        assert_eq!(counts.get("EMAIL"), Some(&3));
        let tokens: Vec<&str> = text
            .split(['(', ',', ')', ' '])
            .filter(|t| t.starts_with('<'))
            .collect();
        assert_eq!((tokens.len(), tokens[0]), (3, tokens[1]));
        assert_ne!(tokens[0], tokens[2]);
        assert!(!text.contains('@'));
        let other = Redactor::new("another key")
            .expect("compiles")
            .title("ann@example.org");
        assert_ne!(other, tokens[0]);
    }

    #[test]
    fn check_digits_decide() {
        for (text, kind) in [
            ("pay to DE89 3704 0044 0532 0130 00 now", "IBAN"),
            ("pay to GB82WEST12345698765432.", "IBAN"),
            ("card 4111 1111 1111 1111, please", "CARD"),
            ("card 5500-0000-0000-0004", "CARD"),
            ("call +49 30 901820 or so", "PHONE"),
            ("call (030) 9018-2000", "PHONE"),
            ("call 555-123-4567", "PHONE"),
            ("key AKIAIOSFODNN7EXAMPLE", "KEY"),
            ("password = hunter2hunter2", "KEY"),
        ] {
            let (redacted, counts) = redact(text);
            assert_eq!(counts, Redacted::from([(kind, 1)]), "{text} -> {redacted}");
        }
        for text in [
            "DE89 3704 0044 0532 0130 02 has a wrong digit",
            "4111 1111 1111 1112",
            "0000 0000 0000 0000",
            "on 2024-05-17 at 10:30, version 1.2.3, 1,234,567 of them, ISBN 978-3-16",
            "a @ b, x@y, the secret: it is a secret",
            "pages 100-200, sections 3.4.5.6",
        ] {
            assert_eq!(redact(text), (text.to_owned(), Redacted::new()));
        }
    }

    #[test]
    fn places_lead_back() {
        let text = "write to ann@example.org today";
        let mut redactor = Redactor::new("key").expect("compiles");
        let (redacted, map) = redactor.redact(text);
        let at = redacted.find("today").expect("is there");
        assert_eq!(&text[map.source(at..at + 5)], "today");
        let token = redacted.find('<').expect("is there");
        assert_eq!(&text[map.source(token..at - 1)], "ann@example.org");
        assert_eq!(map.target(9..24), token..at - 1);
    }
}
