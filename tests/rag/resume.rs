//! Fifty real kills at random moments: nothing is lost, nothing is embedded twice, and the end is as if nothing had
//! happened.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use unforget::rag::{Collection, DATABASE_FILE, Embed, EmbedderId};

use crate::toy::{Place, Toy, on};

const KILLS: usize = 50;

/// Texts that the library embeds and commits at once.
const BATCH: usize = 32;

/// Slow, and keeps a record of what it was asked for.
struct Recorded(Toy, PathBuf);

impl Embed for Recorded {
    fn id(&self) -> &EmbedderId {
        self.0.id()
    }
    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }
    fn count_tokens(&self, text: &str) -> usize {
        self.0.count_tokens(text)
    }
    fn embed(&mut self, texts: &[&str]) -> unforget::Result<Vec<Vec<f32>>> {
        std::thread::sleep(Duration::from_millis(8));
        let mut record = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&self.1)?;
        for text in texts {
            writeln!(record, "{}", text.replace('\n', " "))?;
        }
        self.0.embed(texts)
    }
}

const CHILD: &str = "UNFORGET_TEST_RESUMED_WRITER";

/// Not a test of its own: what the test below starts as a process and kills.
#[test]
fn resumed_writer_child() {
    let Some(root) = std::env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let mut embedder = Recorded(Toy::new(), root.join("record"));
    let home = root.join("collections/notes");
    let mut notes = Collection::create_or_open(&home, embedder.id()).expect("opens");
    notes
        .add(
            &[root.join("docs")],
            &mut embedder,
            &Default::default(),
            &mut on,
        )
        .expect("adds");
}

/// Path, start, end, heading, text, line and vector of a chunk.
type Row = (String, i64, i64, String, String, Option<i64>, Vec<u8>);

/// All that a collection says, without the numbers that depend on the order of events.
fn content(home: &Path) -> Vec<Row> {
    let conn = rusqlite::Connection::open(home.join(DATABASE_FILE)).expect("opens");
    let mut select = conn
        .prepare(
            "SELECT d.path, c.start, c.\"end\", c.heading, c.text, c.line, v.vector
             FROM documents d JOIN chunks c ON c.document = d.id JOIN vectors v ON v.chunk = c.id ORDER BY 1, 2, 3",
        )
        .expect("prepares");
    let rows = select.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
            row.get(6)?,
        ))
    });
    rows.expect("reads")
        .collect::<rusqlite::Result<_>>()
        .expect("reads")
}

#[test]
fn fifty_kills_cost_a_batch_each_at_most() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let mut large = String::new();
    // More than fifty short lives can read on a fast machine.
    for n in 0..24_000 {
        large.push_str(&format!(
            "Sentence {n} of the long book is about heron {} and lake {}. ",
            n * 7,
            n * 13
        ));
    }
    place.write("large.txt", &large);
    for n in 0..40 {
        place.write(
            &format!("small/{n:02}.txt"),
            format!("Storks of village {n} nest on chimneys."),
        );
    }
    let root = place.docs().parent().expect("a parent").to_owned();
    let spawn = || {
        Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "resume::resumed_writer_child"])
            .env(CHILD, &root)
            .stdout(Stdio::null())
            .spawn()
            .expect("starts")
    };
    let mut state = std::process::id() | 1;
    let (mut kills, mut ended) = (0, 0);
    for _ in 0..KILLS {
        let mut child = spawn();
        // xorshift: 10 to 80 ms, from before the database is open to the middle of a batch.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        std::thread::sleep(Duration::from_millis(u64::from(10 + state % 70)));
        ended += usize::from(child.try_wait().expect("waits").is_some());
        child.kill().expect("kills");
        child.wait().expect("ends");
        kills += 1;
        if place.home().join(DATABASE_FILE).is_file()
            && let Ok(notes) = Collection::open(&place.home())
        {
            assert!(notes.verify().expect("verifies").ok);
        }
    }
    assert!(spawn().wait().expect("ends").success());
    assert!(
        ended < KILLS / 2,
        "{ended} of {kills} were done before they were killed"
    );

    let record = std::fs::read_to_string(root.join("record")).expect("reads");
    let asked = record.lines().count();
    let mut different: Vec<&str> = record.lines().collect();
    different.sort_unstable();
    different.dedup();
    assert!(
        asked - different.len() <= kills * BATCH,
        "{asked} for {}",
        different.len()
    );

    let interrupted = content(&place.home());
    let whole = root.join("collections/whole");
    let mut notes = Collection::create_or_open(&whole, toy.id()).expect("opens");
    notes
        .add(&[place.docs()], &mut toy, &Default::default(), &mut on)
        .expect("adds");
    assert_eq!(toy.embedded, different.len(), "each text once");
    assert!(interrupted == content(&whole), "the same as without kills");
    let mut notes = Collection::open(&place.home()).expect("opens");
    assert_eq!(place.add(&mut notes, &mut toy).unchanged, 41);
}
