use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::deadline::{Deadlines, Phase, Watched};
use super::repoll::Repoll;
use super::sendfile::{SendfileConnection, SendfileStream};
use crate::http::{App, ConnectionInfo};

/// The most that a connection buffers of what its client sends. Also the size of the pieces that
/// a body comes in.
const READ_BUFFER: usize = 64 * 1024;

/// The flow-control windows of HTTP/2: one upload may have this much under way, whatever the
/// distance.
const H2_WINDOW: u32 = 8 << 20;

/// How often a quiet HTTP/2 peer is asked whether it is still there.
const H2_PING: Duration = Duration::from_secs(30);

/// Whoever connected.
pub(super) enum Peer {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// Serves one connection until it ends, or until the request it is at ends after `stop`.
pub(super) async fn serve_connection(peer: Peer, app: Arc<App>, stop: CancellationToken) {
    let open = app.registry().metrics.connections.clone();
    open.inc();
    match peer {
        Peer::Tcp(stream, remote) => {
            let sendfile = SendfileConnection::default();
            let stream = SendfileStream::new(stream, sendfile.clone());
            let info = ConnectionInfo {
                remote: remote.to_string(),
                ip: Some(remote.ip()),
                sendfile: Some(sendfile),
            };
            serve(stream, info, app, stop).await;
        }
        Peer::Unix(stream) => {
            let info = ConnectionInfo { remote: "unix".to_owned(), ip: None, sendfile: None };
            serve(stream, info, app, stop).await;
        }
    }
    open.dec();
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    info: ConnectionInfo,
    app: Arc<App>,
    stop: CancellationToken,
) {
    let config = app.registry().config();
    let info = Arc::new(info);
    if config.http.h2c.enabled && !config.http.http2.disabled {
        return serve_h2c(stream, info, app, stop).await;
    }
    let phase = Arc::new(Phase::default());
    let service = service_fn(|request| {
        let (app, info, phase) = (app.clone(), info.clone(), phase.clone());
        async move {
            phase.request_begins();
            let response = app.answer(request, info).await;
            phase.request_ends();
            Ok::<_, Infallible>(response)
        }
    });
    let limits = &config.http.limits;
    let deadlines = Deadlines {
        head: limits.headertimeout.get(),
        write: limits.bodytimeout.get(),
        idle: limits.idletimeout.get(),
    };
    let stream = Watched::new(stream, deadlines, phase.clone());
    let mut builder = hyper::server::conn::http1::Builder::new();
    // The deadlines are the stream's: hyper's own for the head runs between requests too, and
    // would cut off clients that keep a connection for their next layer.
    builder.max_buf_size(READ_BUFFER).header_read_timeout(None);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    until_stopped(connection, &info, stop).await;
}

/// HTTP/2 without TLS, for proxies that speak it, beside HTTP/1.
async fn serve_h2c(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    info: Arc<ConnectionInfo>,
    app: Arc<App>,
    stop: CancellationToken,
) {
    let config = app.registry().config();
    // Frames of HTTP/2 are copied, so a file cannot go to the socket by itself.
    let info =
        Arc::new(ConnectionInfo { remote: info.remote.clone(), ip: info.ip, sendfile: None });
    let service = service_fn(|request| {
        let (app, info) = (app.clone(), info.clone());
        async move { Ok::<_, Infallible>(app.answer(request, info).await) }
    });
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.http.limits.headertimeout.get())
        .max_buf_size(READ_BUFFER)
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(H2_WINDOW)
        .initial_connection_window_size(H2_WINDOW)
        .keep_alive_interval(Some(H2_PING));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    until_stopped(connection, &info, stop).await;
}

/// Drives a connection to its end; after `stop`, to the end of the request that it is at.
async fn until_stopped<C>(connection: C, info: &ConnectionInfo, stop: CancellationToken)
where
    C: GracefulConnection<Error: std::fmt::Display>,
{
    let driven = async {
        tokio::pin!(connection);
        tokio::select! {
            result = &mut connection => result,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = Repoll::new(std::pin::pin!(driven)).await {
        debug!(remote = %info.remote, %error, "connection ended");
    }
}
