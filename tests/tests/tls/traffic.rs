//! Pushes and pulls over both protocols.

use std::sync::Arc;

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Tls;
use crate::connection::config;

/// A connection of either protocol.
enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn open(tls: &Tls, protocol: &str) -> Result<Self> {
        let config = config(&tls.authority.trust(), &[protocol])?;
        let server = tls.server.address();
        let stream = TcpStream::connect(server).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = TokioIo::new(connector.connect(server.ip().into(), stream).await?);
        if protocol == "h2" {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            return Ok(Self::Two(sender));
        }
        let (sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(Self::One(sender))
    }

    /// Sends a request, and gives status, the header asked for, and body.
    async fn send(
        &mut self,
        method: &str,
        path: &str,
        header: (&str, &str),
        body: &[u8],
    ) -> Result<(u16, Option<String>, Bytes)> {
        let request = Request::builder().method(method).header(header.0, header.1);
        let body = Full::from(body.to_vec());
        let answer = match self {
            Self::One(sender) => {
                let request = request.uri(path).header("Host", "registry.test").body(body)?;
                // The body of the answer before was read; the connection may learn so a little later.
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Two(sender) => {
                let uri = format!("https://registry.test{path}");
                sender.send_request(request.uri(uri).body(body)?).await?
            }
        };
        let location = answer.headers().get("Location").and_then(|value| value.to_str().ok());
        let (status, location) = (answer.status().as_u16(), location.map(str::to_owned));
        Ok((status, location, answer.into_body().collect().await?.to_bytes()))
    }
}

const NONE: (&str, &str) = ("X-None", "-");

/// Pushes a blob in chunks, reads it, and reads a part of it.
async fn round_trip(mut sender: Sender, blob: Blob) -> Result<()> {
    let (status, session, _) = sender.send("POST", "/v2/app/blobs/uploads/", NONE, b"").await?;
    let session = session.unwrap_or_default();
    ensure!(status == 202 && session.starts_with("/v2/"), "{status} {session}");
    let (first, rest) = blob.bytes.split_at(blob.bytes.len() / 2);
    let (status, ..) = sender.send("PATCH", &session, NONE, first).await?;
    ensure!(status == 202, "{status}");
    let end = format!("{session}?digest={}", blob.digest);
    let (status, ..) = sender.send("PUT", &end, NONE, rest).await?;
    ensure!(status == 201, "{status}");
    let path = format!("/v2/app/blobs/{}", blob.digest);
    let (status, _, body) = sender.send("GET", &path, NONE, b"").await?;
    ensure!(status == 200 && body == blob.bytes, "{status}, {} bytes", body.len());
    let range = ("Range", "bytes=100000-2000000");
    let (status, _, body) = sender.send("GET", &path, range, b"").await?;
    ensure!(status == 206 && body == blob.bytes[100_000..=2_000_000], "{status}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn blobs_are_pushed_and_pulled_whole_over_both_protocols_and_many_connections() -> Result<()> {
    let tls = Tls::start(&[])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        for protocol in ["http/1.1", "h2"] {
            let mut trips = Vec::new();
            for seed in 0..8 {
                let sender = Sender::open(&tls, protocol).await?;
                let blob = Blob::random(seed + u64::from(protocol == "h2") * 100, 12_345_678);
                trips.push(tokio::spawn(round_trip(sender, blob)));
            }
            for trip in trips {
                trip.await??;
            }
        }
        anyhow::Ok(())
    })?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn streams_of_one_connection_push_and_pull_at_once() -> Result<()> {
    let tls = Tls::start(&[])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let Sender::Two(sender) = Sender::open(&tls, "h2").await? else {
            anyhow::bail!("HTTP/2 was not chosen");
        };
        let trips = (0..8).map(|seed| {
            let blob = Blob::random(seed, 5_000_000);
            tokio::spawn(round_trip(Sender::Two(sender.clone()), blob))
        });
        for trip in trips.collect::<Vec<_>>() {
            trip.await??;
        }
        anyhow::Ok(())
    })?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_connection_of_http_2_without_requests_is_closed() -> Result<()> {
    let tls = Tls::start(&[("REGISTRY_HTTP_LIMITS_IDLETIMEOUT", "1s")])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let Sender::Two(mut sender) = Sender::open(&tls, "h2").await? else {
            anyhow::bail!("HTTP/2 was not chosen");
        };
        sender.ready().await?;
        let closed = async {
            while !sender.is_closed() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), closed).await?;
        anyhow::Ok(())
    })?;
    tls.server.stop()
}
