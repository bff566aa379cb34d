//! Files that are broken, hostile or plain strange: skipped by name, or taken; never a crash, never for ever.

use std::io::Write;

use unforget::rag::Skipped;

use crate::formats::{docx, pdf};
use crate::toy::{Place, Toy, search};

fn skipped(name: &str, content: &[u8]) -> Vec<Skipped> {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write(name, content);
    place.write("good.txt", "Herons stand in shallow water.");
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    let hits = search(&mut notes, "herons", &mut toy);
    assert!(
        hits.iter().any(|hit| hit.path.ends_with("good.txt")),
        "{hits:?}"
    );
    assert!(notes.verify().expect("verifies").ok);
    report.skipped
}

#[track_caller]
fn is_skipped(name: &str, content: &[u8], why: &str) {
    let skipped = skipped(name, content);
    assert_eq!(skipped.len(), 1, "{name}: {skipped:?}");
    assert!(
        skipped[0].path.ends_with(name) && skipped[0].reason.contains(why),
        "{skipped:?}"
    );
}

fn deflated(zeros: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![b' '; 1 << 20];
    for _ in 0..zeros >> 20 {
        encoder.write_all(&block).expect("writes");
    }
    encoder.finish().expect("ends")
}

#[test]
fn broken_pdfs_are_skipped_by_name() {
    is_skipped("a.pdf", b"%PDF-1.7\nnothing of it", "broken PDF");
    is_skipped("a.pdf", b"\0\x01\x02", "broken PDF");
    let whole = pdf(&["Herons stand.", "Storks nest."]);
    // Cut off and overwritten everywhere: an answer or a reason, no more is promised.
    for at in (0..whole.len()).step_by(37) {
        skipped("a.pdf", &whole[..at.max(1)]);
        let mut bytes = whole.clone();
        bytes[at] = b'9';
        skipped("b.pdf", &bytes);
    }
}

#[test]
fn bombs_are_skipped_by_name() {
    let mut bomb = b"%PDF-1.4\n1 0 obj\n<< /Filter /FlateDecode >>\nstream\n".to_vec();
    bomb.extend(deflated(300 << 20));
    bomb.extend(b"\nendstream\nendobj\n");
    is_skipped("a.pdf", &bomb, "unpack to more than");
    let xml = b"<w:b/>".repeat((65 << 20) / 6);
    is_skipped("a.docx", &docx(&xml), "document.xml unpacks to more than");
    is_skipped("a.docx", b"PK\x03\x04 and no more", "broken DOCX");
    is_skipped("a.docx", &docx(b"<w:p><w:t>a</w:p></w:x>"), "broken DOCX");
    let entities = b"<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><w:p><w:t>&b;</w:t></w:p>";
    is_skipped("a.docx", &docx(entities), "empty");
}

#[test]
fn a_line_of_two_gigabytes_is_not_read() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let path = place.write("long.txt", "a");
    let file = std::fs::File::options()
        .write(true)
        .open(&path)
        .expect("opens");
    file.set_len(2 << 30).expect("a sparse file");
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    assert!(
        report.skipped[0].reason.contains("larger than"),
        "{report:?}"
    );
}

#[test]
fn ten_thousand_empty_files_are_named() {
    let (place, mut toy) = (Place::new(), Toy::new());
    for n in 0..10_000 {
        place.write(&format!("{}/{n}.txt", n % 100), "");
    }
    place.write("good.txt", "Herons stand in shallow water.");
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    assert_eq!((report.added, report.skipped.len()), (1, 10_000));
    assert!(
        report
            .skipped
            .iter()
            .all(|skipped| skipped.reason == "empty")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf_8_are_named_as_far_as_they_can_be() {
    use std::os::unix::ffi::OsStrExt;
    let (place, mut toy) = (Place::new(), Toy::new());
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(place.docs().join(name), "Herons stand.").expect("writes");
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    assert_eq!(report.skipped[0].reason, "its path is not UTF-8");
    let json = serde_json::to_value(&report).expect("serializes all the same");
    assert!(
        json["skipped"][0]["path"]
            .as_str()
            .is_some_and(|path| path.contains("caf"))
    );
}

#[test]
fn a_file_that_changes_all_the_time_is_whole_or_skipped() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let path = place.write("live.txt", "Herons stand in shallow water. ".repeat(20_000));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut notes = place.open(&toy);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                n = n % 50 + 1;
                let _ = std::fs::write(
                    &path,
                    format!("Storks {n} nest on chimneys. ").repeat(20 * n),
                );
            }
        });
        for _ in 0..20 {
            let report = place.add(&mut notes, &mut toy);
            let known = ["changed while", "empty"];
            assert!(
                report
                    .skipped
                    .iter()
                    .all(|s| known.iter().any(|why| s.reason.contains(why))),
                "{report:?}"
            );
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    place.write("live.txt", "Herons stand in shallow water.");
    place.add(&mut notes, &mut toy);
    let checked = notes.verify().expect("verifies");
    assert!(checked.ok && checked.stale.is_empty(), "{checked:?}");
    assert_eq!(
        notes.chunks(1).expect("shows")[0].text,
        "Herons stand in shallow water."
    );
}

/// A line without an end, with and without spaces: it takes its time, but not for ever.
#[test]
fn a_long_line_is_cut() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "heron ".repeat(200_000));
    place.write("b.txt", "heron".repeat(100_000));
    place.write("c.rs", "heron ".repeat(50_000));
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    assert_eq!((report.added, report.skipped.len()), (3, 0));
    assert!(notes.verify().expect("verifies").ok);
}
