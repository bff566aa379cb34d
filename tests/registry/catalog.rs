//! The catalog that is compiled in.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use unforget::Error;
use unforget::registry::{Catalog, ModelKind, PullRequest, Source, pull};

use crate::support::Place;

#[test]
fn the_built_in_catalog_is_valid_and_has_its_defaults() {
    let catalog = Catalog::load().unwrap();
    assert_eq!(catalog.default_base().name, "smollm2");
    assert_eq!(catalog.default_embedder().name, "minilm");
    assert_eq!(catalog.default_embedder().kind, ModelKind::Embedder);
    for entry in catalog.entries() {
        assert!(
            !entry.licence.is_empty() && !entry.description.is_empty(),
            "{}",
            entry.name
        );
        for file in &entry.files {
            let Source::Pip(members) = &file.source else {
                continue;
            };
            assert!(
                members.iter().all(|member| member.bytes > 0),
                "{}",
                entry.name
            );
        }
    }
}

#[test]
fn an_unknown_name_comes_with_the_nearest() {
    let catalog = Catalog::load().unwrap();
    let Err(Error::UnknownName { name, nearest, .. }) = catalog.find("gemma-270m") else {
        panic!("found")
    };
    assert_eq!(
        (name.as_str(), nearest.as_deref()),
        ("gemma-270m", Some("gemma3-270m"))
    );
    assert!(matches!(
        catalog.find("qqq"),
        Err(Error::UnknownName { nearest: None, .. })
    ));
}

/// Fetches every entry, 450 MB, and so checks what the catalog says of it. Conversion is played by a copy.
#[test]
#[ignore = "needs the package index; run it after a change of the catalog"]
fn every_entry_is_what_the_catalog_says() {
    let place = Place::new();
    let convert = |folder: &Path, out: &Path| {
        std::fs::copy(folder.join("model.safetensors"), out)?;
        Ok(())
    };
    for entry in Catalog::load().unwrap().entries() {
        let request: PullRequest = entry.name.parse().unwrap();
        let mut phases = Vec::new();
        let mut pull_it = || {
            let mut progress = |progress: unforget::registry::PullProgress| phases.push(progress);
            pull(
                &request,
                &place.home,
                &convert,
                &mut progress,
                &AtomicBool::new(false),
            )
            .unwrap()
        };
        let installed = pull_it();
        assert!(!installed.already && pull_it().already);
        println!("{installed:?}, {} reports", phases.len());
        let (Some(first), Some(last)) = (phases.first(), phases.last()) else {
            panic!("no progress")
        };
        println!("{first:?} .. {last:?}");
    }
    println!("{:?}", place.files());
}
