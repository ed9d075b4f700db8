//! HTTP/2 without TLS, as proxies speak it to what is behind them.

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::api::Api;

const H2C: (&str, &str) = ("REGISTRY_HTTP_H2C_ENABLED", "true");

async fn connect(api: &Api) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TokioIo::new(TcpStream::connect(api.address).await?);
    let (sender, connection) = handshake(TokioExecutor::new(), stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends a request to a path and gives status and body.
async fn send(
    mut sender: SendRequest<Full<Bytes>>,
    method: &str,
    path: String,
    range: Option<&str>,
    body: Vec<u8>,
) -> Result<(u16, Bytes)> {
    let mut request = Request::builder().method(method).uri(format!("http://registry.test{path}"));
    if let Some(range) = range {
        request = request.header("Range", range);
    }
    let answer = sender.send_request(request.body(Full::from(body))?).await?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

/// Pushes a blob, reads it, and reads a part of it.
async fn round_trip(sender: SendRequest<Full<Bytes>>, seed: u64) -> Result<()> {
    let blob = Blob::random(seed, 3_000_000);
    let push = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
    let (status, _) = send(sender.clone(), "POST", push, None, blob.bytes.clone()).await?;
    ensure!(status == 201, "the push was answered with {status}");
    let path = format!("/v2/app/blobs/{}", blob.digest);
    let (status, body) = send(sender.clone(), "GET", path.clone(), None, Vec::new()).await?;
    ensure!(status == 200 && body == blob.bytes, "{status}, {} bytes", body.len());
    let (status, body) =
        send(sender, "GET", path, Some("bytes=100000-2000000"), Vec::new()).await?;
    ensure!(status == 206 && body == blob.bytes[100_000..=2_000_000], "{status}");
    Ok(())
}

#[test]
fn many_streams_of_one_connection_push_and_pull_at_once() -> Result<()> {
    for api in Api::each_with(&[H2C]) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let sender = connect(&api).await?;
            let streams = (0..8).map(|seed| tokio::spawn(round_trip(sender.clone(), seed)));
            for stream in streams.collect::<Vec<_>>() {
                stream.await??;
            }
            anyhow::Ok(())
        })?;
        // Who speaks HTTP/1 is served on the same port.
        api.push_image("app", "1", 100)?;
        api.get("/v2/app/manifests/1")?.expect(200)?;
    }
    Ok(())
}

#[test]
fn the_answer_to_head_has_no_body_whatever_it_is() -> Result<()> {
    let api = Api::in_memory(&[H2C])?;
    api.push_image("app", "1", 100)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for (path, expected) in
        [("/v2/app/manifests/1", 200), ("/v2/app/manifests/2", 404), ("/v2/App/manifests/1", 400)]
    {
        let (status, body) = runtime.block_on(async {
            send(connect(&api).await?, "HEAD", path.to_owned(), None, Vec::new()).await
        })?;
        ensure!(status == expected && body.is_empty(), "{path}: {status}, {} bytes", body.len());
    }
    Ok(())
}

#[test]
fn it_is_not_spoken_unless_it_is_switched_on() -> Result<()> {
    for settings in [&[][..], &[H2C, ("REGISTRY_HTTP_HTTP2_DISABLED", "true")]] {
        let api = Api::in_memory(settings)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let answered = runtime.block_on(async {
            let sender = connect(&api).await?;
            send(sender, "GET", "/v2/".to_owned(), None, Vec::new()).await
        });
        ensure!(answered.is_err(), "answered over HTTP/2");
        api.get("/v2/")?.expect(200)?;
    }
    Ok(())
}
