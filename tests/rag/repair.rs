//! What verify finds wrong is made anew from what is sound.

use rusqlite::Connection;
use unforget::Error;
use unforget::rag::{Collection, DATABASE_FILE, SearchMode};

use crate::toy::{Place, Toy, search, search_by};

fn filled() -> (Place, Toy, Collection) {
    let (place, mut toy) = (Place::new(), Toy::new());
    for n in 0..6 {
        place.write(
            &format!("{n}.txt"),
            format!("Herons stand in shallow lake {n}."),
        );
    }
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    (place, toy, notes)
}

fn spoil(place: &Place, sql: &str) {
    let conn = Connection::open(place.home().join(DATABASE_FILE)).expect("opens");
    conn.execute_batch(sql).expect("spoils");
}

#[track_caller]
fn is_repaired(place: &Place, what: &str) {
    let mut notes = Collection::open(&place.home()).expect("opens");
    let found = notes.verify().expect("verifies");
    assert!(
        !found.ok && found.problems.iter().any(|p| p.contains(what)),
        "{found:?}"
    );
    let report = notes.repair(&mut |_, _| true).expect("repairs");
    assert!(
        report.ok && report.repaired.iter().any(|p| p.contains(what)),
        "{report:?}"
    );
    assert!(notes.verify().expect("verifies").ok);
}

#[test]
fn words_are_made_of_chunks() {
    let (place, mut toy, mut notes) = filled();
    spoil(&place, "INSERT INTO words (words) VALUES ('delete-all')");
    assert!(search_by(SearchMode::Keyword, &mut notes, "herons", &mut toy).is_empty());
    is_repaired(&place, "full-text");
    assert_eq!(
        search_by(SearchMode::Keyword, &mut notes, "herons", &mut toy).len(),
        5
    );
}

#[test]
fn rows_of_nobody_are_removed() {
    let (place, mut toy, mut notes) = filled();
    spoil(
        &place,
        "PRAGMA foreign_keys = 0; INSERT INTO vectors SELECT 999, vector FROM vectors LIMIT 1",
    );
    is_repaired(&place, "belong to none");
    assert_eq!(search(&mut notes, "herons", &mut toy).len(), 5);
}

#[test]
fn vectors_are_made_of_the_stored_text() {
    let (place, mut toy, notes) = filled();
    drop(notes);
    spoil(
        &place,
        "DELETE FROM vectors WHERE chunk = 2; UPDATE vectors SET vector = zeroblob(256) WHERE chunk = 3;
         UPDATE vectors SET vector = x'00' WHERE chunk = 5",
    );
    // The files are not needed.
    std::fs::remove_dir_all(place.docs()).expect("removes");
    let mut notes = Collection::open(&place.home()).expect("opens");
    let report = notes.repair(&mut |_, _| true).expect("looks");
    assert!(!report.ok && report.problems.len() == 3, "{report:?}");
    let options = Default::default();
    let error = notes
        .search("herons", &mut toy, &options)
        .expect_err("is damaged");
    assert!(
        matches!(&error, Error::Damaged { reason, .. } if reason.contains("docs rebuild")),
        "{error}"
    );
    let go_on = |_: &unforget::rag::ReembedProgress| std::ops::ControlFlow::Continue(());
    let mut other = Toy::named("other", 64);
    let wrong = notes.embed_missing(&mut other, &mut { go_on });
    assert!(matches!(wrong, Err(Error::EmbedderMismatch { .. })));
    assert_eq!(
        notes
            .embed_missing(&mut toy, &mut { go_on })
            .expect("embeds"),
        3
    );
    assert!(notes.verify().expect("verifies").ok);
    for n in [1, 2, 4] {
        let query = format!("Herons stand in shallow lake {n}.");
        let hits = search_by(SearchMode::Dense, &mut notes, &query, &mut toy);
        assert!(
            hits.iter()
                .any(|hit| hit.path.ends_with(&format!("{n}.txt")))
        );
    }
    assert_eq!(
        notes
            .embed_missing(&mut toy, &mut { go_on })
            .expect("nothing to do"),
        0
    );
}
