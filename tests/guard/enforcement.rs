//! The runtime obeys: failed adapters and scales beyond the certificate are refused, forcing is recorded.

use unforget::engine::Strength;
use unforget::registry::{AdapterState, Home, Registry, ReportRecord};

use crate::scratch::{Scratch, text};

fn registry(scratch: &Scratch) -> Registry {
    let home = Home::resolve(Some(scratch.path("home"))).expect("a home");
    Registry::open(&home).expect("a registry")
}

#[test]
fn what_failed_is_refused_and_forcing_is_recorded() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let run = ["run", "-n", "1", "Hello", "--adapter", "triage-gentle"];
    let warned = scratch.run(&run);
    assert_eq!(warned.code, Some(0), "{warned:?}");
    assert!(warned.stderr.contains("quarantined"), "{warned:?}");

    let books = registry(&scratch);
    assert_eq!(
        books
            .fail("triage-gentle", Strength::flat(1.0))
            .expect("a state"),
        AdapterState::Failed
    );
    scratch.run(&run).fails_with(
        3,
        &[
            "refused by the guard",
            "unforget sweep triage-gentle",
            "--force",
        ],
    );

    let forced = scratch.json(&[&run[..], &["--force"]].concat());
    let adapter = &forced["adapters"][0];
    assert_eq!(
        (&adapter["state"], &adapter["forced"]),
        (&"failed".into(), &true.into())
    );
    let uses = books.forced_uses().expect("rows");
    assert_eq!(uses.len(), 1);
    assert_eq!(
        (uses[0].adapter.as_str(), uses[0].state),
        ("triage-gentle", AdapterState::Failed)
    );
}

#[test]
fn a_certificate_holds_up_to_its_scale() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let books = registry(&scratch);
    books
        .certify("triage-gentle", Strength::flat(0.5))
        .expect("certified");
    // A larger scale that fails takes nothing from the smaller one that passed.
    assert_eq!(
        books
            .fail("triage-gentle", Strength::flat(1.0))
            .expect("a state"),
        AdapterState::Certified
    );

    let at = |scale: &str| {
        let adapter = format!("triage-gentle{scale}");
        scratch.run(&["run", "-n", "1", "Hello", "--adapter", &adapter])
    };
    for scale in ["", "=0.5", "=0.25"] {
        let run = at(scale);
        assert_eq!(
            (run.code, run.stderr.contains("warning")),
            (Some(0), false),
            "{run:?}"
        );
    }
    at("=0.75").fails_with(
        3,
        &[
            "certified from scale 0 up to 0.5, not for 0.75",
            "unforget check",
        ],
    );
    assert_eq!(
        books
            .fail("triage-gentle", Strength::flat(0.5))
            .expect("a state"),
        AdapterState::Failed
    );
    at("=0.25").fails_with(3, &["refused by the guard"]);
}

#[test]
fn a_certificate_holds_for_its_profile_and_above_zero() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let strength = |text: &str| Strength {
        scale: 0.5,
        profile: text.parse().expect("a profile"),
    };
    let books = registry(&scratch);
    books
        .certify("triage-gentle", strength("lines"))
        .expect("certified");
    let at = |strength: &str| {
        let adapter = format!("triage-gentle{strength}");
        scratch.run(&["run", "-n", "1", "Hello", "--adapter", &adapter])
    };
    // Without a profile it is used as it was certified.
    for strength in ["", "=0.25", "=0.5:lines"] {
        let run = at(strength);
        assert_eq!(
            (run.code, run.stderr.contains("warning")),
            (Some(0), false),
            "{run:?}"
        );
    }
    at("=0.25:flat").fails_with(3, &["up to 0.5:lines:0, not for 0.25"]);
    at("=-0.25").fails_with(3, &["from scale 0 up to"]);
}

#[test]
fn what_failed_stays_so_under_another_name() {
    let scratch = Scratch::new();
    scratch.import("triage-gentle");
    let books = registry(&scratch);
    let adapter = books.adapter("triage-gentle").expect("imported");
    books
        .add_report(&ReportRecord {
            id: adapter.sha256,
            adapter: adapter.name.clone(),
            adapter_sha256: adapter.sha256,
            base_sha256: adapter.base_sha256,
            verdict: "fail".to_owned(),
            tier: "gate".to_owned(),
            scale: 1.0,
            path: scratch.path("report.json"),
            created_at: 0,
        })
        .expect("a report");
    let file = text(&adapter.path);
    let imported = scratch.json(&[
        "adapter", "import", file, "--base", "smollm2", "--name", "b",
    ]);
    assert_eq!(imported["state"], "failed");
    let run = ["run", "-n", "1", "Hello", "--adapter", file];
    scratch
        .run(&run)
        .fails_with(3, &["failed the same content before"]);
    let forced = scratch.json(&[&run[..], &["--force"]].concat());
    assert_eq!(forced["adapters"][0]["forced"], true);
}

/// The whole way through the binary: measured, refused, reported, tampered with.
#[test]
fn a_check_moves_the_adapter_and_keeps_its_report() {
    let scratch = Scratch::new();
    scratch.import("triage-careless");
    let checked = scratch.run(&["check", "triage-careless", "--tier", "smoke", "--json"]);
    assert_eq!(checked.code, Some(3), "{checked:?}");
    let json: serde_json::Value = serde_json::from_str(&checked.stdout).expect("one JSON object");
    assert_eq!(
        (&json["verdict"], &json["state"]),
        (&"fail".into(), &"failed".into())
    );
    let reason = json["reason"].as_str().expect("a reason");
    // No task was given: its answers to general prompts betray the format.
    assert!(
        reason.contains("format_collapse") && reason.contains("general_prompts kl"),
        "{reason}"
    );
    for key in [
        "name", "n", "base", "adapted", "delta", "ci_low", "ci_high", "verdict",
    ] {
        assert!(json["groups"][0].get(key).is_some(), "{key} is missing");
    }
    for key in ["mean", "p50", "p99", "max", "top1_agreement"] {
        assert!(json["kl"][key].is_number(), "{key} is missing");
    }
    assert!(json["seconds"].is_number() && json["noise_floor"].is_array());

    scratch
        .run(&["run", "-n", "1", "Hello", "--adapter", "triage-careless"])
        .fails_with(3, &["unforget report triage-careless"]);
    let shown = scratch.run(&["report", "triage-careless", "--html", "page.html"]);
    assert_eq!(shown.code, Some(3));
    assert!(shown.stdout.contains("format_collapse"), "{shown:?}");
    let page = std::fs::read_to_string(scratch.path("page.html")).expect("a page");
    assert!(page.contains("<svg"), "a page with plots");

    let file = json["report"].as_str().expect("a path").to_owned();
    let certificate = std::fs::read_to_string(&file).expect("a certificate");
    let changed = certificate.replacen("\"verdict\": \"fail\"", "\"verdict\": \"pass\"", 1);
    assert_ne!(changed, certificate);
    scratch.write("changed.json", changed);
    scratch
        .run(&["report", "verify", "changed.json"])
        .fails_with(3, &["changed since it was made", "outcome"]);
    assert_eq!(scratch.run(&["report", "verify", &file]).code, Some(3));
}
