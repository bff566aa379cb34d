//! From tokens' bytes to text that can be shown: whole UTF-8 characters, and nothing of a stop string.

/// Bytes of an answer as they come, and how much of them is safe to show.
#[derive(Debug)]
pub(super) struct TextStream {
    stops: Vec<String>,
    /// Bytes that are not yet a whole character.
    partial: Vec<u8>,
    /// Text that could still turn out to be the beginning of a stop string.
    held: String,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Text to show, perhaps empty.
    Text(String),
    /// A stop string came; this is the text before it.
    Stopped(String),
}

impl TextStream {
    pub(super) fn new(stops: &[String]) -> Self {
        Self {
            stops: stops
                .iter()
                .filter(|stop| !stop.is_empty())
                .cloned()
                .collect(),
            partial: Vec::new(),
            held: String::new(),
        }
    }

    /// Takes a token's bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Pushed {
        self.partial.extend_from_slice(bytes);
        self.take_whole_characters();
        if let Some(at) = self.first_stop() {
            let mut before = std::mem::take(&mut self.held);
            before.truncate(at);
            return Pushed::Stopped(before);
        }
        let keep = self.longest_stop_prefix_at_end();
        let rest = self.held.split_off(self.held.len() - keep);
        Pushed::Text(std::mem::replace(&mut self.held, rest))
    }

    /// What was held back, when no more bytes will come. A character that was cut off by the end is dropped.
    pub(super) fn finish(&mut self) -> String {
        self.partial.clear();
        std::mem::take(&mut self.held)
    }

    /// Moves all but an unfinished last character from `partial` to `held`.
    fn take_whole_characters(&mut self) {
        let mut rest = 0;
        for chunk in self.partial.utf8_chunks() {
            self.held.push_str(chunk.valid());
            rest += chunk.valid().len();
            let invalid = chunk.invalid();
            let at_end = rest + invalid.len() == self.partial.len();
            if at_end && could_continue(invalid) {
                break;
            }
            if !invalid.is_empty() {
                self.held.push(char::REPLACEMENT_CHARACTER);
                rest += invalid.len();
            }
        }
        self.partial.drain(..rest);
    }

    fn first_stop(&self) -> Option<usize> {
        self.stops
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()))
            .min()
    }

    /// Length in bytes of the longest end of `held` that begins a stop string.
    fn longest_stop_prefix_at_end(&self) -> usize {
        self.stops
            .iter()
            .filter_map(|stop| {
                stop.char_indices()
                    .map(|(at, _)| at)
                    .rev()
                    .find(|&at| at > 0 && self.held.ends_with(&stop[..at]))
            })
            .max()
            .unwrap_or(0)
    }
}

/// Whether more bytes could make these the beginning of a character.
fn could_continue(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&[u8]]) -> (Vec<Pushed>, String) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut stream = TextStream::new(&stops);
        let pushed = pieces.iter().map(|piece| stream.push(piece)).collect();
        let rest = stream.finish();
        (pushed, rest)
    }

    fn text(text: &str) -> Pushed {
        Pushed::Text(text.to_owned())
    }

    #[test]
    fn a_character_split_over_tokens_comes_whole() {
        let (pushed, rest) = run(&[], &[b"a\xf0\x9f", b"\x98", b"\x80b"]);
        assert_eq!(pushed, [text("a"), text(""), text("😀b")]);
        assert_eq!(rest, "");
    }

    #[test]
    fn invalid_bytes_become_the_replacement_character() {
        let (pushed, _) = run(&[], &[b"a\xffb"]);
        assert_eq!(pushed, [text("a\u{fffd}b")]);
    }

    #[test]
    fn a_character_cut_off_by_the_end_is_dropped() {
        let (pushed, rest) = run(&[], &[b"ok\xe2\x82"]);
        assert_eq!((pushed, rest.as_str()), (vec![text("ok")], ""));
    }

    #[test]
    fn a_stop_string_over_several_tokens_is_never_shown() {
        let (pushed, _) = run(&["</end>"], &[b"x <", b"/en", b"d> y"]);
        assert_eq!(
            pushed,
            [text("x "), text(""), Pushed::Stopped(String::new())]
        );
    }

    #[test]
    fn what_only_looked_like_a_stop_is_shown() {
        let (pushed, rest) = run(&["</end>"], &[b"a </e", b"m> <"]);
        assert_eq!(pushed, [text("a "), text("</em> ")]);
        assert_eq!(rest, "<");
    }

    #[test]
    fn the_earliest_of_several_stops_counts() {
        let (pushed, _) = run(&["two", "one"], &[b"zero one two"]);
        assert_eq!(pushed, [Pushed::Stopped("zero ".to_owned())]);
    }

    proptest! {
        /// However the bytes are cut, the text shown is the text up to the stop string.
        #[test]
        fn cutting_does_not_matter(whole in "[ab€😀]{0,24}", cuts in prop::collection::vec(0usize..80, 0..8)) {
            let stop = "b€";
            let bytes = whole.as_bytes();
            let mut edges: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            edges.extend([0, bytes.len()]);
            edges.sort_unstable();
            let mut stream = TextStream::new(&[stop.to_owned()]);
            let mut shown = String::new();
            let mut stopped = false;
            for pair in edges.windows(2) {
                match stream.push(&bytes[pair[0]..pair[1]]) {
                    Pushed::Text(text) => shown.push_str(&text),
                    Pushed::Stopped(text) => {
                        shown.push_str(&text);
                        stopped = true;
                        break;
                    }
                }
            }
            if !stopped {
                shown.push_str(&stream.finish());
            }
            let expected = whole.split(stop).next().unwrap_or_default();
            prop_assert_eq!(shown, expected);
            prop_assert_eq!(stopped, whole.contains(stop));
        }
    }
}
