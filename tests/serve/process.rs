//! The binary as a server on a free port of loopback, with a data folder of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common;

/// Longest that a test waits for an answer; never part of what is asserted.
const PATIENCE: Duration = Duration::from_secs(120);

/// A data folder and the server on it.
pub struct Served {
    pub folder: TempDir,
    child: Child,
    pub address: SocketAddr,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A data folder with the fetched models and, where asked for, the project's adapters.
pub fn home(adapters: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("home");
    std::fs::create_dir(&home).expect("a home");
    let registry = common::home().join("registry.db");
    std::fs::copy(registry, home.join("registry.db"))
        .expect("run `make test`, which fetches the models");
    for name in adapters {
        let peft = common::repository().join("models/adapters").join(name);
        let done = Command::new(env!("CARGO_BIN_EXE_unforget"))
            .args([
                "adapter",
                "import",
                peft.to_str().expect("UTF-8"),
                "--base",
                "smollm2",
                "--name",
                name,
            ])
            .env("UNFORGET_HOME", &home)
            .output()
            .expect("the binary runs");
        assert!(done.status.success(), "{done:?}");
    }
    folder
}

impl Served {
    pub fn start(folder: TempDir, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_unforget"))
            .args([
                "--json",
                "serve",
                "--port",
                "0",
                "-c",
                "1024",
                "--kv-tokens",
                "4096",
            ])
            .args(args)
            .env("UNFORGET_HOME", folder.path().join("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout"))
            .read_line(&mut line)
            .expect("the ready line");
        let ready: Value = serde_json::from_str(&line).expect("one JSON object when ready");
        let address = ready["address"]
            .as_str()
            .expect("an address")
            .parse()
            .expect("an address");
        Self {
            folder,
            child,
            address,
        }
    }

    /// Most memory that was ever resident.
    #[cfg(target_os = "linux")]
    pub fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.expect("a number") << 10
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.raw(format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, Some(body))
    }

    /// Sends bytes and reads until the server closes.
    pub fn raw(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect();
        // The server may have answered and closed before it has read everything.
        let _ = stream.write_all(request.as_ref());
        read(&mut stream)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(mut self) -> TempDir {
        self.child.kill().expect("it dies");
        self.child.wait().expect("it is dead");
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"))
    }

    /// Asks it to stop and returns its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let pid = self.pid().to_string();
        let asked = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill");
        assert!(asked.success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads an answer whose connection closes after it.
pub fn read(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = stream.read_to_end(&mut bytes);
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(split) = split else {
        return Reply {
            status: 0,
            head: String::from_utf8_lossy(&bytes).into_owned(),
            body: Vec::new(),
        };
    };
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let body = bytes[split + 4..].to_vec();
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    Reply {
        status: head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0),
        body: if chunked { dechunk(&body) } else { body },
        head,
    }
}

fn dechunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).ok();
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
            break;
        };
        bytes = &bytes[end + 2..];
        whole.extend_from_slice(&bytes[..size.min(bytes.len())]);
        if size == 0 || bytes.len() < size + 2 {
            break;
        }
        bytes = &bytes[size + 2..];
    }
    whole
}

/// The JSON objects of a stream; the last line has to say that it is complete.
pub fn events(text: &str) -> Vec<Value> {
    let data: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(data.last(), Some(&"[DONE]"), "{text}");
    data[..data.len() - 1]
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}
