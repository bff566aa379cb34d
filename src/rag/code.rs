//! Source code: what is defined where, and where to cut, by indentation and blank lines.
//!
//! Grammars for every language would be a hundred megabytes of generated C. Nearly all code is indented, and indentation
//! shows its syntax: a definition is a line with a word such as `fn`, `class` or `def` that deeper lines follow; the
//! best cut is before an outermost line behind a blank one.

use std::ops::Range;

/// Endings of source code, without those that are text, tables or pages.
pub(super) const ENDINGS: [&str; 61] = [
    "rs", "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "tsx", "java", "kt", "kts", "scala",
    "groovy", "c", "h", "cc", "cpp", "cxx", "hh", "hpp", "hxx", "cu", "cuh", "m", "mm", "cs", "fs",
    "vb", "go", "rb", "php", "pl", "pm", "lua", "swift", "dart", "r", "jl", "hs", "ml", "mli",
    "ex", "exs", "erl", "clj", "lisp", "el", "zig", "nim", "v", "sh", "bash", "zsh", "fish", "ps1",
    "sql", "proto", "cmake", "css", "scss",
];

/// Words that begin a definition, in languages that people write.
const DEFINING: [&str; 26] = [
    "fn",
    "def",
    "class",
    "struct",
    "enum",
    "trait",
    "impl",
    "interface",
    "module",
    "mod",
    "namespace",
    "func",
    "function",
    "sub",
    "package",
    "type",
    "union",
    "macro_rules!",
    "protocol",
    "extension",
    "object",
    "record",
    "defmodule",
    "service",
    "message",
    "proc",
];

/// Words that may stand before them.
const BEFORE: usize = 5;

/// Longest part of a line that names a definition: more is arguments.
const LONGEST_TITLE: usize = 80;

/// Columns that a tab is worth. Only compared with other lines of the same file.
const TAB: usize = 4;

struct Line<'a> {
    start: usize,
    indent: usize,
    body: &'a str,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |raw| {
        let body = raw.trim();
        let lead = raw.len() - raw.trim_start().len();
        let columns = raw.bytes().take(lead);
        let indent = columns.map(|b| if b == b'\t' { TAB } else { 1 }).sum();
        let line = Line {
            start,
            indent,
            body,
        };
        start += raw.len();
        line
    })
}

/// Start, depth and name of every definition; an empty name where one ends and none follows.
pub(super) fn definitions(text: &str) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    // Indents of the definitions that are open.
    let mut open: Vec<usize> = Vec::new();
    for line in lines(text).filter(|line| !line.body.is_empty()) {
        let closing = line.body.starts_with(['}', ')', ']', '{']) || line.body == "end";
        let outer = open.partition_point(|&indent| indent < line.indent);
        let title = title(line.body);
        if title.is_none() && (closing || outer == open.len()) {
            continue;
        }
        open.truncate(outer);
        // A level deeper for each definition around it, the outermost is 1.
        let level = open.len() + 1;
        match title {
            Some(title) => {
                open.push(line.indent);
                found.push((line.start, level, title));
            }
            None => found.push((line.start, level, String::new())),
        }
    }
    found
}

/// What a line defines, if it looks like a definition.
fn title(body: &str) -> Option<String> {
    let words = body.split([' ', '\t', '(', '<', ':', '{']);
    let mut words = words.take(BEFORE);
    if !words.any(|word| DEFINING.contains(&word))
        || body.starts_with(['#', '/', '*', '"', '-', ';'])
    {
        return None;
    }
    // `type` and the like in the middle of a statement.
    if body.ends_with([',', ';']) || body.contains('=') {
        return None;
    }
    let end = body.find(['(', '{']).unwrap_or(body.len());
    let title = body.get(..end)?.trim_end_matches([' ', ':']);
    let end = title.char_indices().nth(LONGEST_TITLE);
    let title = end.map_or(title, |(at, _)| title.get(..at).unwrap_or(title));
    Some(title.to_owned()).filter(|title| !title.is_empty())
}

/// Cuts `text` into pieces of which `size` says at most `most`, each of whole lines where a line is not too long itself.
pub(super) fn cut(text: &str, most: usize, size: &dyn Fn(&str) -> usize) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let lines: Vec<Line<'_>> = lines(text).collect();
    let starts: Vec<usize> = lines.iter().map(|line| line.start).collect();
    let mut from = 0;
    while from < lines.len() {
        let begin = starts[from];
        let end_of = |last: usize| starts.get(last).copied().unwrap_or(text.len());
        // As many lines as fit: counted up in doubling steps, so that long files cost no more than they have lines.
        let fits = |to: usize| text.get(begin..end_of(to)).is_some_and(|t| size(t) <= most);
        let mut step = 1;
        while from + step < lines.len() && fits(from + step) {
            step *= 2;
        }
        let span = step.min(lines.len() - from);
        let candidates: Vec<usize> = (1..=span).collect();
        let fitting = candidates.partition_point(|&n| fits(from + n)).max(1);
        let to = from + fitting;
        let to = if to >= lines.len() {
            to
        } else {
            best_cut(&lines, from, to)
        };
        pieces.push(begin..end_of(to));
        from = to;
    }
    pieces
}

/// The best line to begin the next piece with, in the second half of what fits: behind a blank line, least indented,
/// latest.
fn best_cut(lines: &[Line<'_>], from: usize, to: usize) -> usize {
    let middle = from + (to - from).div_ceil(2);
    let rank = |at: usize| {
        let blank = at.checked_sub(1).and_then(|at| lines.get(at));
        let behind_blank = blank.is_some_and(|line| line.body.is_empty());
        let line = lines.get(at);
        let indent = line.map_or(usize::MAX, |line| line.indent);
        let opens = line
            .is_some_and(|line| !line.body.is_empty() && !line.body.starts_with(['}', ')', ']']));
        (!opens, indent, !behind_blank, std::cmp::Reverse(at))
    };
    (middle.max(from + 1)..=to)
        .min_by_key(|&at| rank(at))
        .unwrap_or(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUST: &str = "use std::fs;\n\nimpl Heron {\n    /// Waits.\n    pub fn wait(&self) -> usize {\n        let a = 1;\n        a\n    }\n\n    fn fly(&mut self) {\n        up();\n    }\n}\n\nconst X: usize = 1;\n";

    #[test]
    fn definitions_are_nested_and_end() {
        let found = definitions(RUST);
        let names: Vec<(usize, &str)> = found
            .iter()
            .map(|(_, level, name)| (*level, name.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                (1, "impl Heron"),
                (2, "pub fn wait"),
                (2, "fn fly"),
                (1, "")
            ]
        );
        let python = "class A:\n    def b(self):\n        return 1\n\nx = 2\n";
        let names: Vec<String> = definitions(python).into_iter().map(|d| d.2).collect();
        assert_eq!(names, ["class A", "def b", ""]);
    }

    #[test]
    fn pieces_are_whole_lines_and_cut_between_definitions() {
        let size = |text: &str| text.lines().count();
        let pieces = cut(RUST, 9, &size);
        assert_eq!(pieces.first().map(|p| p.start), Some(0));
        assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(pieces.last().map(|p| p.end), Some(RUST.len()));
        assert!(
            RUST[pieces[1].clone()].trim_start().starts_with("fn fly"),
            "{pieces:?}"
        );
    }
}
