//! Pulling from an address.

use std::path::Path;

use unforget::Error;
use unforget::engine::ContentHash;
use unforget::registry::{ModelKind, Phase, PullRequest};
use unforget_quant::gguf::{Metadata, Writer};

use crate::server::{File, Route, Server};
use crate::support::{Place, catalog, gguf};

const PATH: &str = "/dir/a%20model.gguf?x=1";
const SIZE: usize = 3_000_000;

fn request(server: &Server) -> PullRequest {
    server.address(PATH).parse().unwrap()
}

#[test]
fn a_file_arrives_whole_and_is_registered() {
    let (place, body) = (Place::new(), gguf(1, SIZE));
    let server = Server::serving(PATH, File::new(body.clone()));
    let installed = place.pull(&server.address(PATH)).unwrap();
    assert!(!installed.already);
    assert_eq!(installed.model.name, "a-model");
    assert_eq!(installed.model.sha256, ContentHash::of(&body));
    assert_eq!(std::fs::read(&installed.model.path).unwrap(), body);
    assert_eq!(
        place.files(),
        std::slice::from_ref(&installed.model.path),
        "nothing else stays"
    );
    assert_eq!(
        place.registry().model("a-model").unwrap().bytes,
        SIZE as u64
    );
}

#[test]
fn a_second_pull_does_not_touch_the_network() {
    let place = Place::new();
    let server = Server::serving(PATH, File::new(gguf(1, SIZE)));
    place.pull_request(&request(&server)).unwrap();
    server.forget_hits();
    let again = place.pull_request(&request(&server)).unwrap();
    assert!(again.already);
    assert_eq!(server.hits().len(), 0);
}

#[test]
fn an_installed_file_that_was_changed_is_pulled_again() {
    let (place, body) = (Place::new(), gguf(1, SIZE));
    let server = Server::serving(PATH, File::new(body.clone()));
    let path = place.pull_request(&request(&server)).unwrap().model.path;
    for change in [gguf(2, SIZE), gguf(1, SIZE / 2)] {
        std::fs::write(&path, change).unwrap();
        assert!(!place.pull_request(&request(&server)).unwrap().already);
        assert_eq!(std::fs::read(&path).unwrap(), body);
    }
}

#[test]
fn a_cut_connection_is_resumed_at_its_byte() {
    let (place, body) = (Place::new(), gguf(1, SIZE));
    let server = Server::serving(
        PATH,
        File::new(body.clone())
            .cut_after(1_000_001)
            .cut_after(500_000),
    );
    let installed = place.pull_request(&request(&server)).unwrap();
    assert_eq!(std::fs::read(installed.model.path).unwrap(), body);
    let hits = server.hits();
    assert_eq!(
        hits.iter().map(|hit| hit.range_from).collect::<Vec<_>>(),
        [None, Some(1_000_001), Some(1_500_001)]
    );
    assert!(
        hits.iter()
            .skip(1)
            .all(|hit| hit.if_range.as_deref() == Some("\"one\""))
    );
    assert_eq!(server.sent(), SIZE, "no byte was sent twice");
}

/// Cancels after a third, and returns how many bytes are in the part.
fn interrupt(place: &Place, server: &Server) -> usize {
    let third = (SIZE / 3) as u64;
    let stopped = place.pull_until(&request(server), |progress| progress.done >= third);
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    assert!(place.registry().models().unwrap().is_empty());
    let part = place
        .files()
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "part"))
        .unwrap();
    server.forget_hits();
    std::fs::metadata(part).unwrap().len() as usize
}

#[test]
fn a_cancelled_pull_goes_on_at_its_byte() {
    let (place, body) = (Place::new(), gguf(1, SIZE));
    let server = Server::serving(PATH, File::new(body.clone()));
    let present = interrupt(&place, &server);
    assert!(present >= SIZE / 3);
    let installed = place.pull_request(&request(&server)).unwrap();
    assert_eq!(std::fs::read(installed.model.path).unwrap(), body);
    assert_eq!(server.hits().first().unwrap().range_from, Some(present));
    assert_eq!(server.sent(), SIZE - present);
}

#[test]
fn a_silent_server_does_not_hold_up_a_cancel() {
    let place = Place::new();
    let server = Server::serving(PATH, File::new(gguf(1, SIZE)).stall_after(SIZE / 2));
    assert!(interrupt(&place, &server) <= SIZE / 2);
}

#[test]
fn two_editions_are_never_joined() {
    let new = gguf(2, SIZE);
    let edition = |etag, if_range| File {
        etag,
        if_range,
        ..File::new(new.clone())
    };
    let servers = [
        // Answers 200 to the outdated If-Range.
        edition(Some("\"two\""), true),
        // Sends the range of another edition all the same, and says so, or does not.
        edition(Some("\"two\""), false),
        edition(None, false),
        // Has no tag any more that could be compared.
        edition(Some("W/\"weak\""), true),
    ];
    for file in servers {
        let place = Place::new();
        let server = Server::serving(PATH, File::new(gguf(1, SIZE)));
        interrupt(&place, &server);
        server.route(PATH, Route::File(file));
        let installed = place.pull_request(&request(&server)).unwrap();
        assert_eq!(std::fs::read(installed.model.path).unwrap(), new);
    }
}

#[test]
fn a_file_that_became_shorter_is_fetched_from_the_start() {
    let (place, new) = (Place::new(), gguf(2, SIZE / 10));
    let server = Server::serving(PATH, File::new(gguf(1, SIZE)));
    interrupt(&place, &server);
    server.route(
        PATH,
        Route::File(File {
            if_range: false,
            ..File::new(new.clone())
        }),
    );
    let installed = place.pull_request(&request(&server)).unwrap();
    assert_eq!(std::fs::read(installed.model.path).unwrap(), new);
}

#[test]
fn servers_without_ranges_or_tags_start_over() {
    for file in [
        File {
            ranges: false,
            ..File::new(gguf(1, SIZE))
        },
        File {
            etag: None,
            ..File::new(gguf(1, SIZE))
        },
    ] {
        let (place, body) = (Place::new(), file.body.clone());
        let server = Server::serving(PATH, file);
        interrupt(&place, &server);
        let installed = place.pull_request(&request(&server)).unwrap();
        assert_eq!(std::fs::read(installed.model.path).unwrap(), body);
        assert_eq!(server.sent(), SIZE);
    }
}

#[test]
fn a_wrong_checksum_installs_nothing() {
    let place = Place::new();
    let server = Server::serving(PATH, File::new(gguf(1, SIZE)));
    let wanted = ContentHash::of(b"something else");
    let address = format!("{}#sha256={wanted}", server.address(PATH));
    let Err(Error::Checksum {
        expected, found, ..
    }) = place.pull(&address)
    else {
        panic!("installed")
    };
    assert_eq!(
        (expected, found),
        (
            wanted.to_string(),
            ContentHash::of(&gguf(1, SIZE)).to_string()
        )
    );
    assert!(place.files().is_empty(), "{:?}", place.files());
    assert!(place.registry().models().unwrap().is_empty());
}

#[test]
fn a_right_checksum_installs() {
    let (place, body) = (Place::new(), gguf(1, SIZE));
    let server = Server::serving(PATH, File::new(body.clone()));
    let address = format!("{}#sha256={}", server.address(PATH), ContentHash::of(&body));
    assert!(!place.pull(&address).unwrap().already);
    assert!(place.pull(&address).unwrap().already);
}

#[test]
fn a_page_instead_of_a_model_is_refused() {
    let place = Place::new();
    let server = Server::serving(PATH, File::new(b"<html>please log in</html>".to_vec()));
    let message = place
        .pull_request(&request(&server))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("not a GGUF file") && message.contains("<htm"),
        "{message}"
    );
    assert!(place.files().is_empty());
}

#[test]
fn passing_failures_are_tried_again_and_final_ones_are_not() {
    let place = Place::new();
    let server = Server::serving(PATH, File::new(gguf(1, SIZE)));
    server.first(PATH, Route::Text(503, "busy".into()));
    place.pull_request(&request(&server)).unwrap();
    assert_eq!(server.hits().len(), 2);

    for (status, advice) in [(404, "check the spelling"), (401, "HF_TOKEN"), (418, "418")] {
        let (place, server) = (Place::new(), Server::start());
        server.route(PATH, Route::Text(status, String::new()));
        let message = place
            .pull_request(&request(&server))
            .unwrap_err()
            .to_string();
        assert!(message.contains(advice), "{message}");
        assert_eq!(server.hits().len(), 1, "{status}");
    }
}

#[test]
fn a_server_that_never_works_is_given_up_on() {
    let place = Place::new();
    let server = Server::start();
    server.route(PATH, Route::Text(500, String::new()));
    let message = place
        .pull_request(&request(&server))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("status 500, 5 times in a row"),
        "{message}"
    );
    assert_eq!(server.hits().len(), 5);
}

#[test]
fn redirects_are_followed_and_loops_are_not() {
    let place = Place::new();
    let server = Server::serving("/storage", File::new(gguf(1, SIZE)));
    server.route(PATH, Route::Redirect(server.address("/storage")));
    place.pull_request(&request(&server)).unwrap();

    server.route("/loop.gguf", Route::Redirect(server.address("/loop.gguf")));
    let message = place
        .pull(&server.address("/loop.gguf"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("redirects"), "{message}");
}

fn entry(server: &Server, bytes: usize, hash: ContentHash) -> PullRequest {
    let address = server.address(PATH);
    let text = format!(
        "[one]\nkind = \"base\"\ndefault = true\ndescription = \"-\"\nlicence = \"MIT\"\n\
         [[one.files]]\nname = \"one.gguf\"\nbytes = {bytes}\nsha256 = \"{hash}\"\nurl = \"{address}\"\n"
    );
    PullRequest::parse("one", &catalog(&text)).unwrap()
}

#[test]
fn the_size_in_the_catalog_is_a_limit() {
    let (place, body) = (Place::new(), gguf(1, SIZE));
    let hash = ContentHash::of(&body);
    for sized in [true, false] {
        let server = Server::serving(
            PATH,
            File {
                sized,
                ..File::new(body.clone())
            },
        );
        let message = place
            .pull_request(&entry(&server, SIZE - 1, hash))
            .unwrap_err()
            .to_string();
        assert!(message.contains(&(SIZE - 1).to_string()), "{message}");
        let model = place
            .pull_request(&entry(&server, SIZE, hash))
            .unwrap()
            .model;
        assert_eq!(
            (model.name.as_str(), model.licence.as_deref()),
            ("one", Some("MIT"))
        );
        std::fs::remove_file(model.path).unwrap();
    }
}

#[test]
fn a_new_edition_of_a_catalog_entry_replaces_the_old_one() {
    let (place, old, new) = (Place::new(), gguf(1, SIZE), gguf(2, SIZE));
    let server = Server::serving(PATH, File::new(old.clone()));
    place
        .pull_request(&entry(&server, SIZE, ContentHash::of(&old)))
        .unwrap();
    server.route(PATH, Route::File(File::new(new.clone())));
    let model = place
        .pull_request(&entry(&server, SIZE, ContentHash::of(&new)))
        .unwrap()
        .model;
    assert_eq!(model.sha256, ContentHash::of(&new));
    assert_eq!(std::fs::read(model.path).unwrap(), new);
}

#[test]
fn after_the_loss_of_the_database_a_verified_file_is_not_fetched_again() {
    let (place, body) = (Place::new(), gguf(1, SIZE));
    let server = Server::serving(PATH, File::new(body.clone()));
    let request = entry(&server, SIZE, ContentHash::of(&body));
    place.pull_request(&request).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", place.home.registry_db().display()));
    }
    server.forget_hits();
    assert_eq!(place.pull_request(&request).unwrap().model.name, "one");
    assert_eq!(server.hits().len(), 0);
}

#[test]
fn a_name_is_not_taken_away() {
    let place = Place::new();
    let server = Server::serving(PATH, File::new(gguf(1, SIZE)));
    server.route(
        "/other/a%20model.gguf",
        Route::File(File::new(gguf(2, SIZE))),
    );
    place.pull_request(&request(&server)).unwrap();
    let other: PullRequest = server.address("/other/a%20model.gguf").parse().unwrap();
    let message = place.pull_request(&other).unwrap_err().to_string();
    assert!(
        message.contains("a-model") && message.contains("give another one"),
        "{message}"
    );
    let model = place
        .pull_request(&other.named("b").unwrap())
        .unwrap()
        .model;
    assert_eq!(model.sha256, ContentHash::of(&gguf(2, SIZE)));
    assert_eq!(place.registry().models().unwrap().len(), 2);
}

#[test]
fn two_pulls_at_once_fetch_once() {
    let place = Place::new();
    let server = Server::serving(PATH, File::new(gguf(1, SIZE)));
    std::thread::scope(|scope| {
        let pulls = [(); 2]
            .map(|()| scope.spawn(|| place.pull_request(&request(&server)).unwrap().already));
        let mut already = pulls.map(|pull| pull.join().unwrap());
        already.sort_unstable();
        assert_eq!(already, [false, true]);
    });
    assert_eq!(server.sent(), SIZE);
}

#[test]
fn progress_grows_to_the_total() {
    let place = Place::new();
    let server = Server::serving(PATH, File::new(gguf(1, SIZE)));
    let mut seen = Vec::new();
    crate::support::pull_watched(&place.home, &request(&server), &mut |progress, _| {
        seen.push(progress);
    })
    .unwrap();
    let fetched: Vec<_> = seen
        .iter()
        .filter(|progress| progress.phase == Phase::Fetching)
        .collect();
    assert!(fetched.is_sorted_by_key(|progress| progress.done));
    let last = fetched.last().unwrap();
    assert_eq!((last.done, last.total), (SIZE as u64, Some(SIZE as u64)));
}

#[test]
fn a_local_file_is_registered_in_place() {
    let place = Place::new();
    let path = place.folder.path().join("mine.gguf");
    write_gguf(&path, "llama", "one");
    let text = path.to_str().unwrap();
    let installed = place.pull(text).unwrap();
    assert_eq!(installed.model.path, path.canonicalize().unwrap());
    assert!(place.files().is_empty(), "nothing is copied");
    assert!(place.pull(text).unwrap().already);

    write_gguf(&path, "bert", "two");
    let changed = place.pull(text).unwrap();
    let content = std::fs::read(&path).unwrap();
    assert_eq!(
        (changed.already, changed.model.sha256),
        (false, ContentHash::of(&content))
    );
    assert_eq!(
        (changed.model.kind, changed.model.architecture.as_deref()),
        (ModelKind::Embedder, Some("bert"))
    );

    std::fs::write(place.folder.path().join("no.gguf"), b"hello").unwrap();
    assert!(
        place
            .pull(place.folder.path().join("no.gguf").to_str().unwrap())
            .is_err()
    );
    assert!(
        place
            .pull(place.folder.path().join("gone.gguf").to_str().unwrap())
            .is_err()
    );
    assert!(place.pull(place.folder.path().to_str().unwrap()).is_err());
}

/// A sound GGUF without tensors.
fn write_gguf(path: &Path, architecture: &str, name: &str) {
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", architecture);
    metadata.set("general.name", name);
    Writer::new(metadata).write(path).unwrap();
}
