//! A collection of the first version of the format, written by the program of that time.

use unforget::rag::{Collection, DATABASE_FILE};

use crate::toy::{Place, Toy, on, search};

/// Two documents of `/srv/library/docs` with vectors of the toy embedder, schema version 1.
const OLD: &[u8] = include_bytes!("fixtures/collection-v1.db");

fn old() -> (Place, Toy) {
    let (place, toy) = (Place::new(), Toy::new());
    std::fs::create_dir_all(place.home()).expect("folders");
    std::fs::write(place.home().join(DATABASE_FILE), OLD).expect("writes");
    (place, toy)
}

#[test]
fn an_older_database_answers_as_before() {
    let (place, mut toy) = old();
    let mut notes = Collection::open(&place.home()).expect("opens");
    let hits = search(&mut notes, "herons in shallow water", &mut toy);
    assert!(
        hits[0].text.contains("Herons stand in shallow water"),
        "{hits:?}"
    );
    assert_eq!((hits[0].position.line, hits[0].start), (None, 0));
    let documents = notes.documents().expect("lists");
    assert_eq!(documents.len(), 2);
    assert!(
        documents
            .iter()
            .all(|d| d.first_added_at == d.added_at && d.parser.is_empty())
    );
    drop(notes);
    assert!(
        Collection::open(&place.home())
            .expect("opens again")
            .verify()
            .expect("verifies")
            .ok
    );
}

#[test]
fn its_passages_are_not_embedded_again() {
    let (place, mut toy) = old();
    // The same text as the old document has, under another path.
    place.write(
        "trees.txt",
        "Birches have white bark.\n\nOaks have dark bark.\n",
    );
    let mut notes = Collection::open(&place.home()).expect("opens");
    let report = notes
        .add(&[place.docs()], &mut toy, &Default::default(), &mut on)
        .expect("adds");
    assert_eq!((report.chunks, report.embedded, toy.embedded), (1, 0, 0));
    let report = notes
        .sync(&mut toy, &Default::default(), &mut on)
        .expect("syncs");
    assert_eq!((report.removed, toy.embedded), (2 - report.moved, 0));
}
