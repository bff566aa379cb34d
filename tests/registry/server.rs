//! An HTTP server on 127.0.0.1 that can be as bad as real ones: cuts, stalls, ignores ranges, changes files.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a path answers with.
#[derive(Clone)]
pub enum Route {
    File(File),
    /// A small answer in full.
    Text(u16, String),
    Redirect(String),
}

#[derive(Clone)]
pub struct File {
    pub body: Vec<u8>,
    pub etag: Option<&'static str>,
    /// Whether `Range` is understood.
    pub ranges: bool,
    /// Whether `If-Range` is.
    pub if_range: bool,
    /// Whether `Content-Length` is sent.
    pub sized: bool,
    /// The next answers end early, after so many bytes of body each.
    pub cuts: VecDeque<usize>,
    /// Answers stop after so many bytes of body, and keep the connection.
    pub stall_after: Option<usize>,
}

impl File {
    pub fn new(body: Vec<u8>) -> Self {
        Self {
            body,
            etag: Some("\"one\""),
            ranges: true,
            if_range: true,
            sized: true,
            cuts: VecDeque::new(),
            stall_after: None,
        }
    }

    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cuts.push_back(bytes);
        self
    }

    pub fn stall_after(mut self, bytes: usize) -> Self {
        self.stall_after = Some(bytes);
        self
    }
}

/// A request that came.
#[derive(Debug, Clone, Default)]
pub struct Hit {
    pub path: String,
    pub range_from: Option<usize>,
    pub if_range: Option<String>,
    pub authorization: Option<String>,
    /// Bytes of body that were sent.
    pub sent: usize,
}

#[derive(Default)]
struct State {
    routes: HashMap<String, VecDeque<Route>>,
    hits: Vec<Hit>,
}

pub struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &state));
            }
        });
        Self { address, state }
    }

    pub fn serving(path: &str, file: File) -> Self {
        let server = Self::start();
        server.route(path, Route::File(file));
        server
    }

    /// From now on `path` answers so.
    pub fn route(&self, path: &str, route: Route) {
        self.state
            .lock()
            .unwrap()
            .routes
            .insert(path.to_owned(), [route].into());
    }

    /// `path` answers so once, before what it answers with otherwise.
    pub fn first(&self, path: &str, route: Route) {
        self.state
            .lock()
            .unwrap()
            .routes
            .entry(path.to_owned())
            .or_default()
            .push_front(route);
    }

    pub fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn hits(&self) -> Vec<Hit> {
        self.state.lock().unwrap().hits.clone()
    }

    pub fn forget_hits(&self) {
        self.state.lock().unwrap().hits.clear();
    }

    pub fn sent(&self) -> usize {
        self.hits().iter().map(|hit| hit.sent).sum()
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(hit) = read_head(&stream) else {
        return;
    };
    let (route, cut, index) = {
        let mut state = state.lock().unwrap();
        let (mut route, mut cut) = (Route::Text(404, "nothing here".to_owned()), None);
        if let Some(routes) = state.routes.get_mut(&hit.path) {
            if let Some(Route::File(file)) = routes.front_mut() {
                cut = file.cuts.pop_front();
            }
            let once = routes.len() > 1;
            route = if once {
                routes.pop_front()
            } else {
                routes.front().cloned()
            }
            .unwrap();
        }
        state.hits.push(hit.clone());
        (route, cut, state.hits.len() - 1)
    };
    let count = |bytes: usize| {
        if let Some(hit) = state.lock().unwrap().hits.get_mut(index) {
            hit.sent += bytes;
        }
    };
    // A client may well have gone: that is what some tests are about.
    let _ = match route {
        Route::Text(status, text) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n",
                text.len()
            );
            stream.write_all(format!("{head}Content-Type: text/html\r\n\r\n{text}").as_bytes())
        }
        Route::Redirect(to) => stream.write_all(
            format!(
                "HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            .as_bytes(),
        ),
        Route::File(file) => send_file(&mut stream, &file, &hit, cut, count),
    };
}

fn send_file(
    stream: &mut TcpStream,
    file: &File,
    hit: &Hit,
    cut: Option<usize>,
    count: impl Fn(usize),
) -> std::io::Result<()> {
    let same = !file.if_range
        || hit
            .if_range
            .as_deref()
            .is_none_or(|tag| Some(tag) == file.etag);
    let from = hit.range_from.filter(|_| file.ranges && same);
    let total = file.body.len();
    let mut head = match from {
        Some(from) if from >= total => {
            return stream.write_all(
                format!(
                    "HTTP/1.1 416 X\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\n\r\n"
                )
                .as_bytes(),
            );
        }
        Some(from) => format!(
            "HTTP/1.1 206 X\r\nContent-Range: bytes {from}-{}/{total}\r\n",
            total - 1
        ),
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
    };
    let body = &file.body[from.unwrap_or(0)..];
    if file.sized {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    if let Some(etag) = file.etag {
        head += &format!("ETag: {etag}\r\n");
    }
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    let end = cut
        .or(file.stall_after)
        .unwrap_or(body.len())
        .min(body.len());
    for piece in body[..end].chunks(16 * 1024) {
        stream.write_all(piece)?;
        count(piece.len());
    }
    if cut.is_none() && end < body.len() {
        std::thread::sleep(Duration::from_secs(600));
    }
    Ok(())
}

fn read_head(stream: &TcpStream) -> Option<Hit> {
    let mut lines = BufReader::new(stream).lines();
    let mut hit = Hit {
        path: lines.next()?.ok()?.split(' ').nth(1)?.to_owned(),
        ..Hit::default()
    };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                hit.range_from = value
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok();
            }
            "if-range" => hit.if_range = Some(value.to_owned()),
            "authorization" => hit.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(hit)
}
