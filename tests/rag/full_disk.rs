//! A disk that fills up at any moment of a sync, from the first page written to the last.

use unforget::rag::Collection;
use unforget::{Error, Result};

use crate::durability::SmallDisk;
use crate::toy::{Place, Toy, on, search};

/// Room that is left, in steps of pages: from none to more than all that is written.
const STEP: u64 = 12 << 10;
const MOST: u64 = 600 << 10;

fn text(n: usize) -> String {
    (0..30)
        .map(|line| format!("Herons of lake {n} stand in water {line}.\n\n"))
        .collect()
}

fn sync(notes: &mut Collection, toy: &mut Toy) -> Result<()> {
    notes.sync(toy, &Default::default(), &mut on).map(|_| ())
}

fn paths(notes: &Collection) -> Vec<String> {
    let documents = notes.documents().expect("lists");
    documents
        .into_iter()
        .map(|document| document.path)
        .collect()
}

/// Whatever the moment: what was there answers, the error says that the disk is full, and with room again all comes right.
#[test]
fn loses_nothing_at_any_moment() {
    let Some(disk) = SmallDisk::mount(2) else {
        eprintln!("SKIPPED the full disk: mounting is not permitted");
        return;
    };
    let (mut failed, mut done) = (0, 0);
    for left in (0..MOST).step_by(usize::try_from(STEP).expect("small")) {
        let (place, mut toy) = (Place::new(), Toy::new());
        place.write("kept.txt", "Storks nest on chimneys.");
        let (changed, gone) = ("changed.txt", place.write("gone.txt", text(1)));
        place.write(changed, text(2));
        let home = disk.path().join("notes");
        let mut notes = Collection::create_or_open(&home, toy_id(&toy)).expect("opens");
        let roots = [place.docs()];
        let added = notes.add(&roots, &mut toy, &Default::default(), &mut on);
        added.expect("there is room");
        std::fs::remove_file(gone).expect("removes");
        place.write(changed, text(3));
        for n in 4..8 {
            place.write(&format!("{n}.txt"), text(n));
        }
        disk.fill_but(left);
        match sync(&mut notes, &mut toy) {
            Ok(()) => done += 1,
            Err(Error::DiskFull { .. }) => failed += 1,
            Err(other) => panic!("{left} bytes left: {other:?}"),
        }
        let found = search(&mut notes, "storks chimneys", &mut toy);
        assert!(found[0].text.contains("Storks"), "{left} bytes left");
        disk.free();
        sync(&mut notes, &mut toy).expect("there is room again");
        let verified = notes.verify().expect("verifies");
        assert!(
            verified.ok && verified.stale.is_empty(),
            "{left}: {verified:?}"
        );
        assert_eq!(paths(&notes).len(), 6, "{left} bytes left");
        drop(notes);
        std::fs::remove_dir_all(home).expect("removes");
    }
    assert!(
        failed > 3 && done > 3,
        "{failed} failed, {done} did not: the steps miss something"
    );
}

/// A collection that cannot be made for want of room can be made later.
#[test]
fn a_collection_is_begun_or_not() {
    let Some(disk) = SmallDisk::mount(2) else {
        eprintln!("SKIPPED the full disk: mounting is not permitted");
        return;
    };
    let toy = Toy::new();
    let mut failed = 0;
    for left in (0..256 << 10).step_by(4 << 10) {
        let home = disk.path().join("notes");
        disk.fill_but(left);
        match Collection::create_or_open(&home, toy_id(&toy)) {
            Ok(_) => {}
            Err(Error::DiskFull { .. } | Error::Io(_)) => failed += 1,
            Err(other) => panic!("{left} bytes left: {other:?}"),
        }
        disk.free();
        Collection::create_or_open(&home, toy_id(&toy)).expect("there is room again");
        std::fs::remove_dir_all(home).expect("removes");
    }
    assert!(failed > 0);
}

fn toy_id(toy: &Toy) -> &unforget::rag::EmbedderId {
    unforget::rag::Embed::id(toy)
}
