//! From a place in extracted text back to the bytes it came from.
//!
//! Extraction keeps most text as it is and changes some: an entity becomes a character, two bytes of UTF-16 one, markup
//! nothing. A [`SourceMap`] keeps the runs in which text and source go in step, so that any range of the text has a
//! range of the source that covers it, exact where the source says the same bytes.

use std::ops::Range;

/// Text and source in step: each unit of `text_unit` bytes of text came from `source_unit` bytes of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    text: usize,
    source: usize,
    units: usize,
    text_unit: usize,
    source_unit: usize,
}

impl Run {
    fn text_end(&self) -> usize {
        self.text + self.units * self.text_unit
    }

    fn source_end(&self) -> usize {
        self.source + self.units * self.source_unit
    }
}

/// Runs in order of the text; what the text has between them was made up, such as a line end for a tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SourceMap {
    runs: Vec<Run>,
}

impl SourceMap {
    /// Notes that text from `text` on is `length` bytes copied from `source` on.
    pub fn copied(&mut self, text: usize, source: usize, length: usize) {
        self.push(Run {
            text,
            source,
            units: length,
            text_unit: 1,
            source_unit: 1,
        });
    }

    /// Notes one unit: `text.len()` bytes of text stand for all of `source` and cannot be told apart.
    pub fn unit(&mut self, text: Range<usize>, source: Range<usize>) {
        self.push(Run {
            text: text.start,
            source: source.start,
            units: 1,
            text_unit: text.len(),
            source_unit: source.len(),
        });
    }

    fn push(&mut self, run: Run) {
        if run.units == 0 || run.text_unit == 0 {
            return;
        }
        if let Some(last) = self.runs.last_mut() {
            let same = (last.text_unit, last.source_unit) == (run.text_unit, run.source_unit);
            let follows = last.text_end() == run.text && last.source_end() == run.source;
            if same && follows && run.source_unit > 0 {
                last.units += run.units;
                return;
            }
        }
        self.runs.push(run);
    }

    /// The bytes of the source that `text` came from, from the first to the last of them.
    ///
    /// A range of made-up text alone is the empty one behind what comes before it.
    pub fn source(&self, text: Range<usize>) -> Range<usize> {
        let first = self
            .runs
            .partition_point(|run| run.text_end() <= text.start);
        let last = self.runs.partition_point(|run| run.text < text.end);
        let inside = self.runs.get(first..last).unwrap_or(&[]);
        let (Some(head), Some(tail)) = (inside.first(), inside.last()) else {
            let before = first.checked_sub(1).and_then(|at| self.runs.get(at));
            let end = before.map_or(0, Run::source_end);
            return end..end;
        };
        let skipped = text.start.saturating_sub(head.text) / head.text_unit;
        let taken = text.end.saturating_sub(tail.text).div_ceil(tail.text_unit);
        let start = head.source + skipped * head.source_unit;
        let end = tail.source + taken.min(tail.units) * tail.source_unit;
        start..end.max(start)
    }

    /// The text that `source` became, for a map without gaps whose source is in order.
    pub fn target(&self, source: Range<usize>) -> Range<usize> {
        let place = |at: usize, round_up: bool| {
            let run = self.runs.partition_point(|run| run.source_end() <= at);
            let end = self.runs.last().map_or(0, Run::text_end);
            let Some(run) = self.runs.get(run) else {
                return end;
            };
            let inside = at.saturating_sub(run.source);
            let units = match (round_up, run.source_unit) {
                (_, 0) => 0,
                (true, unit) => inside.div_ceil(unit),
                (false, unit) => inside / unit,
            };
            run.text + units * run.text_unit
        };
        place(source.start, false)..place(source.end, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_and_changed_text_find_their_source() {
        // source: `<b>a&amp;b</b> cd`, text: `a&b\ncd`
        let mut map = SourceMap::default();
        map.copied(0, 3, 1);
        map.unit(1..2, 4..9);
        map.copied(2, 9, 1);
        map.copied(4, 15, 2);
        assert_eq!(map.source(0..3), 3..10);
        assert_eq!(map.source(1..2), 4..9);
        assert_eq!(map.source(4..6), 15..17);
        assert_eq!(map.source(5..6), 16..17);
        assert_eq!(map.source(3..4), 10..10, "a made-up line end");
        assert_eq!(map.source(0..6), 3..17);
    }

    #[test]
    fn units_of_like_width_become_one_run() {
        let mut map = SourceMap::default();
        for n in 0..100 {
            map.unit(n..n + 1, 2 + 2 * n..4 + 2 * n);
        }
        assert_eq!(map.runs.len(), 1);
        assert_eq!(map.source(10..12), 22..26);
    }
}
