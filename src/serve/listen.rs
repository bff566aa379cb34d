//! Sockets: who is let in, how long they may take, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::app::App;
use super::limits::{HEAD_TIMEOUT, MAX_HEAD, MAX_HEADERS, SHUTDOWN_TIMEOUT, STALL_TIMEOUT};
use super::router::router;
use super::stall::StallTimeout;
use crate::engine::CancelToken;
use crate::error::{Error, Result};

/// How often it is looked whether the server should stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);
/// Pause after a connection could not be accepted, as when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Threads that serve connections. They read and write; computing has threads of its own.
const IO_THREADS: usize = 2;

/// A server that has its address.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where it cannot be had, such as a port that is taken; [`Error::Io`].
    pub fn bind(app: Arc<App>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .thread_name("http")
            .enable_all()
            .build()?;
        let wanted = app.options().address;
        let listener = runtime
            .block_on(TcpListener::bind(wanted))
            .map_err(|error| Error::InvalidArgument {
                what: "address",
                value: wanted.to_string(),
                expected: format!("one that can be listened at ({error}); choose another --port"),
            })?;
        Ok(Self {
            address: listener.local_addr()?,
            app,
            runtime,
            listener,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`. Then nobody new is let in, and what is under way is finished, for half a minute at most.
    ///
    /// # Errors
    /// None at present: what goes wrong with a connection ends that connection.
    pub fn run(self, stop: &CancelToken) -> Result<()> {
        let app = self.app;
        self.runtime.block_on(serve(self.listener, &app, stop));
        // What still computes has nobody who listens.
        app.scheduler().abort();
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(())
    }
}

async fn serve(listener: TcpListener, app: &Arc<App>, stop: &CancelToken) {
    let routes = TowerToHyperService::new(router(Arc::clone(app)));
    let places = Arc::new(Semaphore::new(app.options().limits.max_connections));
    let (end, ended) = watch::channel(());
    loop {
        let accepted = tokio::select! {
            () = stopped(stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            Ok((stream, _)) => {
                // Beyond the limit a connection is closed unanswered: an answer would cost what is short.
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    continue;
                };
                let (routes, ended) = (routes.clone(), ended.clone());
                tokio::spawn(async move {
                    connection(stream, routes, ended).await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    drop(ended);
    // Connections finish what they have; the last one drops its end of the channel.
    let _ = end.send(());
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, end.closed()).await;
}

async fn stopped(stop: &CancelToken) {
    while !stop.is_cancelled() {
        tokio::time::sleep(STOP_INTERVAL).await;
    }
}

async fn connection(
    stream: TcpStream,
    routes: TowerToHyperService<axum::Router>,
    mut ended: watch::Receiver<()>,
) {
    // Tokens are small; waiting to fill a packet would hold them back.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(StallTimeout::new(stream, STALL_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(io, routes);
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off is no error of ours.
        _ = connection.as_mut() => return,
        _ = ended.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
