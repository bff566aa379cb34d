//! Where the headings of a text are, so that a chunk can say which section it is from.
//!
//! ATX (`## Title`) and setext (underlined) headings of CommonMark, outside of fenced code; other formats bring theirs. Splitting the text itself
//! is `chunk`'s; this only answers "under which headings does this byte lie".

/// One heading: where its line starts, how deep it is (1 to 6), what it says, and which one it lies under.
#[derive(Debug)]
struct Heading {
    start: usize,
    level: usize,
    title: String,
    parent: Option<usize>,
}

/// The headings of one text, in order.
#[derive(Debug, Default)]
pub(super) struct Outline {
    headings: Vec<Heading>,
}

/// Deepest heading of Markdown.
const DEEPEST: usize = 6;

/// Between the titles of a heading path.
pub(super) const SEPARATOR: &str = " > ";

impl Outline {
    /// From starts, levels and titles in order; an empty title ends what is as deep or deeper, and has no name itself.
    pub fn from_headings(headings: Vec<(usize, usize, String)>) -> Self {
        let mut outline = Self::default();
        for (start, level, title) in headings {
            outline.push(start, level, title);
        }
        outline
    }

    /// The same headings, for a text in which each place and title is now another.
    pub fn moved(
        self,
        place: impl Fn(usize) -> usize,
        mut title: impl FnMut(&str) -> String,
    ) -> Self {
        let moved = self.headings.into_iter().map(|heading| Heading {
            start: place(heading.start),
            title: title(&heading.title),
            ..heading
        });
        Self {
            headings: moved.collect(),
        }
    }

    /// Finds the headings of `text`, which is Markdown.
    pub fn of(text: &str) -> Self {
        let mut outline = Self::default();
        let mut fence: Option<&str> = None;
        let mut above: Option<(usize, &str)> = None;
        let mut start = 0;
        for raw in text.split_inclusive('\n') {
            let line = raw.trim_end();
            let body = line.trim_start();
            let indent = line.len() - body.len();
            let marker = fence_marker(body);
            let in_fence = fence.is_some();
            match (fence, marker) {
                (None, Some(marker)) => fence = Some(marker),
                (Some(open), Some(close)) if closes(open, close, body) => fence = None,
                _ => {}
            }
            let plain = !in_fence && marker.is_none() && indent < 4;
            let heading = plain.then(|| atx(body)).flatten();
            let underline = plain.then(|| setext(body)).flatten();
            if let Some((level, title)) = heading {
                outline.push(start, level, title.to_owned());
            } else if let (Some(level), Some((start, title))) = (underline, above) {
                outline.push(start, level, title.to_owned());
            }
            let paragraph = plain && heading.is_none() && underline.is_none() && !body.is_empty();
            above = paragraph.then_some((start, body));
            start += raw.len();
        }
        outline
    }

    fn push(&mut self, start: usize, level: usize, title: String) {
        let last = self.headings.len().checked_sub(1);
        let parent = self.upwards(last).find(|(_, outer)| outer.level < level);
        let parent = parent.map(|(index, _)| index);
        self.headings.push(Heading {
            start,
            level,
            title,
            parent,
        });
    }

    /// The heading at `from` and those that it lies under: never more than six.
    fn upwards(&self, from: Option<usize>) -> impl Iterator<Item = (usize, &Heading)> {
        let get = |index: usize| Some((index, self.headings.get(index)?));
        std::iter::successors(from.and_then(get), move |(_, heading)| {
            heading.parent.and_then(get)
        })
    }

    /// Titles from the outermost inwards that byte `offset` lies under, its own heading line included.
    pub fn at(&self, offset: usize) -> String {
        let below = self.headings.partition_point(|h| h.start <= offset);
        let open = self
            .upwards(below.checked_sub(1))
            .map(|(_, h)| h.title.as_str());
        let mut titles: Vec<&str> = open.filter(|title| !title.is_empty()).collect();
        titles.reverse();
        titles.join(SEPARATOR)
    }
}

/// The run of backticks or tildes that a fence line starts with.
fn fence_marker(body: &str) -> Option<&str> {
    let mark = body.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = body.len() - body.trim_start_matches(mark).len();
    (length >= 3).then(|| body.get(..length)).flatten()
}

/// Whether a line with marker `close` ends the fence that `open` began: same mark, as long, nothing after it.
fn closes(open: &str, close: &str, body: &str) -> bool {
    close.starts_with(open) && body.len() == close.len()
}

/// `## Title ##` as its level and title.
fn atx(body: &str) -> Option<(usize, &str)> {
    let rest = body.trim_start_matches('#');
    let level = body.len() - rest.len();
    let spaced = rest.is_empty() || rest.starts_with([' ', '\t']);
    if !(1..=DEEPEST).contains(&level) || !spaced {
        return None;
    }
    let title = rest.trim();
    let unclosed = title.trim_end_matches('#');
    let title = if unclosed.is_empty() || unclosed.ends_with(' ') {
        unclosed.trim_end()
    } else {
        title
    };
    Some((level, title))
}

/// The level that an underline of `=` or `-` gives the line above it.
fn setext(body: &str) -> Option<usize> {
    let all = |mark| !body.is_empty() && body.chars().all(|c| c == mark);
    match (all('='), all('-')) {
        (true, _) => Some(1),
        (_, true) => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, needle: &str) -> String {
        let offset = text.find(needle).unwrap_or_else(|| panic!("no {needle}"));
        Outline::of(text).at(offset)
    }

    #[test]
    fn path_follows_levels() {
        let text = "intro\n# A\none\n## B ##\ntwo\r\n### C#\nthree\n## D\nfour\n";
        assert_eq!(place(text, "intro"), "");
        assert_eq!(place(text, "two"), "A > B");
        assert_eq!(place(text, "three"), "A > B > C#");
        assert_eq!(place(text, "four"), "A > D");
    }

    #[test]
    fn code_is_no_heading() {
        let text =
            "# A\n```sh\n# not one\n```\n~~~~\n~~~\n# nor this\n~~~~\nend #hash\n#tag\nlast\n";
        assert_eq!(place(text, "nor this"), "A");
        assert_eq!(place(text, "last"), "A");
    }

    #[test]
    fn underlined_headings_and_rules() {
        let text = "Title\n=====\nbody\n\nPart\n---\nmore\n\n---\nend\n";
        assert_eq!(place(text, "body"), "Title");
        assert_eq!(place(text, "more"), "Title > Part");
        assert_eq!(place(text, "end"), "Title > Part");
    }
}
