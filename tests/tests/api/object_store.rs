//! Over an object store: what is asked of it and what is not.

use std::net::SocketAddr;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, anyhow, ensure};
use berth_test_stores::proxy::Kind;
use berth_test_stores::{FaultProxy, S3Access, VersityGateway};
use berth_tests::content::Blob;
use berth_tests::wire::{self, get, patch, put};

use crate::api::{Api, owned};

/// One server for all tests of this process; each registry has a folder of its own on it.
static SERVER: LazyLock<Result<VersityGateway, String>> =
    LazyLock::new(|| VersityGateway::start().map_err(|error| format!("{error:#}")));

pub(crate) fn server() -> Result<&'static S3Access> {
    let server = SERVER.as_ref().map_err(|error| anyhow!("{error} (cargo xtask setup)"))?;
    Ok(server.access())
}

/// The settings of a registry in a new folder of the bucket, which it reaches at `endpoint`.
pub(crate) fn settings(endpoint: &str) -> Result<Vec<(&'static str, String)>> {
    let server = server()?;
    let folder = tempfile::Builder::new().tempdir()?;
    let folder =
        folder.path().file_name().context("a temporary name")?.to_string_lossy().into_owned();
    Ok(vec![
        ("REGISTRY_STORAGE", "s3".to_owned()),
        ("REGISTRY_STORAGE_S3_REGIONENDPOINT", endpoint.to_owned()),
        ("REGISTRY_STORAGE_S3_REGION", server.region.clone()),
        ("REGISTRY_STORAGE_S3_BUCKET", server.bucket.clone()),
        ("REGISTRY_STORAGE_S3_ACCESSKEY", server.access_key.clone()),
        ("REGISTRY_STORAGE_S3_SECRETKEY", server.secret_key.clone()),
        ("REGISTRY_STORAGE_S3_ROOTDIRECTORY", folder),
        ("REGISTRY_STORAGE_S3_CHUNKSIZE", "5MiB".to_owned()),
        ("REGISTRY_STORAGE_S3_TIMEOUT", "2s".to_owned()),
        // The checks of the storage would be among the requests that are counted.
        ("REGISTRY_HEALTH_STORAGEDRIVER_ENABLED", "false".to_owned()),
    ])
}

/// A registry, and the way between it and its store. An empty value takes a setting away.
pub(crate) fn start(more: &[(&'static str, &str)]) -> Result<(Api, FaultProxy)> {
    let proxy = FaultProxy::start(&server()?.endpoint)?;
    let mut settings = settings(&proxy.endpoint())?;
    // The purge of abandoned uploads looks into the store at the start.
    settings.push(("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED", "false".to_owned()));
    for (name, value) in more {
        settings.retain(|(given, _)| given != name);
        if !value.is_empty() {
            settings.push((name, (*value).to_owned()));
        }
    }
    Ok((Api::on_store(owned(settings))?, proxy))
}

pub(crate) const STREAMED: &[(&str, &str)] = &[("REGISTRY_STORAGE_REDIRECT_DISABLE", "true")];

/// Pushes as docker does: POST, a streamed PATCH, PUT.
pub(crate) fn push(api: &Api, blob: &Blob) -> Result<wire::Answer> {
    let session = api.begin("app")?;
    let next = api.send(&patch(session).streamed(blob.bytes.clone()))?.expect(202)?.location()?;
    api.send(&put(next).with_query(&format!("digest={}", blob.digest)))
}

#[test]
fn what_the_database_knows_is_not_asked_of_the_store() -> Result<()> {
    let (api, proxy) = start(&[])?;
    let manifest = api.push_image("app", "latest", 1)?;
    let layer = Blob::random(3, 1000);
    proxy.clear();
    for target in ["/v2/app/manifests/latest", "/v2/app/tags/list", "/v2/_catalog"] {
        api.get(target)?.expect(200)?;
    }
    api.get(&format!("/v2/app/manifests/{}", manifest.digest))?.expect(200)?;
    api.head(&format!("/v2/app/blobs/{}", layer.digest))?.expect(200)?;
    api.get(&format!("/v2/app/blobs/{}", layer.digest))?.expect(307)?;
    assert_eq!(proxy.requests(), []);
    Ok(())
}

#[test]
fn each_byte_goes_up_once() -> Result<()> {
    let (api, proxy) = start(STREAMED)?;
    for (size, parts) in [(0, 0), (1000, 0), (5 << 20, 1), ((10 << 20) + 1, 2), (37 << 20, 7)] {
        let blob = Blob::random(size as u64, size);
        proxy.clear();
        push(&api, &blob)?.expect(201)?;
        let up = proxy.bytes_up();
        // The list of parts is sent too.
        ensure!((size as u64..=size as u64 + 4096).contains(&up), "{size} bytes, {up} sent");
        assert_eq!(proxy.count(Kind::Part), parts, "{size}");
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn chunks_smaller_than_a_part_wait_and_are_put_together() -> Result<()> {
    let (api, _proxy) = start(STREAMED)?;
    let blob = Blob::random(1, 16 << 20);
    let mut next = api.begin("app")?;
    let mut rest = &blob.bytes[..];
    // Smaller than a part, larger, and a last one that is smaller again.
    for len in [1000, 6 << 20, 70_000, 70_000, 5 << 20, 1] {
        let (chunk, behind) = rest.split_at(len);
        next = api.send(&patch(next).body(chunk))?.expect(202)?.location()?;
        rest = behind;
    }
    let last = put(next).with_query(&format!("digest={}", blob.digest)).body(rest);
    api.send(&last)?.expect(201)?;
    api.expect_blob("app", &blob)
}

#[test]
fn a_reader_is_sent_to_the_store_unless_it_cannot_go_there() -> Result<()> {
    let (api, proxy) = start(&[])?;
    let blob = Blob::random(1, 100_000);
    api.push_blob("app", &blob)?;
    let target = format!("/v2/app/blobs/{}", blob.digest);
    let answer = api.get(&target)?.expect(307)?;
    let address = answer.header("location")?.to_owned();
    let rest = address.strip_prefix(&proxy.endpoint()).context("another server")?;
    let store: SocketAddr = proxy.endpoint().trim_start_matches("http://").parse()?;
    // The host is signed too.
    let read = get(rest).header("Host", store);
    ensure!(wire::send(store, &read)?.expect(200)?.body == blob.bytes, "other bytes");
    assert_eq!(answer.header("docker-content-digest")?, blob.digest);

    let stays = get(&target).header("Berth-No-Redirect", "1");
    ensure!(api.send(&stays)?.expect(200)?.body == blob.bytes, "other bytes");
    let part = stays.clone().header("Range", "bytes=10-19");
    assert_eq!(api.send(&part)?.expect(206)?.body, &blob.bytes[10..20]);
    let parts = api.send(&stays.header("Range", "bytes=10-19,100-199"))?.expect(206)?;
    ensure!(parts.header("content-type")?.starts_with("multipart/byteranges"), "{parts:?}");

    let (api, _proxy) = start(&[("REGISTRY_STORAGE_REDIRECT_EXCEPT", "[127.0.0.0/8]")])?;
    api.push_blob("app", &blob)?;
    api.expect_blob("app", &blob)
}
