//! Neighbouring chunks joined: what was cut apart for the embedder is one passage for the reader.

use super::position::Span;
use super::search::Hit;

/// Joins hits of one document whose bytes overlap or touch. A joined passage stands where its best part stood and has
/// its score. Where a byte range does not spell the text (markup, other encodings), nothing is joined.
pub(super) fn join_neighbours(hits: Vec<Hit>) -> Vec<Hit> {
    let mut joined: Vec<Hit> = Vec::new();
    for hit in hits {
        // A hit can close the gap between two passages, so what it joins is offered again.
        let mut next = hit;
        let mut place = joined.len();
        while let Some(at) = joined.iter().position(|other| join(other, &next).is_some()) {
            let other = joined.remove(at);
            place = place.min(at);
            if let Some(both) = join(&other, &next) {
                next = both;
            }
        }
        joined.insert(place.min(joined.len()), next);
    }
    joined
}

/// `better` and `other` as one, if they are neighbours.
fn join(better: &Hit, other: &Hit) -> Option<Hit> {
    let spelled = |hit: &Hit| {
        hit.position.span != Span::Covering
            && hit.end.checked_sub(hit.start) == Some(hit.text.len())
    };
    let same = better.document == other.document
        && better.position.span == other.position.span
        && better.heading == other.heading;
    if !same || !spelled(better) || !spelled(other) {
        return None;
    }
    let (first, second) = if (better.start, better.end) <= (other.start, other.end) {
        (better, other)
    } else {
        (other, better)
    };
    if second.start > first.end {
        return None;
    }
    let new = second
        .text
        .get((first.end - second.start).min(second.text.len())..)?;
    Some(Hit {
        start: first.start,
        end: first.end.max(second.end),
        position: first.position,
        text: format!("{}{new}", first.text),
        ..better.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rag::Position;

    const FILE: &str = "One fish. Two fish. Red fish. Blue fish. New fish.";

    fn hit(document: i64, start: usize, end: usize) -> Hit {
        Hit {
            document,
            chunk: 0,
            path: String::new(),
            sha256: String::new(),
            start,
            end,
            position: Position::default(),
            score: 1.0 / (1 + start) as f32,
            rerank_score: None,
            heading: String::new(),
            text: FILE[start..end].to_owned(),
        }
    }

    fn ranges(hits: Vec<Hit>) -> Vec<(i64, usize, usize)> {
        let joined = join_neighbours(hits);
        for hit in &joined {
            assert_eq!(hit.text, FILE[hit.start..hit.end], "the bytes are the text");
        }
        joined
            .iter()
            .map(|hit| (hit.document, hit.start, hit.end))
            .collect()
    }

    #[test]
    fn what_overlaps_is_one_passage_at_the_better_place() {
        let hits = vec![hit(1, 10, 29), hit(2, 0, 9), hit(1, 0, 19)];
        assert_eq!(ranges(hits), [(1, 0, 29), (2, 0, 9)]);
    }

    #[test]
    fn a_gap_is_closed_by_a_later_hit() {
        let hits = vec![hit(1, 0, 9), hit(1, 20, 29), hit(1, 9, 20)];
        assert_eq!(ranges(hits), [(1, 0, 29)]);
    }

    #[test]
    fn what_is_apart_or_inside_stays_right() {
        assert_eq!(
            ranges(vec![hit(1, 0, 9), hit(1, 30, 40)]),
            [(1, 0, 9), (1, 30, 40)]
        );
        assert_eq!(ranges(vec![hit(1, 0, 40), hit(1, 10, 19)]), [(1, 0, 40)]);
    }
}
