//! Redaction: nothing of what was found is anywhere in the collection's files, and places still lead to the document.

use unforget::ErrorKind;
use unforget::rag::{Collection, IngestOptions, IngestReport, Span};

use crate::toy::{Place, Toy, on, search};

const SECRETS: [&str; 4] = [
    "ann@example.org",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "AKIAIOSFODNN7EXAMPLE",
];

fn add(
    notes: &mut Collection,
    place: &Place,
    toy: &mut Toy,
    redact: bool,
) -> unforget::Result<IngestReport> {
    let options = IngestOptions {
        redact,
        ..IngestOptions::default()
    };
    notes.add(&[place.docs()], toy, &options, &mut on)
}

#[test]
fn nothing_found_is_stored() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let [mail, card, iban, key] = SECRETS;
    place.write(
        "a.md",
        format!(
            "# Mail {mail}\n\nHerons pay {card} from {iban}.\n\nThe key is {key}, ask {mail}.\n"
        ),
    );
    place.write(
        "b.csv",
        format!("name,mail\nAnn,{mail}\nBob,bob@example.org\n"),
    );
    let mut notes = place.open(&toy);
    let report = add(&mut notes, &place, &mut toy, true).expect("adds");
    let counts: Vec<_> = report.redacted.into_iter().collect();
    assert_eq!(counts, [("CARD", 1), ("EMAIL", 4), ("IBAN", 1), ("KEY", 1)]);

    let hits = search(&mut notes, "herons pay", &mut toy);
    assert!(hits[0].text.contains("Herons pay <CARD_"), "{hits:?}");
    assert_eq!(hits[0].position.span, Span::Covering);
    let file = std::fs::read_to_string(&hits[0].path).expect("reads");
    assert!(file[hits[0].start..hits[0].end].contains(card));
    let token = |text: &str| {
        text.split(['<', '>'])
            .find(|t| t.starts_with("EMAIL_"))
            .map(str::to_owned)
    };
    let row = hits
        .iter()
        .find(|hit| hit.text.contains("name: Ann"))
        .expect("the row");
    assert_eq!(
        token(&row.text),
        token(&hits[0].heading),
        "the same person in both files"
    );

    // A later run keeps to it, without being told.
    place.write("c.txt", "Storks write to carl@example.org.");
    add(&mut notes, &place, &mut toy, false).expect("adds");
    assert!(notes.verify().expect("verifies").ok);
    drop(notes);
    for entry in std::fs::read_dir(place.home()).expect("lists").flatten() {
        let bytes = std::fs::read(entry.path()).expect("reads");
        for secret in SECRETS
            .iter()
            .chain(&["bob@example.org", "carl@example.org"])
        {
            let there = bytes
                .windows(secret.len())
                .any(|window| window.eq_ignore_ascii_case(secret.as_bytes()));
            assert!(!there, "{secret} in {}", entry.path().display());
        }
    }
}

#[test]
fn a_collection_with_plain_documents_cannot_begin_to_redact() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "write to ann@example.org");
    let mut notes = place.open(&toy);
    add(&mut notes, &place, &mut toy, false).expect("adds");
    let error = add(&mut notes, &place, &mut toy, true).expect_err("refuses");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("new collection"), "{error}");
}
