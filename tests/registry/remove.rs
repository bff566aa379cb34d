//! Taking models and adapters away.

use std::path::PathBuf;

use unforget::Error;
use unforget::engine::ContentHash;
use unforget::registry::{AdapterRecord, ModelKind, ModelRecord, remove_adapter, remove_model};

use crate::support::Place;

fn model(name: &str, path: PathBuf) -> ModelRecord {
    ModelRecord {
        name: name.to_owned(),
        kind: ModelKind::Base,
        path,
        sha256: ContentHash::of(b"base"),
        bytes: 4,
        architecture: None,
        source: "path:somewhere".into(),
        licence: None,
        added_at: 0,
    }
}

/// A file in the data folder.
fn file(place: &Place, path: &str) -> PathBuf {
    let path = place.home.root().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "base").unwrap();
    path
}

fn adapter(name: &str, path: PathBuf) -> AdapterRecord {
    let base = ContentHash::of(b"base");
    AdapterRecord::imported(
        name,
        ContentHash::of(name.as_bytes()),
        base,
        path,
        serde_json::json!({}),
    )
}

#[test]
fn a_model_goes_with_its_file_and_folder() {
    let place = Place::new();
    let registry = place.registry();
    let path = file(&place, "models/m/m.gguf");
    registry.add_model(&model("m", path.clone())).unwrap();
    let removed = remove_model(&registry, &place.home, "m").unwrap();
    assert_eq!(removed.file.as_ref(), Some(&path));
    assert!(!path.parent().unwrap().exists());
    assert!(place.home.models().exists());
    assert!(registry.models().unwrap().is_empty());
    assert!(matches!(
        remove_model(&registry, &place.home, "m"),
        Err(Error::UnknownName { .. })
    ));
}

#[test]
fn a_file_that_is_not_ours_or_still_used_stays() {
    let place = Place::new();
    let registry = place.registry();
    let outside = place.folder.path().join("mine.gguf");
    std::fs::write(&outside, "base").unwrap();
    let shared = file(&place, "models/m/m.gguf");
    registry
        .add_model(&model("outside", outside.clone()))
        .unwrap();
    registry.add_model(&model("one", shared.clone())).unwrap();
    registry.add_model(&model("two", shared.clone())).unwrap();
    for (name, path) in [("outside", &outside), ("one", &shared)] {
        assert_eq!(
            remove_model(&registry, &place.home, name).unwrap().file,
            None
        );
        assert!(path.exists());
    }
    assert_eq!(
        remove_model(&registry, &place.home, "two").unwrap().file,
        Some(shared)
    );
}

#[test]
fn a_base_stays_while_adapters_belong_to_it_alone() {
    let place = Place::new();
    let registry = place.registry();
    let path = file(&place, "adapters/a.gguf");
    registry
        .add_model(&model("m", file(&place, "models/m/m.gguf")))
        .unwrap();
    registry.add_adapter(&adapter("a", path.clone())).unwrap();
    let error = remove_model(&registry, &place.home, "m").unwrap_err();
    assert!(
        matches!(&error, Error::InUse { users, .. } if *users == ["a"]),
        "{error}"
    );
    assert!(registry.model("m").is_ok());
    // The same content under another name serves the adapter as well.
    registry
        .add_model(&model("copy", file(&place, "models/copy/m.gguf")))
        .unwrap();
    remove_model(&registry, &place.home, "m").unwrap();
    assert!(remove_model(&registry, &place.home, "copy").is_err());
    let removed = remove_adapter(&registry, &place.home, "a").unwrap();
    assert_eq!(removed.file, Some(path));
    assert!(place.home.adapters().exists());
    remove_model(&registry, &place.home, "copy").unwrap();
}
