//! Adapters that are loaded while the server runs: off unless enabled, confined to one folder, changed only by who knows
//! what is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::process::{Served, home};

/// The GGUF file that importing an adapter made.
fn imported(home: &Path, name: &str) -> PathBuf {
    let done = Command::new(env!("CARGO_BIN_EXE_unforget"))
        .args(["--json", "adapter", "inspect", name])
        .env("UNFORGET_HOME", home)
        .output()
        .expect("the binary runs");
    let report: Value = serde_json::from_slice(&done.stdout).expect("a report");
    report["path"].as_str().expect("a path").into()
}

#[test]
fn an_adapter_is_loaded_replaced_and_unloaded_by_its_content() {
    let folder = home(&["triage-gentle", "triage-careless"]);
    let loras = folder.path().join("loras");
    std::fs::create_dir(&loras).expect("a folder");
    for (name, file) in [("triage-gentle", "a.gguf"), ("triage-careless", "b.gguf")] {
        let path = imported(&folder.path().join("home"), name);
        std::fs::copy(path, loras.join(file)).expect("a copy");
    }
    std::fs::write(folder.path().join("secret.gguf"), "GGUF").expect("a file");
    let server = Served::start(folder, &["--lora-dir", loras.to_str().expect("UTF-8")]);
    let load = |fields: Value| {
        let reply = server.post("/v1/load_lora_adapter", &fields);
        (reply.status, reply.json())
    };
    let code = |(status, json): (u16, Value)| (status, json["error"]["code"].to_string());
    let named = |name: &str, path: &str| json!({ "lora_name": name, "lora_path": path });
    let conflict = (409, "\"content_conflict\"".to_owned());

    let (status, first) = load(named("mine", "a.gguf"));
    assert_eq!(status, 200, "{first}");
    assert_eq!(first["replaced"], Value::Null);
    let again = load(named("mine", "a.gguf"));
    assert_eq!(
        again.0, 200,
        "the same content again changes nothing: {}",
        again.1
    );

    // Whoever does not know what is there does not change it.
    assert_eq!(code(load(named("mine", "b.gguf"))), conflict);
    let mut wrong = named("mine", "b.gguf");
    wrong["replaces"] = json!("0".repeat(64));
    assert_eq!(code(load(wrong)), conflict);
    let mut other = named("other", "b.gguf");
    other["sha256"] = first["sha256"].clone();
    assert_eq!(code(load(other)).1, "\"content_changed\"");

    let ask = |name: &str| {
        let body = json!({ "prompt": "Triage this ticket: I cannot log in.", "max_tokens": 8, "adapter": name });
        let reply = server.post("/v1/completions", &body);
        (reply.status, reply.json())
    };
    let (status, with_first) = ask("mine");
    assert_eq!(status, 200, "{with_first}");
    let used = &with_first["unforget"]["adapters"][0];
    assert_eq!(used["sha256"], first["sha256"]);
    assert_eq!(used["state"], "quarantined");

    let mut right = named("mine", "b.gguf");
    right["replaces"] = first["sha256"].clone();
    let (status, second) = load(right);
    assert_eq!((status, &second["replaced"]), (200, &first["sha256"]));
    let (_, with_second) = ask("mine");
    let used = &with_second["unforget"]["adapters"][0];
    assert_eq!(
        used["sha256"], second["sha256"],
        "never the old one's KV or weights"
    );

    for path in ["../secret.gguf", "c.gguf", "/etc/passwd"] {
        assert_eq!(
            code(load(named("evil", path))),
            (404, "\"file_not_found\"".to_owned())
        );
    }
    let taken = load(named("triage-gentle", "b.gguf"));
    assert_eq!(code(taken), conflict, "the name of an imported adapter");

    let unload = |sha256: &Value| {
        let body = json!({ "lora_name": "mine", "sha256": sha256 });
        server.post("/v1/unload_lora_adapter", &body).status
    };
    assert_eq!(unload(&first["sha256"]), 409);
    assert_eq!(unload(&second["sha256"]), 200);
    assert_eq!(unload(&second["sha256"]), 404);
    assert_eq!(ask("mine").0, 404, "never the base in its place");
}
