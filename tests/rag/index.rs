//! The index file is a cache: with it, without it and with a broken one the answers are the same.

use std::time::{Duration, Instant};

use unforget::rag::{
    Collection, FLAT_LIMIT, Filter, INDEX_FILE, IngestOptions, SearchMode, SearchOptions,
};

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

/// Waits until the index that a search began to make is there and whole.
fn wait_for_index(place: &Place) {
    let begun = Instant::now();
    let notes = Collection::open(&place.home()).expect("opens");
    while !notes.verify().expect("verifies").ok {
        assert!(begun.elapsed() < Duration::from_secs(300), "no index came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What may happen to a file.
fn damages(whole: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let flipped = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x55;
        Some(bytes)
    };
    let mut newer = whole.to_vec();
    newer[8] = 99;
    vec![
        ("deleted", None),
        ("emptied", Some(Vec::new())),
        ("cut off", Some(whole[..whole.len() / 3].to_vec())),
        ("another file", Some(b"GGUF and so on".repeat(1_000))),
        ("flipped in its first page", flipped(20)),
        ("flipped in a vector", flipped(whole.len() / 3)),
        ("flipped near its end", flipped(whole.len() - 10_000)),
        ("of a newer version", Some(newer)),
    ]
}

#[test]
fn a_lost_or_broken_index_is_made_anew_with_the_same_answers() {
    let (place, mut toy) = (Place::new(), Toy::named("narrow", 48));
    large(&place, &mut toy);
    let file = place.home().join(INDEX_FILE);
    let whole = std::fs::read(&file).expect("made while adding");
    let before = answers(&place, &mut toy);
    assert!(before.iter().all(|ids| ids.len() == 5));
    for (what, damaged) in damages(&whole) {
        match damaged {
            Some(bytes) => std::fs::write(&file, bytes).expect("writes"),
            None => std::fs::remove_file(&file).expect("removes"),
        }
        let checked = Collection::open(&place.home()).and_then(|notes| notes.verify());
        let problems = checked.expect("verifies").problems;
        assert!(
            problems.len() == 1 && problems[0].contains("index file"),
            "{what}: {problems:?}"
        );
        if what == "of a newer version" {
            assert!(problems[0].contains("format 99"), "{problems:?}");
        }
        let mut notes = Collection::open(&place.home()).expect("opens");
        let report = notes.repair(&mut |_, _| true).expect("repairs");
        assert_eq!((report.ok, report.repaired), (true, problems), "{what}");
        assert_eq!(answers(&place, &mut toy), before, "{what}");
    }

    // Without a repair: who asks gets an answer at once, and an index is made meanwhile.
    std::fs::remove_file(&file).expect("removes");
    let scanned = answers(&place, &mut toy);
    assert!(shared(&before, &scanned) >= 0.95, "{before:?}\n{scanned:?}");
    wait_for_index(&place);
    assert_eq!(answers(&place, &mut toy), before);
}

#[test]
fn what_comes_and_goes_after_the_index_was_made_is_right_at_once() {
    let (place, mut toy) = (Place::new(), Toy::named("narrow", 48));
    place.write("few.txt", "heron and newt\n\nnewt and salmon");
    let mut notes = large(&place, &mut toy);
    let file = place.home().join(INDEX_FILE);
    let mut other = Collection::open(&place.home()).expect("opens");
    search(&mut other, "heron", &mut toy);
    // Few enough that the index is still worth having without them.
    let mut documents = notes.documents().expect("lists").into_iter();
    let gone = documents
        .find(|document| document.path.ends_with("few.txt"))
        .expect("the small one");
    notes.remove(gone.id).expect("removes");
    let path = place.write("extra.txt", "heron salmon heron salmon");
    let written = file.metadata().and_then(|m| m.modified()).expect("a time");
    notes
        .add(&[path], &mut toy, &Default::default(), &mut on)
        .expect("adds");
    let mut third = Collection::open(&place.home()).expect("opens");
    // Who changed it, who had it open before, and who opens it now.
    for notes in [&mut notes, &mut other, &mut third] {
        let hits = search_by(SearchMode::Dense, notes, "heron salmon", &mut toy);
        assert!(hits[0].path.ends_with("extra.txt"), "{hits:?}");
        for query in TOPICS {
            let hits = search(notes, query, &mut toy);
            assert!(hits.iter().all(|hit| hit.document != gone.id));
        }
    }
    assert!(third.verify().expect("verifies").ok);
    let extra = hit_document(&mut third, &mut toy);
    notes.remove(extra).expect("removes");
    for notes in [&mut notes, &mut other, &mut third] {
        let hits = search(notes, "heron salmon", &mut toy);
        assert!(hits.iter().all(|hit| hit.document != extra));
    }
    assert_eq!(
        file.metadata().and_then(|m| m.modified()).expect("a time"),
        written,
        "so little makes no new index"
    );
}

/// A collection that has become small is searched exactly again, without a file.
#[test]
fn few_vectors_have_no_index() {
    let (place, mut toy) = (Place::new(), Toy::named("narrow", 48));
    let mut notes = large(&place, &mut toy);
    let file = place.home().join(INDEX_FILE);
    assert!(file.exists());
    for document in notes.documents().expect("lists").iter().skip(3) {
        std::fs::remove_file(&document.path).expect("removes");
    }
    let report = notes
        .sync(&mut toy, &Default::default(), &mut on)
        .expect("syncs");
    assert_eq!(report.removed, FLAT_LIMIT / 1000 - 2);
    assert!(!file.exists());
    let exact = answers(&place, &mut toy);
    assert!(exact.iter().all(|ids| ids.len() == 5));
    assert!(
        Collection::open(&place.home())
            .expect("opens")
            .verify()
            .expect("verifies")
            .ok
    );
}

fn hit_document(notes: &mut Collection, toy: &mut Toy) -> i64 {
    search_by(SearchMode::Dense, notes, "heron salmon", toy)[0].document
}

#[test]
fn a_filter_finds_the_best_of_what_it_lets_through() {
    let (place, mut toy) = (Place::new(), Toy::named("narrow", 48));
    drop(large(&place, &mut toy));
    let ask = |toy: &mut Toy, paths: &[&str]| -> Vec<Vec<i64>> {
        let mut notes = Collection::open(&place.home()).expect("opens");
        let options = SearchOptions {
            mode: SearchMode::Dense,
            filter: Filter {
                paths: paths.iter().map(|&path| path.to_owned()).collect(),
                ..Filter::default()
            },
            ..SearchOptions::default()
        };
        let mut ask = |topic: &&str| {
            let found = notes.search(topic, toy, &options).expect("searches");
            found.hits.iter().map(|hit| hit.chunk).collect()
        };
        TOPICS.iter().map(&mut ask).collect()
    };
    // One file of eleven is scanned, ten of them are walked among.
    for paths in [&["03.txt"][..], &["0*.txt"], &["none.txt"]] {
        let walked = ask(&mut toy, paths);
        std::fs::remove_file(place.home().join(INDEX_FILE)).expect("removes");
        let scanned = ask(&mut toy, paths);
        wait_for_index(&place);
        let found: usize = scanned.iter().map(Vec::len).sum();
        assert_eq!(found == 0, paths[0] == "none.txt");
        if found > 0 {
            assert!(shared(&scanned, &walked) >= 0.95, "{paths:?}");
        }
    }
}

/// No room for an index: it is said, answers go on by scanning, and nothing unfinished is left.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_while_the_index_is_made_costs_no_answer() {
    let Some(disk) = crate::durability::SmallDisk::mount(48) else {
        eprintln!("SKIPPED the full disk: mounting is not permitted");
        return;
    };
    let (place, mut toy) = (Place::new(), Toy::named("narrow", 48));
    drop(large(&place, &mut toy));
    let before = answers(&place, &mut toy);
    let home = disk.path().join("notes");
    std::fs::create_dir(&home).expect("a folder");
    let database = unforget::rag::DATABASE_FILE;
    std::fs::copy(place.home().join(database), home.join(database)).expect("has room");
    // Opened once, so that what a reader needs has its room.
    let mut notes = Collection::open(&home).expect("opens");
    search(&mut notes, "heron", &mut toy);
    disk.fill();
    let report = notes.repair(&mut |_, _| true).expect("goes on");
    assert!(
        !report.ok && report.problems[0].contains("index file"),
        "{report:?}"
    );
    for (topic, before) in TOPICS.iter().zip(&before).take(5) {
        let hits = search_by(SearchMode::Dense, &mut notes, topic, &mut toy);
        assert!(
            hits.iter().any(|hit| before.contains(&hit.chunk)),
            "{topic}"
        );
    }
    std::fs::remove_file(disk.path().join("filler")).expect("removes");
    let begun = Instant::now();
    while !Collection::open(&home)
        .and_then(|mut notes| notes.repair(&mut |_, _| true))
        .expect("has room now")
        .ok
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "is not mended");
    }
    let left = std::fs::read_dir(&home).expect("reads").flatten();
    let names: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().contains("part")),
        "{names:?}"
    );
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
