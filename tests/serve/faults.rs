//! Clients that do not behave, and ends that were not planned: every one is answered or cut, and the rest is served on.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;

use crate::process::{Served, home, read};

fn lives(server: &Served) {
    let body = json!({ "prompt": "One and one is", "max_tokens": 2 });
    assert_eq!(server.post("/v1/completions", &body).status, 200);
}

fn posted(body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

#[test]
fn bodies_that_cannot_be_read_are_answered() {
    let server = Served::start(home(&[]), &[]);
    let deep = format!("{{\"messages\": {}", "[".repeat(200_000));
    let cases: [(&[u8], u16, &str); 5] = [
        (b"{", 400, "invalid_json"),
        (b"{\"messages\": \"\xff\xfe\"}", 400, "invalid_json"),
        (deep.as_bytes(), 400, "invalid_json"),
        (b"{\"messages\": []}", 400, "invalid_value"),
        (
            b"{\"messages\": [{\"role\": \"user\"}]}",
            400,
            "invalid_value",
        ),
    ];
    for (body, status, code) in cases {
        let reply = server.raw(posted(body));
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!(reply.json()["error"]["code"], code);
    }
    // 100 MB are announced and begun.
    let mut stream = server.connect();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Connection: close\r\nContent-Length: 100000000\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("a head");
    let _ = stream.write_all(&vec![b' '; 1 << 16]);
    assert_eq!(read(&mut stream).status, 413);
    // The same without announcing it, all 100 MB if they are taken.
    let mut stream = server.connect();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("a head");
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    for _ in 0..1526 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let status = read(&mut stream).status;
    assert!(status == 413 || status == 0, "answered or cut: {status}");
    lives(&server);
}

#[test]
fn heads_and_hosts_that_are_not_welcome() {
    let server = Served::start(home(&[]), &[]);
    let flood: String = (0..5000).map(|n| format!("X-H{n}: v\r\n")).collect();
    let reply = server.raw(format!(
        "GET /health HTTP/1.1\r\nHost: localhost\r\n{flood}\r\n"
    ));
    assert!(matches!(reply.status, 0 | 400 | 431), "{reply:?}");
    let evil =
        server.raw("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(evil.status, 421);
    let plain = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(
        server.raw(plain).status,
        415,
        "what a page of another site may send"
    );
    assert_eq!(server.get("/nowhere").status, 404);
    assert_eq!(server.send("DELETE", "/health", None).status, 405);
    assert_eq!(server.send("BREW", "/health", None).status, 405);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("method=\"other\""), "{metrics}");
    assert!(
        !metrics.contains("BREW"),
        "anybody could fill them: {metrics}"
    );
    assert_eq!(
        server
            .post(
                "/v1/load_lora_adapter",
                &json!({ "lora_name": "a", "lora_path": "b" })
            )
            .status,
        403
    );
    lives(&server);
}

#[test]
fn idle_and_slow_clients_hold_nobody_up() {
    let server = Served::start(home(&[]), &[]);
    let idle: Vec<_> = (0..500).map(|_| server.connect()).collect();
    // One that reads a byte at a time.
    let mut slow = server.connect();
    let body =
        json!({ "prompt": "Once upon a time", "max_tokens": 100, "stream": true }).to_string();
    let head =
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    write!(slow, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("a request");
    let mut byte = [0u8; 1];
    for _ in 0..5 {
        slow.read_exact(&mut byte).expect("a byte");
        std::thread::sleep(Duration::from_millis(20));
    }
    lives(&server);
    drop(idle);
    lives(&server);
}

#[test]
fn more_than_it_takes_is_refused_and_a_client_that_leaves_frees_its_place() {
    let server = Served::start(home(&[]), &["--max-requests", "1"]);
    let mut first = server.connect();
    let body =
        json!({ "prompt": "Once upon a time", "max_tokens": 900, "stream": true }).to_string();
    let head =
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    write!(first, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("a request");
    let mut some = [0u8; 512];
    assert!(first.read(&mut some).expect("a beginning") > 0);
    let second = server.post("/v1/completions", &json!({ "prompt": "x" }));
    assert_eq!(second.status, 429, "{}", second.text());
    assert!(second.head.to_ascii_lowercase().contains("retry-after: "));
    drop(first);
    // Freed at the next token: a poll, not a measurement.
    let freed = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(25));
        server
            .post(
                "/v1/completions",
                &json!({ "prompt": "x", "max_tokens": 1 }),
            )
            .status
            == 200
    });
    assert!(freed, "the place of a client that left is free again");
}

#[test]
fn a_kill_under_load_loses_nothing_and_a_stop_lets_streams_finish() {
    let server = Served::start(home(&[]), &[]);
    assert_eq!(
        server
            .post("/v1/collections", &json!({ "name": "kept" }))
            .status,
        201
    );
    let put = "PUT /v1/collections/kept/files/a.md HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 29\r\n\r\nThe meeting is on a Thursday.";
    assert_eq!(server.raw(put).status, 200);
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = server.connect();
        let body = json!({ "prompt": "Once", "max_tokens": 500, "stream": true }).to_string();
        let head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("a request");
        streams.push(stream);
    }
    // And a file that is being taken in: some hundred passages to embed.
    let text = "The ferry leaves the harbour at seven in the morning. ".repeat(2000);
    let mut upload = server.connect();
    let put =
        "PUT /v1/collections/kept/files/b.md HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    write!(upload, "{put}Content-Length: {}\r\n\r\n{text}", text.len()).expect("a request");
    let mut some = [0u8; 64];
    for stream in &mut streams {
        assert!(stream.read(&mut some).expect("a beginning") > 0);
    }
    let folder = server.kill();

    let verified = std::process::Command::new(env!("CARGO_BIN_EXE_unforget"))
        .args(["docs", "verify", "--to", "kept"])
        .env("UNFORGET_HOME", folder.path().join("home"))
        .output()
        .expect("the binary runs");
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let mut again = Served::start(folder, &[]);
    let search = json!({ "query": "When is the meeting?" });
    let hits = again.post("/v1/collections/kept/search", &search).json();
    assert_eq!(hits["hits"][0]["text"], "The meeting is on a Thursday.");

    let mut stream = again.connect();
    let body =
        json!({ "prompt": "Once upon a time", "max_tokens": 60, "stream": true }).to_string();
    let head =
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("a request");
    let mut some = [0u8; 64];
    assert!(stream.read(&mut some).expect("a beginning") > 0);
    let reader = std::thread::spawn(move || {
        let mut rest = String::new();
        let _ = stream.read_to_string(&mut rest);
        rest
    });
    assert_eq!(again.terminate(), Some(0));
    let rest = reader.join().expect("the reader");
    assert!(rest.contains("[DONE]"), "the stream was finished: {rest}");
}

#[test]
fn another_address_needs_a_key_and_a_key_is_asked_for() {
    let folder = home(&[]);
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_unforget"))
        .args(["serve", "--host", "0.0.0.0", "--port", "0"])
        .env("UNFORGET_HOME", folder.path().join("home"))
        .output()
        .expect("the binary runs");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--api-key"));

    let server = Served::start(folder, &["--api-key", "s3cret"]);
    assert_eq!(server.get("/v1/models").status, 401);
    assert_eq!(server.get("/health").status, 200);
    let with_key = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer s3cret\r\n\r\n";
    assert_eq!(server.raw(with_key).status, 200);
}
