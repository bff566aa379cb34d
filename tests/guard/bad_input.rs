//! Bad input: each a clear error, none a pass.

use crate::scratch::{Scratch, text};

#[test]
fn suites_that_cannot_be_used_are_said_with_their_line() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let good = "{\"id\":\"a\",\"prompt\":\"P\",\"choices\":[\"x\",\"y\"],\"gold\":1}\n";
    let cases = [
        ("empty", String::new(), "0 items"),
        ("one", good.to_owned(), "1 items; a group needs at least 2"),
        (
            "twice",
            format!("{good}{good}"),
            "line 2: id 'a' stands twice",
        ),
        (
            "gold",
            good.replace("\"gold\":1", "\"gold\":7"),
            "line 1: `gold` is 7",
        ),
        ("json", format!("{good}{{\n"), "line 2"),
        (
            "prose",
            good.to_owned() + &good.replace("\"a\"", "\"b\""),
            "taken",
        ),
    ];
    for (name, content, words) in cases {
        let folder = scratch.write(&format!("{name}/{name}.jsonl"), content);
        let folder = folder.parent().expect("a folder");
        scratch
            .run(&["check", "triage-gentle", "--suite", text(folder)])
            .fails_with(2, &[name, words]);
    }
    let budget = scratch.write("budget.toml", "version = 1\n[[rule]]\ngroup = \"x\"\n");
    scratch
        .run(&["check", "triage-gentle", "--budget", text(&budget)])
        .fails_with(2, &["budget.toml"]);
    scratch
        .run(&["check", "nobody"])
        .fails_with(5, &["unknown adapter 'nobody'"]);
    scratch
        .run(&["check", "triage-gentle", "--scale", "0"])
        .fails_with(2, &["at least one to measure"]);
    scratch
        .run(&["check", "triage-gentle", "--tier", "quick"])
        .fails_with(2, &["smoke, gate or certify"]);
}
