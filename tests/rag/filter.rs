//! Searching in some documents only: by path, number, tag and date, in all modes.

use std::time::{Duration, SystemTime};

use unforget::Error;
use unforget::rag::{Collection, Date, Filter, IngestOptions, SearchMode, SearchOptions};

use crate::toy::{Place, Toy, on};

/// Paths of the hits, in order of their names.
fn found(notes: &mut Collection, toy: &mut Toy, mode: SearchMode, filter: &Filter) -> Vec<String> {
    let options = SearchOptions {
        mode,
        limit: 50,
        filter: filter.clone(),
        ..SearchOptions::default()
    };
    let hits = notes.search("herons in shallow water", toy, &options);
    let mut names: Vec<String> = hits
        .expect("searches")
        .hits
        .iter()
        .map(|hit| {
            hit.path
                .rsplit_once("docs/")
                .expect("below docs")
                .1
                .to_owned()
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn tagged(tags: &[&str]) -> IngestOptions {
    IngestOptions {
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        ..IngestOptions::default()
    }
}

#[test]
fn each_kind_narrows_all_modes() {
    let (place, mut toy) = (Place::new(), Toy::new());
    for (name, days) in [
        ("a.txt", 400),
        ("work/b.txt", 20),
        ("work/deep/c.md", 10),
        ("workshop/d.md", 1),
    ] {
        let path = place.write(name, format!("Herons stand in shallow water, says {name}."));
        let file = std::fs::File::options()
            .write(true)
            .open(path)
            .expect("opens");
        let time = SystemTime::now() - Duration::from_secs(86_400 * days);
        file.set_modified(time).expect("sets");
    }
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    let work = [place.docs().join("work")];
    notes
        .add(&work, &mut toy, &tagged(&["job", "paid"]), &mut on)
        .expect("adds");
    let c = notes.documents().expect("lists");
    let c = c
        .iter()
        .find(|document| document.path.ends_with("c.md"))
        .expect("is there");
    assert_eq!(c.tags, ["job", "paid"]);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after");
    let days_ago = |days: i64| Some(Date(now.as_secs().cast_signed() - 86_400 * days));
    let none = Filter::default();
    let cases: [(Filter, &[&str]); 9] = [
        (
            none.clone(),
            &["a.txt", "work/b.txt", "work/deep/c.md", "workshop/d.md"],
        ),
        (
            Filter {
                paths: vec!["*.md".into()],
                ..none.clone()
            },
            &["work/deep/c.md", "workshop/d.md"],
        ),
        (
            Filter {
                paths: vec!["work/*".into(), "a.*".into()],
                ..none.clone()
            },
            &["a.txt", "work/b.txt"],
        ),
        (
            Filter {
                documents: vec![c.id],
                ..none.clone()
            },
            &["work/deep/c.md"],
        ),
        (
            Filter {
                tags: vec!["job".into()],
                ..none.clone()
            },
            &["work/b.txt", "work/deep/c.md"],
        ),
        (
            Filter {
                tags: vec!["none".into()],
                ..none.clone()
            },
            &[],
        ),
        (
            Filter {
                since: days_ago(15),
                ..none.clone()
            },
            &["work/deep/c.md", "workshop/d.md"],
        ),
        (
            Filter {
                since: days_ago(-1),
                ..none.clone()
            },
            &[],
        ),
        (
            Filter {
                tags: vec!["paid".into()],
                since: days_ago(15),
                ..none.clone()
            },
            &["work/deep/c.md"],
        ),
    ];
    for (filter, expected) in cases {
        for mode in [SearchMode::Hybrid, SearchMode::Dense, SearchMode::Keyword] {
            assert_eq!(
                found(&mut notes, &mut toy, mode, &filter),
                expected,
                "{mode} {filter:?}"
            );
        }
    }
}

/// A tag is of the path: what comes later below it has it too, and what is added again keeps it.
#[test]
fn tags_are_for_what_comes_later_too() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    let mut notes = place.open(&toy);
    notes
        .add(&[place.docs()], &mut toy, &tagged(&["birds"]), &mut on)
        .expect("adds");
    place.write("b.txt", "Storks nest on chimneys.");
    notes
        .sync(&mut toy, &Default::default(), &mut on)
        .expect("syncs");
    let documents = notes.documents().expect("lists");
    assert!(
        documents.iter().all(|document| document.tags == ["birds"]),
        "{documents:?}"
    );
    let birds = ["birds".to_owned()];
    let of_a_file = notes.untag(&[place.docs().join("a.txt")], &birds);
    let Err(Error::UnknownName { nearest, .. }) = of_a_file else {
        panic!("the folder has it: {of_a_file:?}");
    };
    assert!(nearest.is_some_and(|nearest| nearest.starts_with("birds of /")));
    assert_eq!(notes.untag(&[place.docs()], &birds).expect("is there"), 1);
    let documents = notes.documents().expect("lists");
    assert!(documents.iter().all(|document| document.tags.is_empty()));
    assert!(notes.untag(&[place.docs()], &birds).is_err(), "twice");
    for tag in ["", " a", "a\nb", &"a".repeat(65)] {
        let error = notes.add(&[place.docs()], &mut toy, &tagged(&[tag]), &mut on);
        assert!(
            matches!(error, Err(Error::InvalidArgument { .. })),
            "{tag:?}"
        );
    }
}
