//! The graph file is a cache: with it, without it and with a broken one the answers are the same.

use std::ops::Not;
use std::path::Path;
use std::time::{Duration, Instant};

use unforget::rag::{Collection, FLAT_LIMIT, GRAPH_FILE, IngestOptions, SearchMode};

use crate::toy::{Place, Toy, on, search, search_by};

const TOPICS: [&str; 40] = [
    "heron",
    "birch",
    "salmon",
    "trout",
    "otter",
    "badger",
    "falcon",
    "maple",
    "willow",
    "granite",
    "marble",
    "copper",
    "silver",
    "tunnel",
    "bridge",
    "harbor",
    "island",
    "desert",
    "glacier",
    "volcano",
    "violin",
    "trumpet",
    "piano",
    "ballad",
    "novel",
    "poetry",
    "theater",
    "canvas",
    "sculpture",
    "engine",
    "turbine",
    "rocket",
    "planet",
    "comet",
    "galaxy",
    "vaccine",
    "enzyme",
    "protein",
    "tariff",
    "election",
];

/// More short lines than are scanned, each a chunk of its own about one topic, in files of a thousand.
fn large(place: &Place, toy: &mut Toy) -> Collection {
    let syllables = ["ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru"];
    let word = |n: usize| [n / 100, n / 10, n].map(|n| syllables[n % 10]).concat();
    let line = |n: usize| {
        let (topic, n) = (TOPICS[n % TOPICS.len()], n.wrapping_mul(2_654_435_761));
        format!(
            "{topic} {} {} {} {}\n\n",
            word(n >> 8),
            word(n >> 13),
            word(n >> 18),
            word(n >> 23)
        )
    };
    for file in 0..=FLAT_LIMIT / 1000 {
        let lines: String = (file * 1000..(file + 1) * 1000).map(line).collect();
        place.write(&format!("{file:02}.txt"), lines);
    }
    let options = IngestOptions {
        chunk_tokens: 8,
        overlap_tokens: 0,
        ..Default::default()
    };
    let mut notes = place.open(toy);
    let report = notes
        .add(&[place.docs()], toy, &options, &mut on)
        .expect("adds");
    assert!(report.chunks > FLAT_LIMIT, "{}", report.chunks);
    notes
}

/// Chunks that are nearest to each topic, by a collection that is opened anew.
fn answers(place: &Place, toy: &mut Toy) -> Vec<Vec<i64>> {
    let mut notes = Collection::open(&place.home()).expect("opens");
    let mut ask = |topic: &&str| {
        let hits = search_by(SearchMode::Dense, &mut notes, topic, toy);
        hits.iter().map(|hit| hit.chunk).collect()
    };
    TOPICS.iter().map(&mut ask).collect()
}

/// How many of the answers are the same.
fn shared(a: &[Vec<i64>], b: &[Vec<i64>]) -> f64 {
    let pairs = a.iter().zip(b);
    let same: usize = pairs
        .map(|(a, b)| a.iter().filter(|id| b.contains(id)).count())
        .sum();
    same as f64 / a.iter().map(Vec::len).sum::<usize>() as f64
}

/// Waits until the graph that a search began to build is there again, the same as before.
fn wait_for(file: &Path, content: &[u8]) {
    let begun = Instant::now();
    while std::fs::read(file).is_ok_and(|now| now == content).not() {
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "the graph was not rebuilt"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn damage(file: &Path, how: impl Fn(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).expect("reads");
    how(&mut bytes);
    std::fs::write(file, bytes).expect("writes");
}

#[test]
fn a_lost_or_broken_graph_is_rebuilt_with_the_same_answers() {
    let (place, mut toy) = (Place::new(), Toy::named("narrow", 48));
    let mut notes = large(&place, &mut toy);
    let file = place.home().join(GRAPH_FILE);
    assert!(file.exists(), "built while adding");
    let good = std::fs::read(&file).expect("reads");
    let before = answers(&place, &mut toy);
    assert!(before.iter().all(|ids| ids.len() == 5));

    std::fs::remove_file(&file).expect("removes");
    let scanned = answers(&place, &mut toy);
    assert!(shared(&before, &scanned) >= 0.95, "{before:?}\n{scanned:?}");
    wait_for(&file, &good);
    assert_eq!(answers(&place, &mut toy), before, "deleted");
    damage(&file, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
    });
    assert_eq!(answers(&place, &mut toy), scanned, "flipped");
    wait_for(&file, &good);
    assert_eq!(answers(&place, &mut toy), before, "flipped");

    // What is removed or added later is right at once, without another graph.
    let gone = notes.documents().expect("lists")[3].clone();
    notes.remove(gone.id).expect("removes");
    place.write("extra.txt", "heron salmon heron salmon");
    let written = file.metadata().and_then(|m| m.modified()).expect("a time");
    notes
        .add(
            &[place.docs().join("extra.txt")],
            &mut toy,
            &Default::default(),
            &mut on,
        )
        .expect("adds");
    let hits = search_by(SearchMode::Dense, &mut notes, "heron salmon", &mut toy);
    assert!(hits[0].path.ends_with("extra.txt"), "{hits:?}");
    let mut other = Collection::open(&place.home()).expect("opens");
    for query in TOPICS {
        let hits = search(&mut other, query, &mut toy);
        assert!(hits.iter().all(|hit| hit.document != gone.id));
    }
    assert_eq!(
        file.metadata().and_then(|m| m.modified()).expect("a time"),
        written
    );
    assert!(other.verify().expect("verifies").ok);
}

/// Two open collections: what one commits, the other finds with its next search.
#[test]
fn another_writer_is_followed() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    let mut reader = place.open(&toy);
    assert!(search(&mut reader, "herons", &mut toy).is_empty());
    let mut writer = place.open(&toy);
    place.add(&mut writer, &mut toy);
    assert_eq!(search(&mut reader, "herons", &mut toy).len(), 1);
    place.write("a.txt", "Birches have white bark.");
    place.add(&mut writer, &mut toy);
    assert!(
        search(&mut reader, "birches", &mut toy)[0]
            .text
            .contains("Birches")
    );
    let id = writer.documents().expect("lists")[0].id;
    writer.remove(id).expect("removes");
    assert!(search(&mut reader, "birches", &mut toy).is_empty());
}
