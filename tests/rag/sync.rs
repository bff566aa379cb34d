//! What sync does not do again, what it forgets, what it remembers; and one writer at a time.

use std::path::Path;
use std::time::{Duration, SystemTime};

use unforget::Error;
use unforget::rag::{Collection, IngestReport};

use crate::toy::{Place, Toy, on, search};

fn sync(notes: &mut Collection, toy: &mut Toy) -> IngestReport {
    notes
        .sync(toy, &Default::default(), &mut on)
        .expect("syncs")
}

fn set_time(path: &Path, seconds_ago: u64) -> SystemTime {
    let time = SystemTime::now() - Duration::from_secs(seconds_ago);
    let file = std::fs::File::options()
        .write(true)
        .open(path)
        .expect("opens");
    file.set_modified(time).expect("sets");
    time
}

#[test]
fn size_and_time_come_before_the_hash() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let path = place.write("a.txt", "Herons stand in shallow water.");
    let time = set_time(&path, 100);
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    // The same size and time: not read, and so not seen. This is what the look at the time means.
    std::fs::write(&path, "Storks stand in shallow water.").expect("writes");
    let file = std::fs::File::options()
        .write(true)
        .open(&path)
        .expect("opens");
    file.set_modified(time).expect("sets");
    drop(file);
    assert_eq!(sync(&mut notes, &mut toy).unchanged, 1);
    // Another time: seen.
    set_time(&path, 50);
    assert_eq!(sync(&mut notes, &mut toy).updated, 1);
    // Another time, the same content: nothing to do.
    set_time(&path, 40);
    let before = toy.embedded;
    assert_eq!(sync(&mut notes, &mut toy).unchanged, 1);
    assert_eq!(toy.embedded, before);
}

/// Two changes within the step of a file system's clock: the time of a file that is just being written says nothing.
#[test]
fn a_fresh_file_is_hashed_again() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let path = place.write("a.txt", "Herons stand in shallow water.");
    let time = std::fs::metadata(&path)
        .and_then(|m| m.modified())
        .expect("a time");
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    std::fs::write(&path, "Storks stand in shallow water.").expect("writes");
    let file = std::fs::File::options()
        .write(true)
        .open(&path)
        .expect("opens");
    file.set_modified(time).expect("sets");
    drop(file);
    assert_eq!(sync(&mut notes, &mut toy).updated, 1);
}

#[test]
fn a_moved_file_keeps_document_and_vectors() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let path = place.write("a.md", "# Herons\n\nThey stand in shallow water.");
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let (id, chunk) = {
        let hit = &search(&mut notes, "herons", &mut toy)[0];
        (hit.document, hit.chunk)
    };
    std::fs::create_dir(place.docs().join("sub")).expect("a folder");
    let moved = place.docs().join("sub/b.md");
    std::fs::rename(&path, &moved).expect("moves");
    let before = toy.embedded;
    let report = sync(&mut notes, &mut toy);
    assert_eq!(
        (report.moved, report.added, report.removed, report.unchanged),
        (1, 0, 0, 1)
    );
    assert_eq!(toy.embedded, before);
    let hit = search(&mut notes, "herons", &mut toy).swap_remove(0);
    assert_eq!(
        (hit.document, hit.chunk, Path::new(&hit.path)),
        (id, chunk, moved.as_path())
    );
    let history = notes.history(id).expect("is known");
    assert_eq!(
        (history.len(), history[0].path.as_str()),
        (2, path.to_str().expect("UTF-8"))
    );
}

#[test]
fn the_same_text_is_embedded_once() {
    let (place, mut toy) = (Place::new(), Toy::new());
    for n in 0..10 {
        place.write(&format!("{n}.txt"), "Herons stand in shallow water.");
    }
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    assert_eq!(
        (report.added, report.chunks, report.embedded, toy.embedded),
        (10, 10, 1, 1)
    );
    place.write("later.txt", "Herons stand in shallow water.");
    let report = sync(&mut notes, &mut toy);
    assert_eq!((report.added, toy.embedded), (1, 1));
}

#[test]
fn versions_are_remembered() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let path = place.write("a.txt", "Herons stand in shallow water.");
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let id = notes.documents().expect("lists")[0].id;
    let first = notes.documents().expect("lists")[0].sha256.clone();
    place.write("a.txt", "Storks nest on chimneys, high up.");
    sync(&mut notes, &mut toy);
    let then = notes.chunks_of_version(id, &first[..8]).expect("is kept");
    assert_eq!(
        (then[0].text.as_str(), &then[0].sha256),
        ("Herons stand in shallow water.", &first)
    );
    let now = notes.documents().expect("lists")[0].sha256.clone();
    let chunks = notes.chunks_of_version(id, &now).expect("is now");
    assert_eq!(chunks, notes.chunks(id).expect("lists"));
    std::fs::remove_file(path).expect("removes");
    assert_eq!(sync(&mut notes, &mut toy).removed, 1);
    let history = notes.history(id).expect("is known for ever");
    assert_eq!(history.len(), 2);
    assert_eq!(
        (
            &history[0].sha256,
            history[0].bytes,
            history[0].parser.as_str()
        ),
        (&first, 30, "text/1")
    );
    assert!(history.iter().all(|version| version.replaced_at.is_some()));
    assert!(history.iter().all(|version| !version.has_text));
    let gone = notes.chunks_of_version(id, &first);
    assert!(gone.is_err(), "removed with its document");
    assert!(notes.history(999).is_err());
}

#[test]
fn a_second_writer_learns_who_is_first() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    place.write("b.txt", "Storks nest on chimneys.");
    let home = place.home();
    let mut second = Collection::open(&home).expect("opens");
    let mut seen = None;
    let docs = place.docs();
    notes
        .add(
            std::slice::from_ref(&docs),
            &mut toy,
            &Default::default(),
            &mut |_| {
                let mut toy = Toy::new();
                // Readers go on, also those that come now.
                assert!(!search(&mut second, "herons", &mut toy).is_empty());
                assert!(Collection::open(&home).is_ok());
                seen = second
                    .add(
                        std::slice::from_ref(&docs),
                        &mut toy,
                        &Default::default(),
                        &mut on,
                    )
                    .err();
                std::ops::ControlFlow::Continue(())
            },
        )
        .expect("adds");
    let error = seen.expect("the second is refused");
    assert!(
        matches!(error, Error::Busy { pid: Some(pid), since: Some(_), .. } if pid == std::process::id()),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains("collection 'notes' is busy: process "),
        "{error}"
    );
    assert_eq!(
        second
            .add(&[docs], &mut Toy::new(), &Default::default(), &mut on)
            .expect("now it may")
            .unchanged,
        2
    );
}
