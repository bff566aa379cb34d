//! A process killed in the middle of a download.

use std::path::PathBuf;
use std::time::Duration;

use unforget::registry::{Home, PullRequest};

use crate::server::{File, Route, Server};
use crate::support::{Place, child, gguf, is_child, pull_watched};

const PATH: &str = "/killed.gguf";
const SIZE: usize = 4_000_000;
const BEFORE: usize = 1_500_000;

#[test]
fn a_killed_pull_goes_on_at_its_byte() {
    if is_child() {
        let home = Home::resolve(std::env::var_os("TEST_HOME").map(PathBuf::from)).unwrap();
        let request: PullRequest = std::env::var("TEST_ADDRESS").unwrap().parse().unwrap();
        pull_watched(&home, &request, &mut |_, _| {}).unwrap();
        return;
    }
    let (place, body) = (Place::new(), gguf(1, SIZE));
    let server = Server::serving(PATH, File::new(body.clone()).stall_after(BEFORE));
    let mut process = child("crash::a_killed_pull_goes_on_at_its_byte")
        .env("TEST_HOME", place.home.root())
        .env("TEST_ADDRESS", server.address(PATH))
        .spawn()
        .unwrap();
    let part = place.home.models().join("killed").join("killed.gguf.part");
    while std::fs::metadata(&part).map_or(0, |metadata| metadata.len()) < BEFORE as u64 {
        assert!(
            process.try_wait().unwrap().is_none(),
            "the child ended by itself"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    process.kill().unwrap();
    assert!(!process.wait().unwrap().success());

    server.route(PATH, Route::File(File::new(body.clone())));
    server.forget_hits();
    let installed = place.pull(&server.address(PATH)).unwrap();
    assert_eq!(std::fs::read(&installed.model.path).unwrap(), body);
    assert_eq!(server.hits().first().unwrap().range_from, Some(BEFORE));
    assert_eq!(server.sent(), SIZE - BEFORE);
    assert_eq!(place.files(), [installed.model.path]);
}
