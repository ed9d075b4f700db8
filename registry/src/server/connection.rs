use std::convert::Infallible;
use std::future::Future;
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
use super::sendfile;
use super::streams::Streams;
use super::tls::{HandshakeError, Secured, Tls};
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

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) app: Arc<App>,
    /// How connections are encrypted, where they are.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) stop: CancellationToken,
}

/// Serves one connection until it ends, or until the request it is at ends after the stop.
pub(super) async fn serve_connection(peer: Peer, serving: Serving) {
    let open = serving.app.registry().metrics.connections.clone();
    open.inc();
    match (peer, serving.tls.clone()) {
        (Peer::Tcp(stream, remote), None) => {
            let (stream, sendfile) = sendfile::over(stream);
            let info = ConnectionInfo { sendfile, ..plain(&Some(remote)) };
            serve(stream, info, serving).await;
        }
        (Peer::Unix(stream), None) => serve(stream, plain(&None), serving).await,
        (Peer::Tcp(stream, remote), Some(tls)) => {
            Box::pin(serve_tls(stream, plain(&Some(remote)), &tls, serving)).await;
        }
        (Peer::Unix(stream), Some(tls)) => {
            Box::pin(serve_tls(stream, plain(&None), &tls, serving)).await;
        }
    }
    open.dec();
}

/// What is known of a connection without TLS.
fn plain(remote: &Option<SocketAddr>) -> ConnectionInfo {
    ConnectionInfo {
        remote: remote.map_or_else(|| "unix".to_owned(), |remote| remote.to_string()),
        ip: remote.map(|remote| remote.ip()),
        secure: false,
        certificate: None,
        sendfile: None,
    }
}

/// Serves a connection after its handshake.
async fn serve_tls<S>(stream: S, info: ConnectionInfo, tls: &Tls, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let registry = serving.app.registry();
    let limit = registry.config().http.limits.handshaketimeout.get();
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(limit, tls.accept(stream)) => handshake,
        // No request has begun.
        () = serving.stop.cancelled() => return,
    };
    let (outcome, secured) = match handshake {
        Ok(Ok(secured)) => ("done", Ok(secured)),
        Ok(Err(error @ HandshakeError::PlainHttp)) => ("plain-http", Err(error.to_string())),
        Ok(Err(error)) => ("failed", Err(error.to_string())),
        Err(_) => ("timeout", Err("http.limits.handshaketimeout".to_owned())),
    };
    registry.metrics.tls.handshake(outcome);
    match secured {
        Ok(Secured { stream, http2, certificate }) => {
            let info = ConnectionInfo { secure: true, certificate, ..info };
            match http2 {
                true => serve_http2(stream, info.into(), serving).await,
                false => serve_http1(stream, info.into(), serving).await,
            }
        }
        Err(error) => debug!(remote = %info.remote, outcome, error, "no TLS connection"),
    }
}

/// Serves a connection without TLS.
async fn serve<S>(stream: S, info: ConnectionInfo, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let http = &serving.app.registry().config().http;
    if http.h2c.enabled && !http.http2.disabled {
        // Frames of HTTP/2 are copied, so a file cannot go to the socket by itself.
        let info = ConnectionInfo { sendfile: None, ..info };
        return serve_h2c(stream, info.into(), serving).await;
    }
    serve_http1(stream, info.into(), serving).await;
}

async fn serve_http1<S>(stream: S, info: Arc<ConnectionInfo>, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Serving { app, stop, .. } = serving;
    let limits = app.registry().config().http.limits.clone();
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
    until_stopped(connection, &info, stop.cancelled()).await;
}

/// HTTP/2 over TLS.
async fn serve_http2<S>(stream: S, info: Arc<ConnectionInfo>, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Serving { app, stop, .. } = serving;
    let limits = app.registry().config().http.limits.clone();
    let streams = Streams::new();
    let service = service_fn(|request| {
        let (app, info, stream) = (app.clone(), info.clone(), streams.begin());
        async move {
            let response = app.answer(request, info).await;
            Ok::<_, Infallible>(response.map(|body| stream.sending(body)))
        }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(H2_WINDOW)
        .initial_connection_window_size(H2_WINDOW)
        .keep_alive_interval(Some(H2_PING));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let idle = limits.idletimeout.get();
    let ends = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = streams.idle(idle) => {}
        }
    };
    tokio::select! {
        () = until_stopped(connection, &info, ends) => {}
        () = streams.stalled(limits.bodytimeout.get()) => {
            debug!(remote = %info.remote, "connection given up: its client takes nothing");
        }
        // It was asked to end, and does not.
        () = streams.idle(idle + limits.headertimeout.get()) => {}
    }
}

/// HTTP/2 without TLS, for proxies that speak it, beside HTTP/1.
async fn serve_h2c<S>(stream: S, info: Arc<ConnectionInfo>, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Serving { app, stop, .. } = serving;
    let config = app.registry().config();
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
    until_stopped(connection, &info, stop.cancelled()).await;
}

/// Drives a connection to its end; after `stop`, to the end of the requests that it is at.
async fn until_stopped<C>(connection: C, info: &ConnectionInfo, stop: impl Future<Output = ()>)
where
    C: GracefulConnection<Error: std::fmt::Display>,
{
    let driven = async {
        tokio::pin!(connection);
        tokio::select! {
            result = &mut connection => result,
            () = stop => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = Repoll::new(std::pin::pin!(driven)).await {
        debug!(remote = %info.remote, %error, "connection ended");
    }
}
