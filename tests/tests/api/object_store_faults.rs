//! The bad days of an object store: nothing that was acknowledged is lost, and no wrong byte is served.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::proxy::Kind;
use berth_test_stores::{Azurite, Fault, FaultProxy, Gcs, Oss};
use berth_tests::content::{Blob, Random};
use berth_tests::wait;
use berth_tests::wire::{self, get, patch, put};
use tempfile::TempDir;

use crate::api::Api;
use crate::object_store::{STREAMED, push, start};

/// A registry, and the way between it and its store.
struct Way {
    driver: &'static str,
    api: Api,
    proxy: FaultProxy,
    _server: Box<dyn std::any::Any>,
}

/// One way to a store of each protocol.
fn each() -> Result<Vec<Way>> {
    Ok(vec![s3()?, azure()?, gcs()?, oss()?])
}

fn s3() -> Result<Way> {
    let (api, proxy) = start(STREAMED)?;
    Ok(Way { driver: "s3", api, proxy, _server: Box::new(()) })
}

fn azure() -> Result<Way> {
    let server = Azurite::start()?;
    let proxy = FaultProxy::start(server.endpoint())?;
    // The account is in the path.
    let (_, account) = server.endpoint().rsplit_once('/').context("no account")?;
    let endpoint = format!("{}/{account}", proxy.endpoint());
    let settings = [
        ("ENDPOINT", &*endpoint),
        ("ACCOUNTNAME", server.account()),
        ("ACCOUNTKEY", server.key()),
        ("CONTAINER", server.container()),
    ];
    let api = over("azure", &settings)?;
    Ok(Way { driver: "azure", api, proxy, _server: Box::new(server) })
}

fn gcs() -> Result<Way> {
    let server = Gcs::start()?;
    let proxy = FaultProxy::start(&server.endpoint())?;
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("key.json");
    fs::write(&key, server.service_account())?;
    let (endpoint, key) = (proxy.endpoint(), key.display().to_string());
    let settings = [("ENDPOINT", &*endpoint), ("BUCKET", server.bucket()), ("KEYFILE", &key)];
    let api = over("gcs", &settings)?;
    Ok(Way { driver: "gcs", api, proxy, _server: Box::new((server, folder)) })
}

fn oss() -> Result<Way> {
    let server = Oss::start()?;
    let proxy = FaultProxy::start(&server.endpoint())?;
    let endpoint = proxy.endpoint();
    let settings = [
        ("ENDPOINT", &*endpoint),
        ("REGION", server.region()),
        ("BUCKET", server.bucket()),
        ("ACCESSKEYID", server.access_key()),
        ("ACCESSKEYSECRET", server.secret_key()),
    ];
    let api = over("oss", &settings)?;
    Ok(Way { driver: "oss", api, proxy, _server: Box::new(server) })
}

fn over(driver: &'static str, settings: &[(&str, &str)]) -> Result<Api> {
    let prefix = format!("REGISTRY_STORAGE_{}", driver.to_uppercase());
    let own = [("CHUNKSIZE", "5MiB"), ("TIMEOUT", "2s")];
    let mut all = vec![
        ("REGISTRY_STORAGE".to_owned(), driver.to_owned()),
        ("REGISTRY_STORAGE_REDIRECT_DISABLE".to_owned(), "true".to_owned()),
        ("REGISTRY_HEALTH_STORAGEDRIVER_ENABLED".to_owned(), "false".to_owned()),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED".to_owned(), "false".to_owned()),
    ];
    all.extend(
        settings
            .iter()
            .chain(&own)
            .map(|(key, value)| (format!("{prefix}_{key}"), (*value).to_owned())),
    );
    Api::on_store(all)
}

#[test]
fn a_stream_that_breaks_or_stalls_is_taken_up_again() -> Result<()> {
    for Way { driver, api, proxy, _server } in each()? {
        let blob = Blob::random(1, 3 << 20);
        push(&api, &blob)?.expect(201)?;
        for fault in [
            Fault::Cut(1 << 20),
            Fault::Truncate(100_000),
            Fault::Stall(1 << 20),
            Fault::Status(503),
            Fault::Refuse,
        ] {
            proxy.next_of(Kind::Get, fault.clone(), 1);
            api.expect_blob("app", &blob).with_context(|| format!("{driver}: {fault:?}"))?;
            assert_eq!(proxy.pending(), 0, "{driver}: {fault:?} was met");
        }
    }
    Ok(())
}

#[test]
fn wrong_bytes_are_never_a_complete_answer() -> Result<()> {
    for Way { driver, api, proxy, _server } in each()? {
        let blob = Blob::random(1, 1 << 20);
        push(&api, &blob)?.expect(201)?;
        proxy.next_of(Kind::Get, Fault::Flip(500_000), 1);
        let mut connection = api.connect()?;
        connection.write(&get(format!("/v2/app/blobs/{}", blob.digest)).head())?;
        let received = connection.until_closed()?;
        let head = received.windows(4).position(|four| four == b"\r\n\r\n").context("no head")?;
        let body = received.len() - head - 4;
        ensure!(
            body < 1 << 20,
            "{driver}: {body} bytes of a damaged blob were sent as if they were good"
        );
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

/// Too few bytes for a part go back and forth between two requests.
#[test]
fn no_blob_is_made_of_a_rest_that_comes_back_wrong() -> Result<()> {
    for Way { driver, api, proxy, _server } in each()? {
        let blob = Blob::random(1, 100_000);
        let (first, last) = blob.bytes.split_at(70_000);
        let session = api.begin("app")?;
        let next = api.send(&patch(session).body(first))?.expect(202)?.location()?;
        proxy.next_of(Kind::Get, Fault::Flip(50_000), 1);
        let finish = put(next).with_query(&format!("digest={}", blob.digest)).body(last);
        api.send(&finish)?.expect(503).context(driver)?;
        assert_eq!(proxy.pending(), 0, "{driver}: the rest was read");
        api.send(&finish)?.expect(201).context(driver)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn a_push_outlives_what_the_store_gets_wrong() -> Result<()> {
    let faults = [
        (Kind::Part, Fault::Status(503)),
        (Kind::Part, Fault::Status(500)),
        (Kind::Part, Fault::CutUpload(100_000)),
        (Kind::Part, Fault::LoseAnswer),
        (Kind::Part, Fault::Stall(0)),
        (Kind::Initiate, Fault::Status(503)),
        (Kind::Complete, Fault::Status(500)),
        (Kind::Complete, Fault::LoseAnswer),
        (Kind::Complete, Fault::Stall(0)),
    ];
    for Way { driver, api, proxy, _server } in each()? {
        // The blocks of Azure need no beginning.
        let met = |kind: Kind| !(driver == "azure" && kind == Kind::Initiate);
        for (seed, (kind, fault)) in (0..).zip(&faults).filter(|(_, (kind, _))| met(*kind)) {
            let blob = Blob::random(seed, 12 << 20);
            proxy.next_of(*kind, fault.clone(), 1);
            let pushed = push(&api, &blob)?.expect(201);
            pushed.with_context(|| format!("{driver}: {kind:?} {fault:?}"))?;
            api.expect_blob("app", &blob)?;
            assert_eq!(proxy.pending(), 0, "{driver}: {kind:?} {fault:?} was met");
        }
    }
    Ok(())
}

#[test]
fn a_conflict_where_all_may_be_written_over_passes() -> Result<()> {
    for Way { driver, api, proxy, _server } in [s3()?, azure()?, gcs()?] {
        let blob = Blob::random(1, 1000);
        proxy.next_of(Kind::Put, Fault::Status(409), 2);
        push_whole(&api, &blob)?.expect(201).context(driver)?;
        api.expect_blob("app", &blob)?;
        assert_eq!(proxy.pending(), 0, "{driver}: the conflict was met");
    }
    Ok(())
}

/// Stores that copy the parts to make the whole take longer than for any other answer.
#[test]
fn the_end_of_a_large_upload_may_take_longer_than_another_answer() -> Result<()> {
    for Way { driver, api, proxy, _server } in [s3()?, gcs()?, oss()?] {
        let blob = Blob::random(1, 100 << 20);
        proxy.next_of(Kind::Complete, Fault::Late(Duration::from_millis(2500)), 1);
        push(&api, &blob)?.expect(201).context(driver)?;
        assert_eq!(proxy.pending(), 0, "{driver}: the answer came late");
        let ends =
            proxy.requests().iter().filter(|request| request.kind() == Kind::Complete).count();
        assert_eq!(ends, 1, "{driver}: the store was asked again, although it was at it");
    }
    Ok(())
}

#[test]
fn while_the_store_is_down_blobs_are_told_to_wait_and_manifests_are_served() -> Result<()> {
    let (api, proxy) = start(STREAMED)?;
    let manifest = api.push_image("app", "latest", 1)?;
    let old = Blob::random(8, 1000);
    push_whole(&api, &old)?.expect(201)?;
    proxy.next(Fault::Refuse, 1_000_000);
    let blob = Blob::random(9, 1000);
    for _ in 0..6 {
        let answer = push_whole(&api, &blob)?.expect(503)?;
        answer.header("retry-after")?;
    }
    // It is not asked any more for a while, so the answer comes at once.
    let asked = proxy.requests().len();
    push_whole(&api, &blob)?.expect(503)?;
    api.get(&format!("/v2/app/blobs/{}", old.digest))?.expect(503)?.header("retry-after")?;
    assert_eq!(proxy.requests().len(), asked);
    api.get(&format!("/v2/app/manifests/{}", manifest.digest))?.expect(200)?;
    api.get("/v2/app/manifests/latest")?.expect(200)?;
    proxy.heal();
    wait::until("the store is asked again", || Ok(push_whole(&api, &blob)?.status == 201))?;
    api.expect_blob("app", &blob)
}

fn push_whole(api: &Api, blob: &Blob) -> Result<wire::Answer> {
    let target = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
    api.send(&wire::post(target).body(blob.bytes.clone()))
}

#[test]
fn a_slow_store_slows_no_manifest() -> Result<()> {
    let (api, proxy) = start(STREAMED)?;
    api.push_image("app", "latest", 1)?;
    proxy.clear();
    proxy.delay(Duration::from_secs(30));
    for _ in 0..100 {
        api.get("/v2/app/manifests/latest")?.expect(200)?;
    }
    assert_eq!(proxy.requests(), []);
    Ok(())
}
/// Whoever rotates the keys tells nobody.
#[test]
fn credentials_that_have_expired_are_read_anew() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("credentials");
    let access = crate::object_store::server()?;
    let write = |secret: &str| {
        let id = &access.access_key;
        fs::write(
            &path,
            format!("[default]\naws_access_key_id={id}\naws_secret_access_key={secret}\n"),
        )
    };
    write(&access.secret_key)?;
    let file = path.display().to_string();
    let more = [
        ("REGISTRY_STORAGE_S3_CREDENTIALSCONFIGPATH", &*file),
        ("REGISTRY_STORAGE_S3_ACCESSKEY", ""),
        ("REGISTRY_STORAGE_S3_SECRETKEY", ""),
        ("REGISTRY_STORAGE_REDIRECT_DISABLE", "true"),
    ];
    let (api, _proxy) = start(&more)?;
    let (old, new) = (Blob::random(1, 1000), Blob::random(2, 12 << 20));
    push(&api, &old)?.expect(201)?;
    write("no longer valid")?;
    push_whole(&api, &new)?.expect(503)?;
    api.get(&format!("/v2/app/blobs/{}", old.digest))?.expect(503)?;
    api.head(&format!("/v2/app/blobs/{}", old.digest))?.expect(200)?;
    write(&access.secret_key)?;
    api.expect_blob("app", &old)?;
    push(&api, &new)?.expect(201)?;
    api.expect_blob("app", &new)
}

/// A clock that is wrong, or a token that has run out, is no reason to hammer the store.
#[test]
fn what_the_store_denies_is_asked_once_and_told() -> Result<()> {
    for Way { driver, api, proxy, _server } in each()? {
        let blob = Blob::random(1, 1000);
        for code in ["RequestTimeTooSkewed", "ExpiredToken"] {
            let document = format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No.</Message></Error>"
            );
            proxy.clear();
            proxy.next_of(Kind::Put, Fault::Answer(403, document), 1);
            push_whole(&api, &blob)?.expect(503)?.header("retry-after")?;
            assert_eq!(proxy.count(Kind::Put), 1, "{driver}: {code}");
        }
        push_whole(&api, &blob)?.expect(201)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

/// The purge of abandoned uploads goes by what the store lists; what is listed too late or too long harms nothing.
#[test]
fn lists_that_lag_lose_no_blob() -> Result<()> {
    let more = [
        ("REGISTRY_STORAGE_REDIRECT_DISABLE", "true"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED", "true"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_GRACEPERIOD", "1ms"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_INTERVAL", "100ms"),
    ];
    let (api, proxy) = start(&more)?;
    let mut random = Random::new(1);
    let mut blobs = Vec::new();
    for round in 0..3 {
        let next: Vec<Blob> =
            (0..5).map(|_| Blob::random(random.below(1 << 32), 6 << 20)).collect();
        for blob in &next {
            push(&api, blob)?.expect(201)?;
        }
        blobs.extend(next);
        // From here on the lists are those of this moment.
        if round == 1 {
            proxy.freeze_lists();
        }
        let seen = proxy.count(Kind::List);
        wait::until(
            "the store is listed again, twice",
            || Ok(proxy.count(Kind::List) >= seen + 4),
        )?;
        for blob in &blobs {
            api.expect_blob("app", blob)?;
        }
    }
    Ok(())
}
