//! What operators see: health, metrics and the access log.

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use berth_tests::wait;
use berth_tests::wire::{get, patch, post};

use crate::api::Api;
use crate::faulty_store::{Fault, Faults};

#[test]
fn health_is_told_where_orchestrators_ask() -> Result<()> {
    for api in Api::each() {
        for target in ["/healthz", "/livez", "/readyz"] {
            assert_eq!(api.get(target)?.expect(200)?.body, b"ok\n", "{target}");
            api.head(target)?.expect(200)?;
        }
        let text = api.get("/")?.expect(200)?.body;
        ensure!(String::from_utf8(text)?.contains("/v2/"), "the front page says where the API is");
    }
    Ok(())
}

#[test]
fn a_registry_whose_storage_fails_is_alive_but_not_ready() -> Result<()> {
    let api = Api::on_files(&[
        ("REGISTRY_HEALTH_STORAGEDRIVER_INTERVAL", "20ms"),
        ("REGISTRY_HEALTH_STORAGEDRIVER_THRESHOLD", "2"),
    ])?;
    api.get("/readyz")?.expect(200)?;
    let (uploads, away) = (api.root()?.join("berth/uploads"), api.root()?.join("berth/away"));
    std::fs::rename(&uploads, &away)?;
    wait::until("it is not ready", || Ok(api.get("/readyz")?.status == 503))?;
    api.get("/readyz")?.refusal(503, "UNAVAILABLE")?;
    api.get("/healthz")?.expect(200)?;
    std::fs::rename(&away, &uploads)?;
    wait::until("it is ready again", || Ok(api.get("/readyz")?.status == 200))
}

#[test]
fn metrics_count_what_was_done() -> Result<()> {
    let api = Api::in_memory(&[])?;
    let answer = api.get("/metrics")?.expect(200)?;
    ensure!(
        answer.header("content-type")?.starts_with("application/openmetrics-text"),
        "{answer:?}"
    );
    api.push_image("app", "1", 1)?;
    for _ in 0..3 {
        api.get("/v2/app/manifests/1")?.expect(200)?;
        api.get("/v2/app/manifests/2")?.expect(404)?;
    }
    api.get("/v2/APP/manifests/1")?.expect(400)?;
    for (series, expected) in [
        ("berth_http_requests_total{action=\"manifest_read\",status=\"200\"}", 3.0),
        ("berth_http_requests_total{action=\"manifest_read\",status=\"404\"}", 3.0),
        ("berth_http_requests_total{action=\"manifest_put\",status=\"201\"}", 1.0),
        ("berth_http_requests_total{action=\"malformed\",status=\"400\"}", 1.0),
        ("berth_http_request_duration_seconds_count{action=\"manifest_read\"}", 6.0),
        // The request that asks is the one in flight.
        ("berth_http_in_flight", 1.0),
    ] {
        assert_eq!(api.metric(series)?, Some(expected), "{series}");
    }
    let received = api.received_bytes()?;
    ensure!(received > 1100.0, "{received} bytes were received");
    ensure!(api.get("/metrics")?.body.ends_with(b"# EOF\n"), "OpenMetrics end so");

    let idle = [api.connect()?, api.connect()?];
    wait::until("open connections are counted", || {
        Ok(api.metric("berth_http_connections")? == Some(3.0))
    })?;
    drop(idle);
    wait::until("closed ones are not", || Ok(api.metric("berth_http_connections")? == Some(1.0)))
}

#[test]
fn every_request_is_a_line_in_the_access_log() -> Result<()> {
    let api = Api::in_memory(&[])?;
    let blob = Blob::random(1, 1000);
    api.send(
        &get("/v2/").header("X-Request-ID", "the-id").header("User-Agent", "a \"client\"\t1.0"),
    )?
    .expect(200)?;
    api.send(&post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes))?
        .expect(201)?;
    api.get(&format!("/v2/app/blobs/{}", blob.digest))?.expect(200)?;
    api.get("/v2/none/tags/list?n=1")?.expect(404)?;
    api.get("/v2/a\"b/tags/list")?.expect(400)?;
    let log = api.stop_and_read_log()?;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 5, "{log}");
    for (line, parts) in lines.iter().zip([
        &["127.0.0.1:", "\"GET /v2/ HTTP/1.1\" 200 2 ", "\"a \\\"client\\\"\\t1.0\" the-id "][..],
        &["\"POST /v2/app/blobs/uploads/?digest=sha256:", "HTTP/1.1\" 201 0 "],
        &["\"GET /v2/app/blobs/sha256:", "HTTP/1.1\" 200 1000 "],
        &["\"GET /v2/none/tags/list?n=1 HTTP/1.1\" 404 "],
        // A quotation mark in the target ends no field.
        &["\"GET /v2/a%22b/tags/list HTTP/1.1\" 400 "],
    ]) {
        for part in parts {
            ensure!(line.contains(part), "{part:?} is not in {line}");
        }
    }
    Ok(())
}

#[test]
fn the_access_log_can_be_switched_off_while_it_runs() -> Result<()> {
    let api = Api::in_memory(&[])?;
    api.get("/v2/")?.expect(200)?;
    api.reload(&[("REGISTRY_LOG_ACCESSLOG_DISABLED", "true")])?;
    api.get("/v2/secret/tags/list")?.expect(404)?;
    let log = api.stop_and_read_log()?;
    assert_eq!(log.lines().count(), 1, "{log}");
    Ok(())
}

#[test]
fn a_request_whose_client_goes_before_the_answer_is_counted_and_logged_and_done() -> Result<()> {
    let faults = Faults::new();
    let api = Api::over(&faults, false)?;
    let (blob, session) = (Blob::random(1, 100), api.begin("app")?);
    let request = patch(&session).body(&*blob.bytes);
    faults.set(Some(Fault::HoldLate));
    let mut connection = api.connect()?;
    connection.write(&[request.head(), request.framed_body()].concat())?;
    wait::until("the request is under way", || Ok(faults.somebody_waits()))?;
    drop(connection);
    wait::until("nothing is in flight", || Ok(api.metric("berth_http_in_flight")? == Some(1.0)))?;
    let series = "berth_http_requests_total{action=\"abandoned\",status=\"499\"}";
    assert_eq!(api.metric(series)?, Some(1.0));
    // What it began runs to its end all the same.
    faults.let_go_on();
    wait::until("the chunk is stored", || Ok(api.get(&session)?.header("range")? == "0-99"))?;
    let log = api.stop_and_read_log()?;
    let line = log.lines().find(|line| line.contains("\"PATCH "));
    ensure!(line.is_some_and(|line| line.contains("\" 499 0 ")), "{log}");
    Ok(())
}
