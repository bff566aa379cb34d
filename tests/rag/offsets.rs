//! `&file[start..end] == text`: the invariant that citations rest on, over ugly texts.

use proptest::prelude::*;
use unforget::rag::{Chunking, Embed, TextFormat, chunk};

use crate::toy::{Place, Toy, pointed_at, search};

/// Pieces of text as they come: other scripts, combining marks, joined emoji, line ends of all kinds, Markdown.
fn ugly() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "word",
        "Herons stand.",
        " ",
        " ",
        "\n",
        "\r\n",
        "\r\n\r\n",
        "\n\n",
        "\t",
        "# Title\n",
        "## Łódź\r\n",
        "- item\n",
        "1. one\n",
        "```\n# code\n```\n",
        "> quoted\n",
        "| a | b |\n",
        "東京は首都。",
        "e\u{301}",
        "👩‍👩‍👧‍👦",
        "مرحبا",
        "\u{feff}",
        "\u{2028}",
        "[1]",
        "a.b.c",
        "---\n",
        "===\n",
        "**bold**",
        "<b>",
        "\\",
        "averyveryverylongwordwithoutanyplacetocutitthatgoesonandon",
    ]);
    let text = prop::collection::vec(
        prop_oneof![9 => pieces.prop_map(String::from), 1 => any::<String>()],
        0..120,
    );
    text.prop_map(|pieces| pieces.concat())
}

fn format() -> impl Strategy<Value = TextFormat> {
    prop::sample::select(vec![TextFormat::Plain, TextFormat::Markdown])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunks_are_where_they_say(text in ugly(), format in format(), tokens in 3usize..60, overlap in 0usize..20, base in 0usize..9) {
        let toy = Toy::new();
        let chunking = Chunking::new(tokens, overlap.min(tokens - 1), &toy).expect("in range");
        let chunks = chunk(&text, base, format, chunking, &toy);
        let mut covered = vec![false; text.len()];
        for pair in chunks.windows(2) {
            prop_assert!(pair[0].bytes.start < pair[1].bytes.start);
        }
        for chunk in &chunks {
            let range = chunk.bytes.start - base..chunk.bytes.end - base;
            prop_assert_eq!(text.get(range.clone()), Some(chunk.text));
            prop_assert_eq!(chunk.tokens, toy.count_tokens(chunk.text));
            // A single character of several tokens cannot be cut.
            prop_assert!(chunk.tokens <= tokens || chunk.text.chars().count() == 1, "{} > {}", chunk.tokens, tokens);
            covered[range].fill(true);
        }
        for (at, c) in text.char_indices() {
            prop_assert!(covered[at] || c.is_whitespace(), "{c:?} at {at} is in no chunk");
        }
    }
}

/// The same through files, database and search, with a byte order mark and Windows line ends.
#[test]
fn byte_order_mark_and_line_ends_are_counted() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write(
        "a.md",
        "\u{feff}# Żurawie\r\n\r\nHerons stand in shallow water.\r\n",
    );
    place.write(
        "b.txt",
        "\u{feff}Birches have white bark.\r\n\r\nOaks don’t.\r\n",
    );
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let hits = search(&mut notes, "herons birches oaks", &mut toy);
    assert_eq!(hits.len(), 2);
    for hit in &hits {
        assert_eq!(hit.start, 3, "the mark is no part of the text");
        assert_eq!(pointed_at(hit), hit.text);
    }
    assert!(hits.iter().any(|hit| hit.heading == "Żurawie"));
    assert!(notes.verify().expect("verifies").ok);
}
