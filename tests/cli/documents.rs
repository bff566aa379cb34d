//! Documents through the binary, with the real embedder and the real base.

use crate::common;
use crate::scratch::{Scratch, text};

fn with_demo_documents() -> Scratch {
    let scratch = Scratch::new();
    let documents = common::repository().join("models/documents");
    let report = scratch.json(&["docs", "add", text(&documents)]);
    assert!(report["added"].as_u64() > Some(2), "{report}");
    assert!(
        report["chunks"].as_u64() >= report["added"].as_u64(),
        "{report}"
    );
    scratch
}

#[test]
fn an_answer_is_cited_down_to_the_bytes() {
    let scratch = with_demo_documents();
    let report = scratch.json(&["ask", "Who won Super Bowl 50?"]);
    assert!(
        report["text"]
            .as_str()
            .is_some_and(|text| text.contains("Broncos")),
        "{report}"
    );
    let citations = report["citations"].as_array().expect("citations");
    assert!(!citations.is_empty(), "{report}");
    for citation in citations {
        let bytes = std::fs::read(citation["path"].as_str().expect("a path")).expect("the file");
        let at =
            |key: &str| usize::try_from(citation[key].as_u64().expect("a number")).expect("small");
        assert_eq!(
            std::str::from_utf8(&bytes[at("start")..at("end")]).ok(),
            citation["text"].as_str()
        );
        let mark = format!("[{}]", citation["n"]);
        assert!(
            report["text"]
                .as_str()
                .is_some_and(|text| text.contains(&mark)),
            "{report}"
        );
    }
    assert!(report["grounded"].is_boolean());
}

#[test]
fn where_nothing_is_relevant_the_answer_says_so() {
    let scratch = with_demo_documents();
    let report = scratch.json(&[
        "ask",
        "How long do I boil an egg so that the yolk stays soft?",
    ]);
    assert_eq!(report["text"], unforget::rag::NOTHING_FOUND);
    assert_eq!(report["citations"].as_array().map(Vec::len), Some(0));
    assert_eq!(report["grounded"], false);
    assert_eq!(report["usage"]["completion_tokens"], 0);
}

#[test]
fn search_finds_the_passage_first() {
    let scratch = with_demo_documents();
    let report = scratch.json(&["docs", "search", "linebacker named most valuable player"]);
    let first = &report["hits"][0];
    assert!(
        first["text"]
            .as_str()
            .is_some_and(|text| text.contains("Von Miller")),
        "{first}"
    );
    for key in ["document", "path", "start", "end", "score", "text"] {
        assert!(!first[key].is_null(), "{key}");
    }
    assert!(report["timings"]["total_ms"].is_number());
}

#[test]
fn adding_again_embeds_nothing() {
    let scratch = with_demo_documents();
    let documents = common::repository().join("models/documents");
    let again = scratch.json(&["docs", "add", text(&documents)]);
    assert_eq!((&again["added"], &again["chunks"]), (&0.into(), &0.into()));
    assert!(again["unchanged"].as_u64() > Some(2));
}

#[test]
fn a_binary_file_is_skipped_counted_and_named() {
    let scratch = Scratch::new();
    scratch.write(
        "in/good.txt",
        "The lighthouse of Alden was built in 1873 by Mary Corrigan.",
    );
    scratch.write("in/picture.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0");
    let folder = scratch.path("in");
    let report = scratch.json(&["docs", "add", text(&folder)]);
    assert_eq!(report["added"], 1);
    let skipped = report["skipped"].as_array().expect("skipped");
    assert_eq!(skipped.len(), 1);
    assert!(
        skipped[0]["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("picture.txt"))
    );
    assert!(
        skipped[0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("binary"))
    );
    let people = scratch.run(&["docs", "add", text(&folder)]);
    assert!(
        people.stdout.contains("1 skipped") && people.stdout.contains("picture.txt"),
        "{people:?}"
    );
}

#[test]
fn a_path_that_is_not_there_and_a_wrong_collection() {
    let scratch = with_demo_documents();
    scratch
        .run(&["docs", "add", "./nowhere"])
        .fails_with(5, &["nowhere"]);
    scratch
        .run(&["ask", "--docs", "defualt", "Who?"])
        .fails_with(5, &["did you mean 'default'"]);
    scratch
        .run(&["docs", "add", "--to", "../escape", "."])
        .fails_with(2, &["../escape"]);
}

#[test]
fn the_index_file_can_be_deleted_at_any_time() {
    let scratch = with_demo_documents();
    let before = scratch.json(&["docs", "search", "quarterback"]);
    let folder = scratch.path("home/collections/default");
    for entry in std::fs::read_dir(folder).expect("the collection").flatten() {
        if !entry
            .file_name()
            .to_string_lossy()
            .starts_with("documents.db")
        {
            std::fs::remove_file(entry.path()).expect("it is removed");
        }
    }
    let after = scratch.json(&["docs", "search", "quarterback"]);
    assert_eq!(before["hits"], after["hits"]);
}
