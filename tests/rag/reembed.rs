//! Another embedder: from the stored text, all or nothing, and who still has the old one is told.

use std::ops::ControlFlow;

use unforget::Error;
use unforget::rag::{Collection, Embed};

use crate::toy::{Place, Toy, search};

fn filled(toy: &mut Toy) -> Place {
    let place = Place::new();
    for n in 0..50 {
        place.write(
            &format!("{n}.md"),
            format!("# Lake {n}\n\nHerons of lake {n} stand in water.\n"),
        );
    }
    place.write("trees.txt", "Birches have white bark.");
    place.add(&mut place.open(toy), toy);
    place
}

#[test]
fn the_files_are_not_needed() {
    let mut toy = Toy::new();
    let place = filled(&mut toy);
    std::fs::remove_dir_all(place.docs()).expect("removes");
    let mut other = Toy::named("other", 96);
    let error = Collection::create_or_open(&place.home(), other.id()).expect_err("refuses");
    assert!(
        error
            .to_string()
            .contains("unforget docs rebuild --to notes"),
        "{error}"
    );

    let mut notes = Collection::open(&place.home()).expect("opens");
    let mut reader = Collection::open(&place.home()).expect("opens");
    assert!(!search(&mut reader, "birches", &mut toy).is_empty());
    // Stopped in the middle: nothing has changed, and nothing is done twice.
    let mut stop = |at: &unforget::rag::ReembedProgress| match at.chunks_done {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let error = notes.reembed(&mut other, &mut stop).expect_err("stops");
    assert!(matches!(error, Error::Interrupted));
    assert!(
        search(&mut notes, "birches", &mut toy)[0]
            .text
            .contains("Birches")
    );
    let done = other.embedded;
    let report = notes
        .reembed(&mut other, &mut |_| ControlFlow::Continue(()))
        .expect("embeds");
    assert_eq!(
        (report.vectors, report.embedded, other.embedded),
        (51, 51 - done, 51)
    );
    assert_eq!(notes.embedder().name, "other");
    assert!(
        search(&mut notes, "birches", &mut other)[0]
            .text
            .contains("Birches")
    );
    assert!(notes.verify().expect("verifies").ok);

    let error = reader
        .search("birches", &mut toy, &Default::default())
        .expect_err("has the old one");
    assert!(matches!(error, Error::EmbedderMismatch { .. }), "{error}");
}

/// The same embedder gives the same vectors from the stored text as from the files.
#[test]
fn stored_text_says_all_that_was_embedded() {
    let mut toy = Toy::new();
    let place = filled(&mut toy);
    let vectors = |place: &Place| -> Vec<(i64, Vec<u8>)> {
        let conn = rusqlite::Connection::open(place.home().join(unforget::rag::DATABASE_FILE))
            .expect("opens");
        let mut select = conn
            .prepare("SELECT chunk, vector FROM vectors ORDER BY chunk")
            .expect("prepares");
        let rows = select
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("reads");
        rows.collect::<rusqlite::Result<_>>().expect("reads")
    };
    let before = vectors(&place);
    place
        .open(&toy)
        .reembed(&mut toy, &mut |_| ControlFlow::Continue(()))
        .expect("embeds");
    assert_eq!(before, vectors(&place));
}

/// The same file with another pooling or prefix makes other vectors.
#[test]
fn another_recipe_is_another_embedder() {
    let mut toy = Toy::new();
    let place = filled(&mut toy);
    let mut prefixed = Toy::new().by_recipe("passages begin with 'passage: '");
    let refused = Collection::create_or_open(&place.home(), prefixed.id()).expect_err("refuses");
    assert!(matches!(refused, Error::EmbedderMismatch { .. }));
    assert!(refused.to_string().contains("passage: "), "{refused}");
    let mut notes = Collection::open(&place.home()).expect("opens");
    let report = notes
        .reembed(&mut prefixed, &mut |_| ControlFlow::Continue(()))
        .expect("embeds");
    assert_eq!(report.vectors, 51);
    assert!(
        search(&mut notes, "birches", &mut prefixed)[0]
            .text
            .contains("Birches")
    );
    drop(notes);
    assert!(Collection::create_or_open(&place.home(), prefixed.id()).is_ok());
    assert!(Collection::create_or_open(&place.home(), toy.id()).is_err());
}
