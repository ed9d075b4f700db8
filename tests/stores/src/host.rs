//! Servers of our own: a thread with a runtime, so that they run beside blocking and asynchronous tests alike.

use std::future::Future;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::program::loopback;
use crate::tls::{Certificate, TlsListener};

/// A server that ends, with all its connections, with its value.
#[derive(Debug)]
pub(crate) struct Host {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Runs `serve` with a listener on a free port.
    pub(crate) fn start<S, F>(serve: S) -> Result<Self>
    where
        S: FnOnce(TcpListener) -> F + Send + 'static,
        F: Future<Output = ()>,
    {
        let listener = std::net::TcpListener::bind(loopback(0)).context("cannot listen")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Answers every request with what `answer` makes of it.
    pub(crate) fn serve<A, F>(answer: A) -> Result<Self>
    where
        A: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::start(|listener| async move {
            // It ends with the thread only.
            let _ = axum::serve(listener, Router::new().fallback(answer)).await;
        })
    }

    /// The same over TLS.
    pub(crate) fn serve_tls<A, F>(certificate: &Certificate, answer: A) -> Result<Self>
    where
        A: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let acceptor = certificate.acceptor()?;
        Self::start(|listener| async move {
            let listener = TlsListener { listener, acceptor };
            let _ = axum::serve(listener, Router::new().fallback(answer)).await;
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An answer in plain text.
pub(crate) fn text(status: StatusCode, text: &str) -> Response<Body> {
    let mut answer = Response::new(Body::from(text.to_owned()));
    *answer.status_mut() = status;
    answer
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed there.
            let _ = thread.join();
        }
    }
}
