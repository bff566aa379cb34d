//! The database of what is installed.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use unforget::Error;
use unforget::engine::{ContentHash, Strength};
use unforget::registry::{AdapterRecord, AdapterState, Listing, ModelKind, ModelRecord, Registry};

use crate::support::Place;

fn model(name: &str) -> ModelRecord {
    ModelRecord {
        name: name.to_owned(),
        kind: ModelKind::Embedder,
        path: PathBuf::from("/nowhere/m.gguf"),
        sha256: ContentHash::of(b"base"),
        bytes: 4,
        architecture: Some("bert".into()),
        source: "path:/nowhere/m.gguf".into(),
        licence: None,
        added_at: 0,
    }
}

fn adapter(name: &str, content: &[u8]) -> AdapterRecord {
    let provenance = serde_json::json!({"source": "peft", "rank": 8});
    AdapterRecord::imported(
        name,
        ContentHash::of(content),
        ContentHash::of(b"base"),
        "/nowhere/a.gguf".into(),
        provenance,
    )
}

#[test]
fn records_come_back_as_they_went_in() {
    let place = Place::new();
    place.registry().add_model(&model("m")).unwrap();
    place.registry().add_adapter(&adapter("a", b"1")).unwrap();

    let registry = place.registry();
    let stored = registry.model("m").unwrap();
    assert!(stored.added_at > 0);
    assert_eq!(
        ModelRecord {
            added_at: 0,
            ..stored
        },
        model("m")
    );
    let stored = registry.adapter("a").unwrap();
    assert_eq!(
        (stored.state, stored.scale),
        (AdapterState::Quarantined, 1.0)
    );
    assert_eq!(stored.provenance, adapter("a", b"1").provenance);
}

#[test]
fn unknown_names_come_with_the_nearest_installed_or_in_the_catalog() {
    let place = Place::new();
    let registry = place.registry();
    registry.add_model(&model("private-model")).unwrap();
    registry.add_adapter(&adapter("triage", b"1")).unwrap();
    let nearest = |result| match result {
        Err(Error::UnknownName { nearest, .. }) => nearest,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        nearest(registry.model("privat-model").map(drop)).as_deref(),
        Some("private-model")
    );
    assert_eq!(
        nearest(registry.model("smolm2").map(drop)).as_deref(),
        Some("smollm2")
    );
    assert_eq!(
        nearest(registry.adapter("triag").map(drop)).as_deref(),
        Some("triage")
    );
    let Err(Error::NotInstalled { name }) = registry.model("smollm2") else {
        panic!("installed")
    };
    assert_eq!(name, "smollm2");
}

#[test]
fn names_are_checked_on_the_way_in() {
    let registry = Place::new().registry();
    assert!(matches!(
        registry.add_model(&model("../m")),
        Err(Error::InvalidArgument { .. })
    ));
    assert!(matches!(
        registry.add_adapter(&adapter("a=1", b"1")),
        Err(Error::InvalidArgument { .. })
    ));
}

#[test]
fn trust_is_given_by_certifying_alone_and_lost_with_the_content() {
    let registry = Place::new().registry();
    let trusted = AdapterRecord {
        state: AdapterState::Certified,
        ..adapter("a", b"1")
    };
    registry.add_adapter(&trusted).unwrap();
    assert_eq!(
        registry.adapter("a").unwrap().state,
        AdapterState::Quarantined
    );

    registry.certify("a", Strength::flat(0.75)).unwrap();
    registry.add_adapter(&adapter("a", b"1")).unwrap();
    let same = registry.adapter("a").unwrap();
    assert_eq!((same.state, same.scale), (AdapterState::Certified, 0.75));

    registry.add_adapter(&adapter("a", b"2")).unwrap();
    let other = registry.adapter("a").unwrap();
    assert_eq!((other.state, other.scale), (AdapterState::Quarantined, 1.0));
    assert_eq!(registry.adapters().unwrap().len(), 1);
}

#[test]
fn what_was_retired_is_measured_before_it_is_trusted_again() {
    let registry = Place::new().registry();
    registry.add_adapter(&adapter("a", b"1")).unwrap();
    registry.set_state("a", AdapterState::Retired).unwrap();
    let message = registry
        .certify("a", Strength::flat(1.0))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("retired") && message.contains("'a'"),
        "{message}"
    );
    assert_eq!(registry.adapter("a").unwrap().state, AdapterState::Retired);
    registry.set_state("a", AdapterState::Quarantined).unwrap();
    registry.certify("a", Strength::flat(1.0)).unwrap();
    assert!(matches!(
        registry.set_state("b", AdapterState::Retired),
        Err(Error::UnknownName { .. })
    ));
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(
            registry.certify("a", Strength::flat(scale)).is_err(),
            "{scale}"
        );
    }
}

#[test]
fn many_first_opens_at_once_agree() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let place = &place;
            scope.spawn(move || {
                let registry = Registry::open(&place.home).unwrap();
                for m in 0..10 {
                    registry.add_model(&model(&format!("m{n}-{m}"))).unwrap();
                    registry.add_adapter(&adapter("shared", &[n, m])).unwrap();
                }
            });
        }
    });
    assert_eq!(place.registry().models().unwrap().len(), 80);
    assert_eq!(place.registry().adapters().unwrap().len(), 1);
}

#[test]
fn a_damaged_database_is_named_with_what_to_do() {
    let place = Place::new();
    drop(place.registry());
    std::fs::write(place.home.registry_db(), vec![b'x'; 8192]).unwrap();
    let Err(Error::Damaged { path, reason }) = Registry::open(&place.home) else {
        panic!("opened")
    };
    assert_eq!(path, place.home.registry_db());
    assert!(reason.contains("move it away"), "{reason}");
}

#[test]
fn a_row_that_makes_no_sense_is_damage_too() {
    let place = Place::new();
    place.registry().add_adapter(&adapter("a", b"1")).unwrap();
    let connection = rusqlite::Connection::open(place.home.registry_db()).unwrap();
    connection
        .execute("UPDATE adapters SET state = 'blessed'", [])
        .unwrap();
    let read = place.registry().adapters();
    assert!(
        matches!(&read, Err(Error::Damaged { reason, .. }) if reason.contains("blessed")),
        "{read:?}"
    );
}

#[test]
fn a_newer_database_is_left_alone() {
    let place = Place::new();
    drop(place.registry());
    let connection = rusqlite::Connection::open(place.home.registry_db()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let Err(Error::Damaged { reason, .. }) = Registry::open(&place.home) else {
        panic!("opened")
    };
    assert!(
        reason.contains("99") && reason.contains("update unforget"),
        "{reason}"
    );
}

#[test]
fn a_hash_is_computed_once_while_size_and_time_stay() {
    let place = Place::new();
    let registry = place.registry();
    let path = place.folder.path().join("file");
    let settled = SystemTime::now() - Duration::from_secs(3600);
    let write = |content: &[u8], time| {
        std::fs::write(&path, content).unwrap();
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    };

    write(b"one", settled);
    assert_eq!(registry.sha256_of(&path).unwrap(), ContentHash::of(b"one"));
    // The same size at the same time: the file is not read, so the change is not seen.
    write(b"two", settled);
    assert_eq!(registry.sha256_of(&path).unwrap(), ContentHash::of(b"one"));
    write(b"two", settled + Duration::from_nanos(1));
    assert_eq!(registry.sha256_of(&path).unwrap(), ContentHash::of(b"two"));
    write(b"three", settled + Duration::from_nanos(1));
    assert_eq!(
        registry.sha256_of(&path).unwrap(),
        ContentHash::of(b"three")
    );

    // A file of this moment may be written again within the clock's tick: its hash is not kept.
    let now = SystemTime::now();
    write(b"1st", now);
    assert_eq!(registry.sha256_of(&path).unwrap(), ContentHash::of(b"1st"));
    write(b"2nd", now);
    assert_eq!(registry.sha256_of(&path).unwrap(), ContentHash::of(b"2nd"));
}

#[test]
fn the_listing_names_bases_and_what_is_gone() {
    let place = Place::new();
    let registry = place.registry();
    let path = place.folder.path().join("m.gguf");
    std::fs::write(&path, b"base").unwrap();
    registry
        .add_model(&ModelRecord { path, ..model("m") })
        .unwrap();
    registry.add_adapter(&adapter("a", b"1")).unwrap();
    let json = serde_json::to_value(Listing::read(&registry).unwrap()).unwrap();
    assert_eq!(json["models"][0]["name"], "m");
    assert_eq!(json["models"][0]["kind"], "embedder");
    assert_eq!(json["models"][0]["missing"], false);
    assert_eq!(
        json["models"][0]["sha256"],
        ContentHash::of(b"base").to_string()
    );
    assert_eq!(json["adapters"][0]["base"], "m");
    assert_eq!(json["adapters"][0]["state"], "quarantined");
    assert_eq!(json["adapters"][0]["missing"], true);
}

#[test]
fn a_model_whose_file_changed_is_told_from_one_that_was_only_touched() {
    let place = Place::new();
    let registry = place.registry();
    let path = place.folder.path().join("base.gguf");
    let write = |content: &[u8], seconds: u64| {
        std::fs::write(&path, content).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let time = SystemTime::now() - Duration::from_secs(3600 - seconds);
        file.set_modified(time).unwrap();
    };
    write(b"base", 0);
    let record = ModelRecord {
        path: path.clone(),
        ..model("m")
    };
    registry.add_model(&record).unwrap();
    registry.verify_model(&record).unwrap();
    write(b"base", 60);
    registry.verify_model(&record).unwrap();
    write(b"cave", 120);
    let error = registry.verify_model(&record).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }));
    let text = error.to_string();
    for part in [
        "'m'",
        "changed",
        &ContentHash::of(b"base").short(),
        &ContentHash::of(b"cave").short(),
    ] {
        assert!(text.contains(part), "{text}");
    }
    std::fs::remove_file(&path).unwrap();
    let gone = registry.verify_model(&record).unwrap_err().to_string();
    assert!(gone.contains("is gone"), "{gone}");
}

#[test]
fn reasons_for_quarantine_stay_with_the_adapter() {
    let place = Place::new();
    let registry = place.registry();
    registry.add_adapter(&adapter("a", b"1")).unwrap();
    assert!(
        registry
            .adapter("a")
            .unwrap()
            .quarantine_reasons()
            .is_empty()
    );
    registry.certify("a", Strength::flat(1.0)).unwrap();
    registry
        .quarantine("a", &["it looks odd".to_owned()])
        .unwrap();
    let stored = registry.adapter("a").unwrap();
    assert_eq!(stored.state, AdapterState::Quarantined);
    assert_eq!(stored.quarantine_reasons(), ["it looks odd"]);
    assert_eq!(stored.provenance["source"], "peft", "the rest is kept");
    assert!(registry.quarantine("b", &[]).is_err());
}

#[test]
fn nobody_is_certified_by_hand() {
    let place = Place::new();
    let registry = place.registry();
    registry.add_adapter(&adapter("a", b"1")).unwrap();
    let refused = registry
        .set_state("a", AdapterState::Certified)
        .unwrap_err();
    assert!(
        refused.to_string().contains("unforget check a"),
        "{refused}"
    );
    registry.certify("a", Strength::flat(0.5)).unwrap();
    registry.set_state("a", AdapterState::Certified).unwrap();
    assert_eq!(registry.adapter("a").unwrap().scale, 0.5);
}
