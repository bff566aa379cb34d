//! The graph file is a cache: with it, without it and with a broken one the answers are the same.

use std::path::Path;

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

/// More short lines than are scanned, each a chunk of its own, in files of a thousand.
fn large(place: &Place, toy: &mut Toy) -> Collection {
    let word = |n: usize| TOPICS[n % TOPICS.len()];
    for file in 0..=FLAT_LIMIT / 1000 {
        let line = |n: usize| {
            format!(
                "{} {} {} {n}\n\n",
                word(n),
                word(n / 7 + file),
                word(n * n / 3)
            )
        };
        let lines: String = (file * 1000..(file + 1) * 1000).map(line).collect();
        place.write(&format!("{file:02}.txt"), lines);
    }
    let options = IngestOptions {
        chunk_tokens: 6,
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

fn answers(place: &Place, toy: &mut Toy) -> Vec<Vec<i64>> {
    let mut notes = Collection::open(&place.home()).expect("opens");
    let queries = [
        "heron salmon",
        "silver tunnel galaxy",
        "violin",
        "election tariff protein",
    ];
    let ids = queries.map(|query| {
        let hits = search_by(SearchMode::Dense, &mut notes, query, toy);
        hits.iter().map(|hit| hit.chunk).collect()
    });
    ids.to_vec()
}

fn damage(file: &Path, how: impl Fn(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).expect("reads");
    how(&mut bytes);
    std::fs::write(file, bytes).expect("writes");
}

#[test]
fn a_lost_or_broken_graph_is_rebuilt_with_the_same_answers() {
    let (place, mut toy) = (Place::new(), Toy::named("narrow", 24));
    let mut notes = large(&place, &mut toy);
    let file = place.home().join(GRAPH_FILE);
    assert!(file.exists(), "built while adding");
    let before = answers(&place, &mut toy);
    assert!(before.iter().all(|ids| ids.len() == 5));

    std::fs::remove_file(&file).expect("removes");
    assert_eq!(answers(&place, &mut toy), before, "deleted");
    assert!(file.exists(), "rebuilt by searching");
    damage(&file, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
    });
    assert_eq!(answers(&place, &mut toy), before, "flipped");
    let rebuilt = file.metadata().expect("is there").len();
    assert!(rebuilt > 100_000, "{rebuilt}");

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
    let hits = search(&mut notes, "heron salmon", &mut toy);
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
