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
    let report = scratch.json(&["ask", "Who was named Super Bowl MVP?"]);
    assert!(
        report["text"]
            .as_str()
            .is_some_and(|text| text.contains("Miller")),
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

/// Killed with the real embedder at work: the next time goes on, and the end is as if nothing had happened.
#[test]
fn adding_that_was_killed_goes_on() {
    let scratch = Scratch::new();
    for n in 0..60 {
        let story = format!("Keeper {n} of the lighthouse wrote about storm {}. ", n * 7);
        scratch.write(&format!("in/{n:02}.txt"), story.repeat(12));
    }
    let folder = scratch.path("in");
    for milliseconds in [150, 400, 700, 1_100] {
        let mut child = scratch
            .command(&["docs", "add", text(&folder)])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary runs");
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
    }
    scratch.json(&["docs", "add", text(&folder)]);
    let report = scratch.json(&["docs", "verify"]);
    assert_eq!(
        (&report["ok"], &report["documents"]),
        (&true.into(), &60.into())
    );
    assert_eq!(report["stale"].as_array().map(Vec::len), Some(0));
    let whole = scratch.json(&["docs", "add", "--to", "whole", text(&folder)]);
    assert_eq!(report["chunks"], whole["chunks"]);
    let hits = |collection: &str| {
        let found = scratch.json(&["docs", "search", "--to", collection, "keeper 41, storm 287"]);
        let hits = found["hits"].as_array().cloned().unwrap_or_default();
        hits.iter()
            .map(|hit| {
                (
                    hit["path"].clone(),
                    hit["start"].clone(),
                    hit["score"].clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(hits("default").len(), 5);
    // Batches differ, and so may the last digits of scores: places are the same.
    let places = |hits: Vec<(serde_json::Value, serde_json::Value, serde_json::Value)>| {
        hits.into_iter()
            .map(|(path, start, _)| (path, start))
            .collect::<Vec<_>>()
    };
    assert_eq!(places(hits("default"))[0], places(hits("whole"))[0]);
}

#[test]
fn a_search_can_be_narrowed() {
    let scratch = Scratch::new();
    scratch.write("in/old/a.txt", "The lighthouse of Alden was built in 1873.");
    scratch.write("in/new/b.md", "The lighthouse of Alden was painted red.");
    let (all, new) = (scratch.path("in"), scratch.path("in/new"));
    scratch.json(&["docs", "add", text(&all)]);
    scratch.json(&["docs", "add", "--tag", "recent", text(&new)]);
    let found = |args: &[&str]| {
        let report = scratch.json(&[&["docs", "search", "lighthouse of Alden"], args].concat());
        report["hits"].as_array().map(Vec::len)
    };
    assert_eq!(found(&[]), Some(2));
    assert_eq!(found(&["--path", "*.md"]), Some(1));
    assert_eq!(found(&["--tag", "recent"]), Some(1));
    assert_eq!(found(&["--tag", "recent", "--path", "old/*"]), Some(0));
    assert_eq!(found(&["--since", "2000-01-01"]), Some(2));
    scratch
        .run(&["docs", "search", "--since", "yesterday", "lighthouse"])
        .fails_with(2, &["yesterday", "2026-01-31"]);
    scratch
        .run(&["docs", "search", "--path", "a[", "lighthouse"])
        .fails_with(2, &["a["]);
}

#[test]
fn sync_takes_over_what_changed_and_forgets_what_is_gone() {
    let scratch = Scratch::new();
    let kept = scratch.write("notes/kept.txt", "The heron nests beside the mill pond.");
    let gone = scratch.write("notes/gone.txt", "The lighthouse keeper retired in March.");
    scratch.json(&["docs", "add", text(&scratch.path("notes"))]);
    std::fs::remove_file(&gone).expect("removed");
    std::fs::write(&kept, "The heron nests beside the old bridge.").expect("written");
    scratch.write("notes/new.md", "# Harbour\n\nThe ferry leaves at nine.");

    let stale = scratch.json(&["docs", "verify"]);
    assert_eq!(stale["ok"], true, "{stale}");
    assert_eq!(stale["stale"].as_array().map(Vec::len), Some(2), "{stale}");
    let report = scratch.json(&["docs", "sync"]);
    for key in ["added", "updated", "removed"] {
        assert_eq!(report[key], 1, "{key} of {report}");
    }
    let found = scratch
        .json(&["docs", "search", "lighthouse keeper"])
        .to_string();
    assert!(!found.contains("gone.txt"), "{found}");
    let found = scratch.json(&["docs", "search", "where does the heron nest?"]);
    assert_eq!(
        found["hits"][0]["text"],
        "The heron nests beside the old bridge."
    );
    assert_eq!(
        scratch.json(&["docs", "verify"])["stale"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
}

#[test]
fn a_document_is_shown_and_removed() {
    let scratch = Scratch::new();
    scratch.write("a.txt", "The kiln is fired on Tuesdays.");
    scratch.json(&["docs", "add", "a.txt"]);
    let id = scratch.json(&["docs", "list"])["documents"][0]["id"].to_string();
    let shown = scratch.json(&["docs", "show", &id]);
    assert_eq!(shown["chunks"][0]["text"], "The kiln is fired on Tuesdays.");
    scratch.json(&["docs", "remove", &id]);
    assert_eq!(
        scratch.json(&["docs", "list"])["documents"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    let again = scratch.run(&["docs", "show", &id]);
    assert_eq!(again.code, Some(5), "{again:?}");
    assert_eq!(scratch.json(&["docs", "rebuild"])["vectors"], 0);
}

fn benchmark(scratch: &Scratch, queries: &str) -> std::path::PathBuf {
    let corpus = "{\"_id\": \"../x\", \"title\": \"Herons\", \"text\": \"They nest beside the mill pond.\"}\n\
        {\"_id\": \"b\", \"title\": \"\", \"text\": \"The ferry leaves the harbour at nine.\"}\n";
    scratch.write("beir/corpus.jsonl", corpus);
    scratch.write("beir/queries.jsonl", queries);
    scratch.write(
        "beir/qrels/test.tsv",
        "query-id\tcorpus-id\tscore\nq\tb\t1\nq2\t../x\t1\n",
    );
    scratch.path("beir")
}

#[test]
fn bench_measures_answers_where_there_are_some() {
    let scratch = with_demo_documents();
    let bench = [
        "bench",
        "-p",
        "0",
        "-n",
        "0",
        "-r",
        "1",
        "--docs",
        "default",
        "--with",
        "retrieval,ask",
    ];
    let question = ["--question", "Who was named Super Bowl MVP?"];
    let report = scratch.json(&[&bench[..], &question].concat());
    let ms = |what: &str| {
        let more = report["more"].as_array().expect("quantities");
        let quantity = more.iter().find(|quantity| quantity["what"] == what);
        quantity.and_then(|quantity| quantity["ms"]["p50"].as_f64())
    };
    assert!(ms("retrieval: searching").is_some(), "{report}");
    let parts = ["ask: search", "ask: first token", "ask: whole answer"];
    let parts = parts.map(|what| ms(what).unwrap_or_else(|| panic!("{what}: {report}")));
    assert!(parts.is_sorted(), "each is a part of the next: {parts:?}");
    scratch
        .run(&bench)
        .fails_with(2, &["--question", "the model was not asked"]);
    scratch
        .run(&[&bench[..], &["-o", "csv"]].concat())
        .fails_with(2, &["--with 'retrieval,ask'", "-o md"]);
}

#[test]
fn a_benchmark_is_measured() {
    let scratch = Scratch::new();
    let queries = "{\"_id\": \"q\", \"text\": \"When does the ferry leave?\"}\n\
        {\"_id\": \"q2\", \"text\": \"Where do herons nest?\"}\n\
        {\"_id\": \"unjudged\", \"text\": \"Who?\"}\n";
    let report = scratch.json(&[
        "docs",
        "eval",
        text(&benchmark(&scratch, queries)),
        "--mode",
        "dense",
    ]);
    assert_eq!(
        (&report["queries"], &report["documents"]),
        (&2.into(), &2.into()),
        "{report}"
    );
    for key in ["recall_at_10", "mrr_at_10", "ndcg_at_10"] {
        assert_eq!(report[key], 1.0, "{key} of {report}");
    }
    assert!(report["p99_ms"].as_f64() >= report["p50_ms"].as_f64());
    let left = std::fs::read_dir(scratch.path("home/collections")).expect("a folder");
    assert_eq!(
        left.count(),
        0,
        "the collection of the benchmark is removed"
    );
}

#[test]
fn a_benchmark_that_is_none_is_refused_with_file_and_line() {
    let scratch = Scratch::new();
    let folder = benchmark(
        &scratch,
        "{\"_id\": \"q\", \"text\": \"When?\"}\n{\"_id\": 7}\n",
    );
    let run = scratch.run(&["docs", "eval", text(&folder)]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("queries.jsonl, line 2"), "{run:?}");
    let missing = scratch.run(&["docs", "eval", "nowhere"]);
    assert_eq!(missing.code, Some(5), "{missing:?}");
}

#[test]
fn redacting_is_said_once_and_counted() {
    let scratch = Scratch::new();
    scratch.write(
        "in/a.html",
        "<h1>Mill</h1><p>The miller is ann@example.org, ask her.</p>",
    );
    let report = scratch.json(&["docs", "add", "in", "--redact"]);
    assert_eq!(report["redacted"]["EMAIL"], 1, "{report}");
    scratch.write("in/b.txt", "The ferryman is bob@example.org.");
    let report = scratch.json(&["docs", "sync"]);
    assert_eq!(
        (&report["added"], &report["redacted"]["EMAIL"]),
        (&1.into(), &1.into())
    );
    let found = scratch.json(&["docs", "search", "who is the miller?"]);
    let hit = &found["hits"][0];
    assert!(
        hit["text"]
            .as_str()
            .is_some_and(|text| text.contains("<EMAIL_")),
        "{hit}"
    );
    assert_eq!(
        (&hit["span"], &hit["line"]),
        (&"covering".into(), &1.into()),
        "{hit}"
    );
    assert!(hit["page"].is_null());
}

#[test]
fn a_document_tells_its_versions() {
    let scratch = Scratch::new();
    scratch.write("a.txt", "The kiln is fired on Tuesdays.");
    scratch.json(&["docs", "add", "a.txt"]);
    scratch.write("a.txt", "The kiln is fired on Thursdays.");
    assert_eq!(scratch.json(&["docs", "sync"])["updated"], 1);
    let versions = scratch.json(&["docs", "show", "1"])["versions"].clone();
    assert_eq!(versions.as_array().map(Vec::len), Some(2), "{versions}");
    assert_eq!(
        (&versions[0]["bytes"], &versions[1]["bytes"]),
        (&30.into(), &31.into())
    );
    assert!(versions[1]["replaced_at"].is_null());
    let first = versions[0]["sha256"].as_str().expect("a hash");
    let then = scratch.json(&["docs", "show", "1", "--version", &first[..12]]);
    assert_eq!(
        then["chunks"][0]["text"], "The kiln is fired on Tuesdays.",
        "what an answer of then saw"
    );
    let unknown = scratch.run(&["docs", "show", "1", "--version", "none"]);
    unknown.fails_with(5, &["version", "none"]);
}
