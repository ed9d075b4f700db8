use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use berth_config::Listen;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::connection::{Peer, Serving, serve_connection};
use super::loopback::Loopback;
use super::tls::Tls;
use crate::http::App;

/// How long to wait after the system refused a connection for lack of file descriptors or memory.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// An address that is listened on.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    tls: Option<Arc<Tls>>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, Loopback),
    Unix(UnixListener),
}

impl Socket {
    fn tcp(listener: TcpListener) -> Self {
        Self::Tcp(listener, Loopback::new())
    }
}

impl Listener {
    /// Listens. A socket file that no process listens on any more is replaced.
    ///
    /// # Errors
    /// What the system said, with the address.
    pub async fn bind(listen: &Listen) -> io::Result<Self> {
        let bound = match listen {
            Listen::Tcp { host: Some(host), port } => {
                TcpListener::bind((host.as_str(), *port)).await.map(Socket::tcp)
            }
            Listen::Tcp { host: None, port } => bind_every_interface(*port).await.map(Socket::tcp),
            Listen::Unix(path) => {
                remove_abandoned_socket(path).await;
                UnixListener::bind(path).map(Socket::Unix)
            }
        };
        let socket = bound.map_err(|error| {
            let address = match listen {
                Listen::Tcp { host, port } => {
                    format!("{}:{port}", host.as_deref().unwrap_or_default())
                }
                Listen::Unix(path) => path.display().to_string(),
            };
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        Ok(Self { socket, tls: None })
    }

    /// The same, with all that is said over it encrypted.
    #[must_use]
    pub fn with_tls(self, tls: Arc<Tls>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The address as a client would write it.
    pub fn address(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener, _) => {
                listener.local_addr().map_or_else(|_| "?".to_owned(), |addr| addr.to_string())
            }
            Socket::Unix(listener) => listener
                .local_addr()
                .ok()
                .and_then(|addr| addr.as_pathname().map(|path| path.display().to_string()))
                .unwrap_or_else(|| "?".to_owned()),
        }
    }

    async fn accept(&self) -> io::Result<Peer> {
        match &self.socket {
            Socket::Tcp(listener, loopback) => {
                let (stream, remote) = listener.accept().await?;
                stream.set_nodelay(true)?;
                loopback.prepare(&stream, remote.ip());
                Ok(Peer::Tcp(stream, remote))
            }
            Socket::Unix(listener) => Ok(Peer::Unix(listener.accept().await?.0)),
        }
    }
}

/// IPv6 and IPv4 alike, where the system has IPv6.
async fn bind_every_interface(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind(("::", port)).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(("0.0.0.0", port)).await
        }
        other => other,
    }
}

async fn remove_abandoned_socket(path: &Path) {
    if path.exists() && tokio::net::UnixStream::connect(path).await.is_err() {
        // Binding tells what is wrong when this fails.
        let _ = std::fs::remove_file(path);
    }
}

/// The server of one or more listeners.
#[derive(Debug)]
pub struct Server {
    stop: CancellationToken,
    connections: TaskTracker,
    limit: Arc<Semaphore>,
}

impl Server {
    /// A server of at most `connections` connections at a time; more wait to be accepted.
    pub fn new(connections: u32) -> Self {
        Self {
            stop: CancellationToken::new(),
            connections: TaskTracker::new(),
            limit: Arc::new(Semaphore::new(connections.max(1) as usize)),
        }
    }

    /// Serves `app` on `listener` until [`Server::drain`].
    pub fn listen(&self, listener: Listener, app: Arc<App>) -> impl Future<Output = ()> + use<> {
        let (stop, connections, limit) =
            (self.stop.clone(), self.connections.clone(), self.limit.clone());
        async move {
            let serving = Serving { app, tls: listener.tls.clone(), stop: stop.clone() };
            tokio::select! {
                () = accept(listener, serving, connections, limit) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Accepts no more, lets every request that has begun come to its end, and closes the rest;
    /// false when some did not end within `limit`.
    pub async fn drain(&self, app: &App, limit: Duration) -> bool {
        self.stop.cancel();
        self.connections.close();
        let writes = &app.registry().writes;
        writes.close();
        let open = self.connections.len();
        info!(connections = open, "draining");
        let ended = async { tokio::join!(self.connections.wait(), writes.wait()) };
        tokio::time::timeout(limit, ended).await.is_ok()
    }
}

async fn accept(
    listener: Listener,
    serving: Serving,
    connections: TaskTracker,
    limit: Arc<Semaphore>,
) {
    loop {
        // The semaphore is never closed.
        let Ok(permit) = limit.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok(peer) => {
                let serving = serving.clone();
                connections.spawn(async move {
                    serve_connection(peer, serving).await;
                    drop(permit);
                });
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                warn!(%error, "cannot accept connections");
                tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
            }
        }
    }
}

/// Whether the peer went before it was accepted, which concerns nobody.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
