//! What a killed writer, a full disk, a second process and a damaged file do: never a lie, never a panic.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use unforget::rag::{Collection, DATABASE_FILE, Embed};
use unforget::{Error, Result};

use crate::toy::{Place, Toy, add, search};

fn database(place: &Place) -> PathBuf {
    place.home().join(DATABASE_FILE)
}

fn filled() -> (Place, Toy) {
    let (place, mut toy) = (Place::new(), Toy::new());
    for n in 0..20 {
        place.write(
            &format!("{n:02}.txt"),
            format!("Herons of lake {n} stand in shallow water. ").repeat(40),
        );
    }
    let mut notes = place.open(&toy);
    place.add(&mut notes, &mut toy);
    (place, toy)
}

/// Takes its time, so that the parent can kill it in the middle.
struct Slow(Toy);

impl Embed for Slow {
    fn id(&self) -> &unforget::rag::EmbedderId {
        self.0.id()
    }
    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }
    fn count_tokens(&self, text: &str) -> usize {
        self.0.count_tokens(text)
    }
    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        std::thread::sleep(Duration::from_millis(5));
        self.0.embed(texts)
    }
}

/// Names the folder to the child below; absent in the normal run of the tests.
const CHILD: &str = "UNFORGET_TEST_KILLED_WRITER";

/// Not a test of its own: what the test below starts as a process and kills.
#[test]
fn killed_writer_child() {
    let Some(root) = std::env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let mut slow = Slow(Toy::new());
    let mut notes =
        Collection::create_or_open(&root.join("collections/notes"), slow.id()).expect("opens");
    notes
        .add(
            &[root.join("docs")],
            &mut slow,
            &Default::default(),
            &mut crate::toy::on,
        )
        .expect("adds");
}

#[test]
fn a_killed_writer_loses_only_the_document_in_flight() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let files = 300;
    for n in 0..files {
        place.write(
            &format!("{n:03}.txt"),
            format!("Herons of lake {n} stand in shallow water. ").repeat(40),
        );
    }
    let root = place.docs().parent().expect("a parent").to_owned();
    let mut rounds = 0;
    let mut committed = 0;
    while rounds < 4 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "durability::killed_writer_child"])
            .env(CHILD, &root)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("starts");
        // Until it has got somewhere: a few more documents than the last round left.
        let wanted = committed + 10;
        while documents(&place) < wanted && child.try_wait().expect("waits").is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let seen = documents(&place);
        child.kill().expect("kills");
        child.wait().expect("ends");
        let mut notes = Collection::open(&place.home()).expect("opens after a kill");
        let checked = notes.verify().expect("verifies");
        assert!(checked.ok && checked.stale.is_empty(), "{checked:?}");
        committed = notes.documents().expect("lists").len();
        assert!(
            committed >= seen,
            "{committed} of {seen} that were committed"
        );
        assert!(!search(&mut notes, "herons", &mut toy).is_empty());
        rounds += 1;
    }
    assert!(
        committed < files,
        "the child was never killed in the middle"
    );
    let mut notes = place.open(&toy);
    let report = place.add(&mut notes, &mut toy);
    assert_eq!(
        (report.added, report.unchanged),
        (files - committed, committed)
    );
}

/// Documents that another process has committed; 0 before there is a database.
fn documents(place: &Place) -> usize {
    let count =
        |conn: Connection| conn.query_row("SELECT count(*) FROM documents", [], |row| row.get(0));
    Connection::open_with_flags(database(place), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(count)
        .unwrap_or(0)
}

#[test]
fn readers_go_on_while_a_writer_is_in_a_transaction() {
    let (place, mut toy) = filled();
    let mut notes = place.open(&toy);
    let mut writer = Connection::open(database(&place)).expect("opens");
    let tx = writer
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .expect("begins");
    tx.execute("DELETE FROM chunks", []).expect("deletes");
    assert_eq!(search(&mut notes, "herons", &mut toy).len(), 5);
    let mut late = Collection::open(&place.home()).expect("opens");
    assert_eq!(search(&mut late, "herons", &mut toy).len(), 5);
    assert_eq!(late.documents().expect("lists").len(), 20);
    tx.rollback().expect("rolls back");
    assert!(notes.verify().expect("verifies").ok);
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let (place, toy) = filled();
    Connection::open(database(&place))
        .and_then(|conn| conn.pragma_update(None, "user_version", 99))
        .expect("sets");
    for error in [
        Collection::open(&place.home()).expect_err("refuses"),
        Collection::create_or_open(&place.home(), toy.id()).expect_err("refuses"),
    ] {
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("schema version 99"), "{error}");
        assert!(error.to_string().contains("update unforget"), "{error}");
    }
}

#[test]
fn foreign_and_broken_files_are_refused() {
    let (place, toy) = (Place::new(), Toy::new());
    std::fs::create_dir_all(place.home()).expect("folders");
    for content in [
        &b"this is no database, but long enough to be read as one............................."[..],
        &[0xff; 5000],
    ] {
        std::fs::write(database(&place), content).expect("writes");
        let error = Collection::create_or_open(&place.home(), toy.id()).expect_err("refuses");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert_eq!(
            std::fs::read(database(&place)).expect("reads"),
            content,
            "left as it was"
        );
    }
    std::fs::remove_file(database(&place)).expect("removes");
    let other = Connection::open(database(&place)).expect("opens");
    other
        .execute_batch("CREATE TABLE t (x); PRAGMA user_version = 1;")
        .expect("creates");
    let error = Collection::create_or_open(&place.home(), toy.id()).expect_err("refuses");
    assert!(
        error.to_string().contains("not a document collection"),
        "{error}"
    );
}

/// Overwrites one page after the other. Whatever breaks, it is an error or a problem that is reported.
#[test]
fn a_damaged_page_is_an_error_and_never_a_panic() {
    let (place, mut toy) = filled();
    // Folds the log into the file.
    drop(place.open(&toy));
    let whole = std::fs::read(database(&place)).expect("reads");
    let pages = whole.len() / 4096;
    let mut noticed = 0;
    for page in 0..pages {
        let mut bytes = whole.clone();
        bytes[page * 4096 + 100 * usize::from(page == 0)..][..2000].fill(0xa5);
        std::fs::write(database(&place), bytes).expect("writes");
        let outcome = Collection::open(&place.home()).and_then(|mut notes| {
            notes.search("herons", &mut toy, &Default::default())?;
            notes.documents()?;
            notes.verify()
        });
        match outcome {
            Ok(report) => noticed += usize::from(!report.ok),
            Err(Error::Damaged { .. } | Error::Store(_)) => noticed += 1,
            Err(error) => panic!("page {page}: {error}"),
        }
    }
    assert!(noticed * 10 >= pages * 9, "{noticed} of {pages}");
}

/// A vector that was cut short is damage, not a shorter vector.
#[test]
fn a_short_vector_is_damage() {
    let (place, mut toy) = filled();
    let conn = Connection::open(database(&place)).expect("opens");
    conn.execute(
        "UPDATE vectors SET vector = x'00000000' WHERE chunk = 3",
        [],
    )
    .expect("damages");
    let mut notes = place.open(&toy);
    let error = notes
        .search("herons", &mut toy, &Default::default())
        .expect_err("refuses");
    assert!(error.to_string().contains("chunk 3"), "{error}");
    assert!(!notes.verify().expect("verifies").ok);
}

/// A small file system of our own to fill.
#[cfg(target_os = "linux")]
pub struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    pub fn mount(megabytes: usize) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(dir))
    }

    pub fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Takes all the room that is left but so many bytes.
    pub fn fill_but(&self, left: u64) {
        self.fill();
        let file = std::fs::File::options()
            .write(true)
            .open(self.path().join("filler"))
            .expect("is there");
        let length = file.metadata().expect("is there").len();
        file.set_len(length.saturating_sub(left)).expect("shrinks");
    }

    /// Gives it back.
    pub fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).expect("removes");
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut room = vec![0u8; 1 << 20];
        let mut file = std::fs::File::create(self.path().join("filler")).expect("a file");
        while !room.is_empty() {
            if std::io::Write::write_all(&mut file, &room).is_err() {
                room.truncate(room.len() / 2);
            }
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_so_and_the_database_stays_usable() {
    let Some(disk) = SmallDisk::mount(1) else {
        eprintln!(
            "SKIPPED the full disk: mounting is not permitted; the same error is tested by a page limit"
        );
        return;
    };
    let (place, mut toy) = (Place::new(), Toy::new());
    let first = place.write("a.txt", "Herons stand in shallow water.");
    let home = disk.0.path().join("notes");
    let mut notes = Collection::create_or_open(&home, toy.id()).expect("opens");
    add(&mut notes, &[first], &mut toy).expect("adds");

    let filler = disk.0.path().join("filler");
    let large = place.write(
        "b.txt",
        "Birches have white bark, and this goes on. ".repeat(3_000),
    );
    let mut room = vec![0u8; 1 << 20];
    while std::fs::write(&filler, &room).is_err() {
        room.truncate(room.len() - 4096);
    }
    let error = add(&mut notes, std::slice::from_ref(&large), &mut toy).expect_err("is full");
    assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
    assert!(error.to_string().contains("disk full"), "{error}");
    assert_eq!(
        search(&mut notes, "herons", &mut toy).len(),
        1,
        "still answers"
    );
    assert_eq!(notes.documents().expect("lists").len(), 1);

    std::fs::remove_file(filler).expect("removes");
    let medium = place.write(
        "c.txt",
        "Oaks have dark bark, and this goes on. ".repeat(300),
    );
    assert_eq!(add(&mut notes, &[medium], &mut toy).expect("fits").added, 1);
    assert!(notes.verify().expect("verifies").ok);
    drop(notes);
    let mut again = Collection::open(&home).expect("opens again");
    assert_eq!(again.documents().expect("lists").len(), 2);
    assert!(!search(&mut again, "oaks bark", &mut toy).is_empty());
}

/// A disk that is full while another embedder's vectors gather: the old ones stay.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_while_embedding_anew_keeps_the_old_vectors() {
    let Some(disk) = SmallDisk::mount(1) else {
        eprintln!("SKIPPED the full disk: mounting is not permitted");
        return;
    };
    let (place, mut toy) = (Place::new(), Toy::new());
    for n in 0..8 {
        place.write(&format!("{n}.txt"), format!("Herons stand in lake {n}."));
    }
    let home = disk.0.path().join("notes");
    let mut notes = Collection::create_or_open(&home, toy.id()).expect("opens");
    add(&mut notes, &[place.docs()], &mut toy).expect("adds");
    let mut other = Toy::named("other", 40_000);
    let on = |_: &unforget::rag::ReembedProgress| std::ops::ControlFlow::Continue(());
    let error = notes.reembed(&mut other, &mut { on }).expect_err("is full");
    assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
    assert_eq!(notes.embedder().name, "toy");
    assert_eq!(search(&mut notes, "herons lake", &mut toy).len(), 5);
    assert!(notes.verify().expect("verifies").ok);
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_disk_answers_and_names_the_file_that_cannot_be_written() {
    let Some(disk) = SmallDisk::mount(1) else {
        eprintln!("SKIPPED the read-only disk: mounting is not permitted");
        return;
    };
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write("a.txt", "Herons stand in shallow water.");
    let home = disk.0.path().join("notes");
    let mut notes = Collection::create_or_open(&home, toy.id()).expect("opens");
    add(&mut notes, &[place.docs()], &mut toy).expect("adds");
    drop(notes);
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk.0.path())
        .status();
    assert!(remounted.is_ok_and(|status| status.success()), "remounts");

    let mut notes = Collection::open(&home).expect("opens");
    assert_eq!(search(&mut notes, "herons", &mut toy).len(), 1);
    assert!(notes.verify().expect("verifies").ok);
    let error = add(&mut notes, &[place.docs()], &mut toy).expect_err("refuses");
    assert!(error.to_string().contains("writer.lock"), "{error}");
    let error = Collection::create_or_open(&home, toy.id()).expect_err("refuses");
    assert!(error.to_string().contains(DATABASE_FILE), "{error}");
}
