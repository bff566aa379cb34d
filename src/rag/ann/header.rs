//! The first page of an index file: what it is, what it was made from, and where its sections lie.
//!
//! All numbers are little-endian. Page of 4,096 bytes:
//!
//! | at | what |
//! |---|---|
//! | 0 | [`MAGIC`], 8 bytes |
//! | 8 | version, u32 |
//! | 12 | CRC-32 of bytes 16..4096, u32 |
//! | 16 | dimension, edges of a node, nodes, starts: u32 each |
//! | 32 | scale of the codes, f32 |
//! | 36 | length of the key, u32 |
//! | 40 | sections: offset u64, length u64, CRC-32 u32, and a zero u32, each; in the order of [`Section`] |
//! | 256 | the key, UTF-8: names database, embedder and state of the rows |
//!
//! Sections begin at multiples of 64. The first, the vectors, begins at 4,096.

use std::ops::Range;

use super::codes::{Scale, stride};
use super::walk::{DEGREE, MAX_NODES};

/// What the file begins with.
const MAGIC: &[u8; 8] = b"ufgt-ann";

/// Version of the format. 1 was a graph without vectors, of another beginning.
pub(super) const VERSION: u32 = 2;

/// Length of this page.
pub(super) const HEADER: usize = 4096;

/// Where the key begins.
const KEY_AT: usize = 256;

/// Longest key: what is left of the page.
pub(super) const MAX_KEY: usize = HEADER - KEY_AT;

/// Longest vector: four times that of the largest embedders known, and a row of it is small.
const MAX_DIMENSION: usize = 1 << 14;

/// Sections begin at multiples of it, a cache line.
pub(super) const ALIGN: u64 = 64;

/// Parts of the file, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// The vectors, f32, node after node.
    Vectors,
    /// CRC-32 of each vector, u32.
    Checks,
    /// Chunk ids, i64, ascending.
    Ids,
    /// Codes, u8, each row filled up to a multiple of 64.
    Codes,
    /// Edges, u32, [`DEGREE`] for each node.
    Edges,
    /// Starts of a walk, u32.
    Starts,
}

impl Section {
    pub const ALL: [Self; 6] = [
        Self::Vectors,
        Self::Checks,
        Self::Ids,
        Self::Codes,
        Self::Edges,
        Self::Starts,
    ];

    /// As a message names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vectors => "vectors",
            Self::Checks => "checksums",
            Self::Ids => "ids",
            Self::Codes => "codes",
            Self::Edges => "edges",
            Self::Starts => "starts",
        }
    }
}

/// Where a section lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub offset: u64,
    pub length: u64,
    pub crc: u32,
}

/// What the first page says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub dimension: usize,
    pub nodes: usize,
    pub starts: usize,
    pub scale: Scale,
    pub key: String,
    pub places: [Place; Section::ALL.len()],
}

/// Why a file is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// There is none.
    #[error("there is none")]
    Missing,
    /// Of a format that this program does not know.
    #[error("it is of format {found}, and this program knows {VERSION}")]
    Version {
        /// The file's.
        found: u32,
    },
    /// Made from other rows.
    #[error("it was made from other rows")]
    OtherRows,
    /// Not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl Unusable {
    pub(super) fn damaged(what: &str) -> Self {
        Self::Damaged(what.to_owned())
    }
}

impl Header {
    /// How long each section has to be.
    fn lengths(&self) -> [u64; Section::ALL.len()] {
        let (nodes, dimension) = (self.nodes as u64, self.dimension as u64);
        Section::ALL.map(|section| match section {
            Section::Vectors => nodes * dimension * 4,
            Section::Checks => nodes * 4,
            Section::Ids => nodes * 8,
            Section::Codes => nodes * stride(self.dimension) as u64,
            Section::Edges => nodes * DEGREE as u64 * 4,
            Section::Starts => self.starts as u64 * 4,
        })
    }

    /// The page.
    pub fn encode(&self) -> Vec<u8> {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        let mut rest = Vec::with_capacity(HEADER);
        for n in [self.dimension, DEGREE, self.nodes, self.starts] {
            rest.extend(count(n));
        }
        rest.extend(self.scale.0.to_le_bytes());
        rest.extend(count(self.key.len()));
        for place in &self.places {
            rest.extend(place.offset.to_le_bytes());
            rest.extend(place.length.to_le_bytes());
            rest.extend(place.crc.to_le_bytes());
            rest.extend([0; 4]);
        }
        rest.resize(KEY_AT - 16, 0);
        rest.extend(self.key.bytes());
        rest.resize(HEADER - 16, 0);
        let crc = crc32fast::hash(&rest).to_le_bytes();
        [MAGIC, &VERSION.to_le_bytes()[..], &crc, &rest].concat()
    }

    /// Reads the page at the beginning of `file`, which has `length` bytes, and checks every number in it.
    pub fn decode(file: &[u8], length: u64) -> Result<Self, Unusable> {
        let damaged = Unusable::damaged;
        let page = file.get(..HEADER).ok_or_else(|| damaged("it is cut off"))?;
        if page.get(..8) != Some(MAGIC) {
            return Err(damaged("it does not begin like an index file"));
        }
        let version = word(page, 8);
        if version != VERSION {
            return Err(Unusable::Version { found: version });
        }
        if word(page, 12) != crc32fast::hash(page.get(16..).unwrap_or(&[])) {
            return Err(damaged("its first page is not what was written"));
        }
        let count = |at: usize| word(page, at) as usize;
        let key = page.get(KEY_AT..KEY_AT + count(36).min(MAX_KEY));
        let key = key.and_then(|key| str::from_utf8(key).ok());
        let mut places = [Place::default(); Section::ALL.len()];
        for (at, place) in (40..).step_by(24).zip(&mut places) {
            *place = Place {
                offset: long(page, at),
                length: long(page, at + 8),
                crc: word(page, at + 16),
            };
        }
        let header = Self {
            dimension: count(16),
            nodes: count(24),
            starts: count(28),
            scale: Scale(f32::from_bits(word(page, 32))),
            key: key.ok_or_else(|| damaged("its key is no text"))?.to_owned(),
            places,
        };
        let fits = |(place, wanted): (&Place, u64)| {
            let end = place.offset.checked_add(place.length);
            place.length == wanted && end.is_some_and(|end| end <= length)
        };
        let is_sound = count(20) == DEGREE
            && (1..=MAX_DIMENSION).contains(&header.dimension)
            && header.nodes < MAX_NODES
            && header.starts <= header.nodes
            && header.scale.is_sound();
        if !is_sound || !header.places.iter().zip(header.lengths()).all(fits) {
            return Err(damaged("its sections do not fit it"));
        }
        Ok(header)
    }

    /// Bytes of `section` in the file.
    pub fn range(&self, section: Section) -> Range<usize> {
        let place = self.place(section);
        // Both fit: the file is mapped.
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        start..start.saturating_add(usize::try_from(place.length).unwrap_or(0))
    }

    pub fn place(&self, section: Section) -> Place {
        let at = Section::ALL.iter().position(|&s| s == section);
        at.and_then(|at| self.places.get(at))
            .copied()
            .unwrap_or_default()
    }
}

fn word(page: &[u8], at: usize) -> u32 {
    let bytes = page.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn long(page: &[u8], at: usize) -> u64 {
    let bytes = page.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let mut header = Header {
            dimension: 3,
            nodes: 2,
            starts: 1,
            scale: Scale(500.0),
            key: "a/b".into(),
            places: Default::default(),
        };
        let lengths = header.lengths();
        let mut offset = HEADER as u64;
        for (place, length) in header.places.iter_mut().zip(lengths) {
            *place = Place {
                offset,
                length,
                crc: 7,
            };
            offset = (offset + length).next_multiple_of(ALIGN);
        }
        header
    }

    fn end(header: &Header) -> u64 {
        let last = header.place(Section::Starts);
        last.offset + last.length
    }

    #[test]
    fn reads_what_it_wrote() {
        let header = header();
        let page = header.encode();
        assert_eq!(page.len(), HEADER);
        assert_eq!(Header::decode(&page, end(&header)), Ok(header));
    }

    #[test]
    fn refuses_every_damage() {
        let header = header();
        let page = header.encode();
        for at in 0..HEADER {
            let mut flipped = page.clone();
            flipped[at] ^= 1;
            assert!(Header::decode(&flipped, end(&header)).is_err(), "byte {at}");
        }
        assert!(Header::decode(&page[..HEADER - 1], end(&header)).is_err());
        assert!(Header::decode(&page, end(&header) - 1).is_err(), "cut off");
    }

    /// A good checksum is no proof of sense.
    #[test]
    fn refuses_numbers_that_point_nowhere() {
        let far = Place {
            offset: u64::MAX,
            length: 8,
            crc: 7,
        };
        let whole = header();
        let mut places = whole.places;
        places[1] = far;
        let broken = [
            Header {
                nodes: 3,
                ..header()
            },
            Header {
                nodes: MAX_NODES,
                ..header()
            },
            Header {
                dimension: 0,
                ..header()
            },
            Header {
                starts: 3,
                ..header()
            },
            Header {
                scale: Scale(f32::NAN),
                ..header()
            },
            Header { places, ..header() },
        ];
        for header in broken {
            let page = header.encode();
            assert!(Header::decode(&page, u64::MAX / 2).is_err(), "{header:?}");
        }
    }

    #[test]
    fn names_a_newer_version() {
        let mut page = header().encode();
        page[8] = 9;
        assert_eq!(
            Header::decode(&page, 1 << 20),
            Err(Unusable::Version { found: 9 })
        );
    }
}
