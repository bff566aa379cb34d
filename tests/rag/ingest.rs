//! Adding, updating, removing: what is taken, what is skipped, and what costs no embedding.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use unforget::rag::{Collection, Embed, IngestOptions, Skipped};
use unforget::{Error, ErrorKind};

use crate::toy::{Place, Toy, add, on, pointed_at, search};

fn reason<'a>(skipped: &'a [Skipped], name: &str) -> &'a str {
    let found = skipped.iter().find(|s| s.path.ends_with(name));
    &found
        .unwrap_or_else(|| panic!("{name} not in {skipped:?}"))
        .reason
}

#[test]
fn added_files_are_listed_and_found() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write(
        "birds.md",
        "# Birds\n\n## Herons\n\nHerons stand in shallow water.\n",
    );
    place.write("sub/trees.txt", "Birches have white bark.\n");
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    assert_eq!((report.added, report.unchanged, report.updated), (2, 0, 0));
    assert_eq!((report.chunks, report.skipped.len()), (2, 0));

    let documents = notes.documents().expect("lists");
    let paths: Vec<_> = documents.iter().map(|d| PathBuf::from(&d.path)).collect();
    assert_eq!(
        paths,
        [
            place.docs().join("birds.md"),
            place.docs().join("sub/trees.txt")
        ]
    );
    assert_eq!(
        documents[0].tokens + documents[1].tokens,
        report.tokens as u64
    );

    let hits = search(&mut notes, "where do herons stand?", &mut toy);
    assert_eq!(hits[0].heading, "Birds");
    assert!(hits[0].text.contains("shallow"));
    for hit in &hits {
        assert_eq!(pointed_at(hit), hit.text);
    }
    assert!(hits[0].score > hits[1].score && hits[0].score <= 1.0001);
    let shown = notes.chunks(hits[0].document).expect("shows");
    assert_eq!(shown[0].text, hits[0].text);
    let checked = notes.verify().expect("verifies");
    assert!(checked.ok && checked.stale.is_empty(), "{checked:?}");
    assert_eq!((checked.documents, checked.chunks), (2, 2));
}

#[test]
fn keys_of_the_json_are_stable() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    let mut notes = place.open(&toy);
    let report = serde_json::to_value(place.add(&mut notes, &mut toy)).expect("serializes");
    for key in [
        "added",
        "unchanged",
        "updated",
        "skipped",
        "chunks",
        "tokens",
        "seconds",
    ] {
        assert!(report.get(key).is_some(), "{key}");
    }
    let found = notes
        .search("herons", &mut toy, &Default::default())
        .expect("searches");
    let found = serde_json::to_value(found).expect("serializes");
    for key in [
        "document", "path", "start", "end", "score", "text", "heading",
    ] {
        assert!(found["hits"][0].get(key).is_some(), "{key}");
    }
    for key in ["embed_ms", "search_ms", "total_ms"] {
        assert!(found["timings"][key].is_number(), "{key}");
    }
}

#[test]
fn unchanged_files_cost_no_embedding() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    place.write("b.txt", "Birches have white bark.");
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let before = toy.embedded;
    let report = place.add(&mut notes, &mut toy);
    assert_eq!((report.added, report.unchanged, report.chunks), (0, 2, 0));
    assert_eq!(toy.embedded, before);
}

#[test]
fn a_changed_file_is_replaced_and_only_its_new_parts_are_embedded() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let section =
        |n: usize, what: &str| format!("## Part {n}\n\n{}\n\n", format!("{what} ").repeat(120));
    let parts = |last: &str| section(1, "herons") + &section(2, "birches") + &section(3, last);
    place.write("a.md", parts("salmon"));
    let mut notes = place.open(&toy);
    let first = place.add(&mut notes, &mut toy);
    let id = notes.documents().expect("lists")[0].id;

    place.write("a.md", parts("trout"));
    let before = toy.embedded;
    let second = place.add(&mut notes, &mut toy);
    assert_eq!((second.updated, second.added), (1, 0));
    assert_eq!(second.chunks, first.chunks);
    let new = toy.embedded - before;
    assert!(new >= 1 && new < first.chunks, "{new} of {}", first.chunks);
    assert_eq!(notes.documents().expect("lists")[0].id, id);
    let texts: Vec<_> = search(&mut notes, "salmon trout", &mut toy)
        .into_iter()
        .map(|h| h.text)
        .collect();
    assert!(texts.iter().any(|text| text.contains("trout")));
    assert!(!texts.iter().any(|text| text.contains("salmon")));
    assert!(notes.verify().expect("verifies").ok);
}

#[test]
fn another_cut_is_a_change() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand. ".repeat(60));
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let small = IngestOptions {
        chunk_tokens: 20,
        overlap_tokens: 0,
        ..Default::default()
    };
    let report = notes
        .add(&[place.docs()], &mut toy, &small, &mut on)
        .expect("adds");
    assert_eq!(report.updated, 1);
    assert!(report.chunks > 5);
}

#[test]
fn what_cannot_be_taken_is_skipped_by_name() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("good.txt", "Herons stand in shallow water.");
    place.write("image.bin", [0x89, b'P', 0, 1, 2]);
    place.write("latin1.txt", b"caf\xe9 au lait");
    place.write("empty.txt", "\u{feff} \n");
    place.write("large.txt", "word ".repeat(100));
    let mut notes = place.open(&toy);
    let small = IngestOptions {
        max_file_bytes: 100,
        ..Default::default()
    };
    let report = notes
        .add(&[place.docs()], &mut toy, &small, &mut on)
        .expect("adds");
    assert_eq!((report.added, report.skipped.len()), (2, 3));
    assert!(reason(&report.skipped, "image.bin").contains("binary"));
    assert!(reason(&report.skipped, "empty.txt").contains("empty"));
    assert!(reason(&report.skipped, "large.txt").contains("larger than 100 bytes"));
}

#[cfg(unix)]
#[test]
fn unreadable_files_and_links_are_skipped() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("good.txt", "Herons stand in shallow water.");
    let locked = place.write("locked.txt", "Birches have white bark.");
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o000)).expect("locks");
    symlink("good.txt", place.docs().join("link.txt")).expect("links");
    symlink(".", place.docs().join("loop")).expect("links");
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    assert!(reason(&report.skipped, "link.txt").contains("symbolic link"));
    assert!(reason(&report.skipped, "loop").contains("symbolic link"));
    if std::fs::File::open(&locked).is_ok() {
        eprintln!("SKIPPED the unreadable file: this user reads everything");
        return;
    }
    assert_eq!(report.added, 1);
    assert!(reason(&report.skipped, "locked.txt").contains("unreadable"));
}

#[test]
fn ignored_and_hidden_files_are_left_alone_unless_named() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write(".gitignore", "drafts/\n");
    place.write("drafts/a.txt", "Herons stand in shallow water.");
    let hidden = place.write(".secret.txt", "Birches have white bark.");
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    assert_eq!((report.added, report.skipped.len()), (0, 0));
    assert_eq!(add(&mut notes, &[hidden], &mut toy).expect("adds").added, 1);
}

#[test]
fn a_path_that_is_not_there_is_an_error_before_anything_is_added() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let good = place.write("good.txt", "Herons stand in shallow water.");
    let missing = place.docs().join("missing.txt");
    let mut notes = place.open(&toy);
    let error = add(&mut notes, &[good, missing], &mut toy).expect_err("fails");
    assert_eq!(error.kind(), ErrorKind::NotFoundOrIncompatible);
    assert!(error.to_string().contains("missing.txt"), "{error}");
    assert!(notes.documents().expect("lists").is_empty());
}

#[test]
fn stopping_keeps_what_is_committed() {
    let (place, mut toy) = (Place::new(), Toy::new());
    for name in ["a.txt", "b.txt", "c.txt"] {
        place.write(name, format!("Herons stand in the water of {name}."));
    }
    let mut notes = place.open(&toy);
    let mut stop = |progress: &unforget::rag::Progress<'_>| {
        assert_eq!(progress.files, 3);
        if progress.path.ends_with("c.txt") && progress.chunks_done == 1 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let options = IngestOptions::default();
    let error = notes
        .add(&[place.docs()], &mut toy, &options, &mut stop)
        .expect_err("stops");
    assert!(matches!(error, Error::Interrupted));
    assert_eq!(notes.documents().expect("lists").len(), 2);
    let report = place.add(&mut notes, &mut toy);
    assert_eq!((report.added, report.unchanged), (1, 2));
}

#[test]
fn sync_follows_the_files() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let gone = place.write("gone.txt", "Herons stand in shallow water.");
    place.write("kept.txt", "Birches have white bark.");
    place.write("changed.txt", "Salmon swim upstream.");
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    std::fs::remove_file(gone).expect("removes");
    place.write("changed.txt", "Trout swim upstream.");
    place.write("new.txt", "Otters eat fish.");
    let stale = notes.verify().expect("verifies").stale;
    assert_eq!(stale.len(), 2, "{stale:?}");
    let report = notes
        .sync(&mut toy, &IngestOptions::default(), &mut on)
        .expect("syncs");
    let counts = (
        report.added,
        report.unchanged,
        report.updated,
        report.removed,
    );
    assert_eq!(counts, (1, 1, 1, 1));
    assert!(
        search(&mut notes, "herons", &mut toy)
            .iter()
            .all(|hit| !hit.text.contains("Herons"))
    );
    assert!(notes.verify().expect("verifies").stale.is_empty());
}

#[test]
fn a_removed_document_is_not_found() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    place.write("b.txt", "Birches have white bark.");
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let id = search(&mut notes, "herons", &mut toy)[0].document;
    notes.remove(id).expect("removes");
    assert!(
        search(&mut notes, "herons", &mut toy)
            .iter()
            .all(|hit| hit.document != id)
    );
    for error in [
        notes.remove(id).expect_err("gone"),
        notes.chunks(id).expect_err("gone"),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFoundOrIncompatible);
    }
}

#[test]
fn a_collection_belongs_to_one_embedder() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let mut other = Toy::named("other", 64);
    let errors = [
        Collection::create_or_open(&place.home(), other.id()).expect_err("refuses"),
        add(&mut notes, &[place.docs()], &mut other).expect_err("refuses"),
        notes
            .search("herons", &mut other, &Default::default())
            .expect_err("refuses"),
    ];
    for error in errors {
        assert!(matches!(error, Error::EmbedderMismatch { .. }), "{error}");
        assert!(error.to_string().contains("toy") && error.to_string().contains("other"));
    }
    assert_eq!(
        Collection::open(&place.home())
            .expect("opens")
            .embedder()
            .name,
        "toy"
    );
}

#[test]
fn wrong_vectors_never_reach_a_row() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    let mut notes = place.open(&toy);
    toy.extra = 1;
    let error = add(&mut notes, &[place.docs()], &mut toy).expect_err("refuses");
    assert!(error.to_string().contains("length 65, not 64"), "{error}");
    assert!(notes.documents().expect("lists").is_empty());
}

#[test]
fn bad_requests_say_what_would_do() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let mut notes = place.open(&toy);
    let error = notes
        .search("  ", &mut toy, &Default::default())
        .expect_err("refuses");
    assert_eq!(error.kind(), ErrorKind::Usage);
    let sizes = [(0, 0), (255, 0), (20, 20)];
    for (chunk_tokens, overlap_tokens) in sizes {
        let options = IngestOptions {
            chunk_tokens,
            overlap_tokens,
            ..Default::default()
        };
        let error = notes
            .add(&[], &mut toy, &options, &mut on)
            .expect_err("refuses");
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
    let error = Collection::open(Path::new("no/such/folder")).expect_err("refuses");
    assert_eq!(error.kind(), ErrorKind::NotFoundOrIncompatible);
    assert!(search(&mut notes, "anything at all", &mut toy).is_empty());
    let long = "heron ".repeat(5_000);
    place.write("a.txt", "Herons stand in shallow water.");
    place.add(&mut notes, &mut toy);
    assert_eq!(search(&mut notes, &long, &mut toy).len(), 1);
}

#[test]
fn rebuilding_repairs_the_full_text_index() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let conn = rusqlite::Connection::open(notes.database()).expect("opens");
    conn.execute("INSERT INTO words (words) VALUES ('delete-all')", [])
        .expect("damages");
    assert!(!notes.verify().expect("verifies").ok);
    let keyword = unforget::rag::SearchMode::Keyword;
    assert!(crate::toy::search_by(keyword, &mut notes, "herons", &mut toy).is_empty());
    assert_eq!(notes.rebuild(&mut |_, _| true).expect("rebuilds"), 1);
    assert!(notes.verify().expect("verifies").ok);
    assert_eq!(
        crate::toy::search_by(keyword, &mut notes, "herons", &mut toy).len(),
        1
    );
}
