//! A disk without room, as a small tmpfs in a mount namespace of the test's own.
#![cfg(target_os = "linux")]

use std::process::Command;

use unforget::Error;
use unforget::registry::Home;

use crate::server::{File, Route, Server};
use crate::support::{Place, gguf, is_child, pull_watched};

const PATH: &str = "/large.gguf";
const SIZE: usize = 3_000_000;
const TEST: &str = "disk_full::a_full_disk_keeps_what_came_and_says_what_it_needs";

#[test]
fn a_full_disk_keeps_what_came_and_says_what_it_needs() {
    if is_child() {
        return with_small_disk();
    }
    let place = Place::new();
    // The mount is made inside the child: `unshare` runs the shell, the shell mounts, and becomes the test.
    let allowed = Command::new("unshare")
        .args(["-rm", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed {
        println!("SKIPPED {TEST}: this machine gives no mount namespace (unshare -rm)");
        return;
    }
    let disk = place.folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let script =
        "mount -t tmpfs -o size=2m tmpfs \"$DISK\" && exec \"$0\" --exact \"$1\" --nocapture";
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(TEST)
        .envs([
            ("DISK", disk.as_os_str()),
            ("UNFORGET_TEST_CHILD", "1".as_ref()),
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

fn with_small_disk() {
    let disk = std::path::PathBuf::from(std::env::var_os("DISK").unwrap());
    let home = Home::resolve(Some(disk.join("home"))).unwrap();
    let body = gguf(1, SIZE);
    let server = Server::serving(PATH, File::new(body.clone()));
    let request = server.address(PATH).parse().unwrap();
    let pull = || pull_watched(&home, &request, &mut |_, _| {});
    let part = home.models().join("large/large.gguf.part");

    // A size that is announced is refused before it is written.
    let Err(Error::DiskFull {
        needed_and_free: Some((needed, free)),
        ..
    }) = pull()
    else {
        panic!("not refused")
    };
    assert_eq!(needed, SIZE as u64);
    assert!(free < needed);
    assert_eq!(std::fs::metadata(&part).unwrap().len(), 0);

    // A size that is not is found out by the disk, and what came stays.
    server.route(
        PATH,
        Route::File(File {
            sized: false,
            ..File::new(body.clone())
        }),
    );
    let Err(Error::DiskFull { .. }) = pull() else {
        panic!("not refused")
    };
    let present = std::fs::metadata(&part).unwrap().len() as usize;
    assert!(present > 500_000, "{present}");

    let status = Command::new("mount")
        .args(["-o", "remount,size=16m"])
        .arg(&disk)
        .status()
        .unwrap();
    assert!(status.success());
    server.forget_hits();
    let installed = pull().unwrap();
    assert_eq!(std::fs::read(installed.model.path).unwrap(), body);
    assert_eq!(server.hits().first().unwrap().range_from, Some(present));
}
