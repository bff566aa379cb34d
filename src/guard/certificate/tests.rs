use super::super::budget::Budget;
use super::super::sample;
use super::*;

fn body() -> Body {
    sample::body()
}

fn key() -> SecretKey {
    SecretKey::generate().unwrap()
}

#[track_caller]
fn refused(text: &str, trusted: Option<&PublicKey>, words: &str) {
    let error = Certificate::verify(text, trusted).expect_err("refused");
    assert_eq!(error.kind(), crate::ErrorKind::Rejected);
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn what_was_sealed_verifies_and_says_the_same() {
    let key = key();
    for key in [None, Some(&key)] {
        let sealed = Certificate::seal(&body(), key).unwrap();
        let read =
            Certificate::verify(&sealed.to_json(), key.map(SecretKey::public).as_ref()).unwrap();
        assert_eq!(read, sealed);
        assert_eq!(read.signer(), key.map(SecretKey::public));
        assert_eq!(read.body().outcome.verdict, body().outcome.verdict);
        assert_eq!(read.body().base, body().base);
    }
}

#[test]
fn layout_does_not_matter_but_content_does() {
    let sealed = Certificate::seal(&body(), Some(&key())).unwrap();
    let compact = sealed.file.to_string();
    assert_eq!(
        Certificate::verify(&compact, None).unwrap().id(),
        sealed.id()
    );
    let other = Body {
        max_scale: 1.25,
        ..body()
    };
    assert_ne!(Certificate::seal(&other, None).unwrap().id(), sealed.id());
}

#[test]
fn a_change_is_named() {
    let text = Certificate::seal(&body(), Some(&key())).unwrap().to_json();
    refused(
        &text.replace("\"max_scale\": 1.0", "\"max_scale\": 1.5"),
        None,
        "changed since it was made: max_scale;",
    );
    let other = ContentHash::of(b"another base").to_string();
    refused(
        &text.replace(&body().base.sha256.to_string(), &other),
        None,
        "base;",
    );
    refused(
        &text.replace("\"verdict\": \"fail\"", "\"verdict\": \"pass\""),
        None,
        "outcome.groups, outcome.verdict",
    );
    refused(&text.replace("\"max_scale\": 1.0,", ""), None, "max_scale;");
    refused(
        &text.replace("\"max_scale\": 1.0,", "\"max_scale\": 1.0, \"more\": 1,"),
        None,
        "more;",
    );
}

/// A forger who recomputes the hashes still has no key.
#[test]
fn a_change_with_new_hashes_breaks_the_signature() {
    let mut file = Certificate::seal(&body(), Some(&key())).unwrap().file;
    let forged = Body {
        max_scale: 9.0,
        ..body()
    };
    let forged = Certificate::seal(&forged, None).unwrap().file;
    for part in ["body", "parts", "id"] {
        file[part] = forged[part].clone();
    }
    refused(&file.to_string(), None, "signature does not belong");
    file["id"] = ContentHash::of(b"").to_string().into();
    refused(&file.to_string(), None, "its id is");
}

#[test]
fn the_wrong_signer_or_none() {
    let (mine, other) = (key(), key());
    let signed = Certificate::seal(&body(), Some(&other)).unwrap().to_json();
    refused(&signed, Some(&mine.public()), "not by");
    let bare = Certificate::seal(&body(), None).unwrap().to_json();
    refused(&bare, Some(&mine.public()), "not signed");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let text = Certificate::seal(&body(), None).unwrap().to_json();
    refused("", None, "not JSON");
    refused("{}", None, "not of format");
    refused("[1]", None, "not of format");
    refused(
        &text.replace("\"version\": 1", "\"version\": 2"),
        None,
        "version 2",
    );
    refused(&text.replace("\"body\"", "\"bodies\""), None, "no body");
    refused(&text.replace("\"parts\"", "\"part\""), None, "parts");
    refused(&text[..text.len() / 2], None, "not JSON");
    let endless = Body {
        max_scale: f64::NAN,
        ..body()
    };
    assert!(Certificate::seal(&endless, None).is_err());
    let mut broken = body();
    broken.outcome.seconds = f64::INFINITY;
    assert!(Certificate::seal(&broken, None).is_err());
}

#[test]
fn it_covers_what_was_measured_and_nothing_else() {
    let mut body = body();
    body.outcome.verdict = Verdict::Pass;
    let certificate = Certificate::seal(&body, None).unwrap();
    let sha256 = body.adapters[0].sha256;
    let at = |scale: f64, profile: &str| UsedAdapter {
        sha256,
        scale,
        profile: profile.parse().unwrap(),
    };
    let base = body.base.sha256;
    let covers = |used: UsedAdapter| {
        certificate.check_covers(&Use {
            base,
            adapters: &[used],
        })
    };
    covers(at(1.0, "flat")).unwrap();
    covers(at(0.0, "lines")).unwrap();
    let refused = |wanted: Use<'_>, words: &str| {
        let error = certificate.check_covers(&wanted).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let other = ContentHash::of(b"other");
    covers(at(0.1 + 0.2 + 0.7 + f64::EPSILON, "flat")).unwrap();
    for scale in [1.1, -0.1, f64::NAN] {
        let error = covers(at(scale, "flat")).unwrap_err().to_string();
        assert!(error.contains("from 0 to 1"), "{error}");
    }
    let error = covers(at(0.5, "lines")).unwrap_err().to_string();
    assert!(error.contains("profile flat, not lines:0"), "{error}");
    let exact = [at(1.0, "flat")];
    let exact = Use {
        base,
        adapters: &exact,
    };
    refused(
        Use {
            base: other,
            ..exact.clone()
        },
        "the base was",
    );
    refused(
        Use {
            adapters: &[UsedAdapter {
                sha256: other,
                ..at(1.0, "flat")
            }],
            ..exact.clone()
        },
        "not",
    );
    refused(
        Use {
            adapters: &[],
            ..exact.clone()
        },
        "it is about adapter",
    );
    body.outcome.verdict = Verdict::Undecided;
    let open = Certificate::seal(&body, None).unwrap();
    assert!(
        open.check_covers(&exact)
            .unwrap_err()
            .to_string()
            .contains("undecided")
    );
}

#[test]
fn it_names_the_budget_it_was_judged_by() {
    assert_eq!(body().budget_sha256, Budget::embedded().unwrap().sha256());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    /// Any one character changed: an error, or the same body (in white space, say), never another one.
    #[test]
    fn no_change_goes_unseen(place in 0..1_000_000_usize, letter in "[a-z0-9]") {
        let text = sealed_once();
        let place = place % text.len();
        if text.is_char_boundary(place) && text.is_char_boundary(place + 1) {
            let mut changed = text.to_owned();
            changed.replace_range(place..=place, &letter);
            if let Ok(read) = Certificate::verify(&changed, None) {
                let original = Certificate::verify(text, None).unwrap();
                proptest::prop_assert_eq!(read.body(), original.body());
            }
        }
    }
}

fn sealed_once() -> &'static str {
    static TEXT: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| Certificate::seal(&sample::body(), None).unwrap().to_json());
    &TEXT
}
