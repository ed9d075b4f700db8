//! Clients that keep a registry waiting. Each limit is a setting, short here.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use berth_tests::content::{Blob, IMAGE};
use berth_tests::wire::{patch, post, put};

use crate::api::{Api, Settings};

const SHORT: Settings<'static> = &[
    ("REGISTRY_HTTP_LIMITS_HEADERTIMEOUT", "1s"),
    ("REGISTRY_HTTP_LIMITS_BODYTIMEOUT", "1s"),
    ("REGISTRY_HTTP_LIMITS_IDLETIMEOUT", "2s"),
];

#[test]
fn a_head_that_does_not_come_to_its_end_is_given_up() -> Result<()> {
    let api = Api::in_memory(SHORT)?;
    for head in ["GET /v2/ HTTP/1.1\r\nHost: x\r\n", "G", "POST /v2/a/blobs/uploads/ HTTP/1.1\r\n"]
    {
        let mut connection = api.connect()?;
        connection.write(head.as_bytes())?;
        let began = Instant::now();
        connection.until_closed()?;
        ensure!(began.elapsed() < Duration::from_secs(20), "{head:?} was waited for");
    }
    Ok(())
}

#[test]
fn a_head_that_trickles_is_given_up_too() -> Result<()> {
    let api = Api::in_memory(SHORT)?;
    let mut connection = api.connect()?;
    let began = Instant::now();
    connection.write(b"GET /v2/ HTTP/1.1\r\n")?;
    while connection.write(b"X-Slow: loris\r\n").is_ok() {
        ensure!(began.elapsed() < Duration::from_secs(20), "the connection is still open");
        // Not to wait for anything: this is how fast the client is.
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_connection_that_idles_is_closed_and_one_that_works_is_not() -> Result<()> {
    let api = Api::in_memory(SHORT)?;
    let mut connection = api.connect()?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        connection.send(&berth_tests::wire::get("/v2/"))?.expect(200)?;
        std::thread::sleep(Duration::from_millis(100));
    }
    ensure!(connection.until_closed()?.is_empty(), "an answer to no request");
    Ok(())
}

#[test]
fn a_body_that_stops_is_answered_and_the_session_keeps_what_came() -> Result<()> {
    for api in Api::each_with(SHORT) {
        let (blob, session) = (Blob::random(1, 100_000), api.begin("app")?);
        let request = patch(&session).body(&*blob.bytes);
        let mut connection = api.connect()?;
        connection.write(&request.head())?;
        connection.write(&request.framed_body()[..30_000])?;
        let message = connection.answer(false)?.refusal(408, "BLOB_UPLOAD_INVALID")?;
        ensure!(message.contains("time limit"), "{message}");
        assert_eq!(api.get(&session)?.expect(204)?.header("range")?, "0-29999");
        let rest = put(format!("{session}?digest={}", blob.digest)).body(&blob.bytes[30_000..]);
        api.send(&rest)?.expect(201)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn bodies_that_never_come_are_answered_on_every_endpoint_that_takes_one() -> Result<()> {
    for api in Api::each_with(SHORT) {
        let (blob, session) = (Blob::random(1, 1000), api.begin("app")?);
        for request in [
            post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes),
            patch(&session).streamed(&*blob.bytes),
            put(format!("{session}?digest={}", blob.digest)).body(&*blob.bytes),
            put("/v2/app/manifests/latest").header("Content-Type", IMAGE).body(&*blob.bytes),
        ] {
            let mut connection = api.connect()?;
            connection.write(&request.head())?;
            connection.answer(false)?.expect(408)?;
        }
        api.send(&put(format!("{session}?digest={}", blob.digest)).body(&*blob.bytes))?
            .expect(201)?;
    }
    Ok(())
}

#[test]
fn a_body_that_trickles_is_taken_as_long_as_it_moves() -> Result<()> {
    for api in Api::each_with(SHORT) {
        let blob = Blob::random(1, 20);
        let request =
            post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes);
        let mut connection = api.connect()?;
        connection.write(&request.head())?;
        for byte in &blob.bytes {
            std::thread::sleep(Duration::from_millis(100));
            connection.write(&[*byte])?;
        }
        connection.answer(false)?.expect(201)?;
    }
    Ok(())
}

#[test]
fn connections_over_the_limit_wait_until_there_is_room() -> Result<()> {
    let api = Api::in_memory(&[("REGISTRY_HTTP_LIMITS_CONNECTIONS", "2")])?;
    let version = berth_tests::wire::get("/v2/");
    let mut first = api.connect()?;
    let mut second = api.connect()?;
    first.send(&version)?.expect(200)?;
    second.send(&version)?.expect(200)?;
    let mut third = api.connect()?;
    third.write(&version.head())?;
    ensure!(third.is_silent_for(Duration::from_millis(300))?, "a third connection was served");
    // Those that are served are served on.
    first.send(&version)?.expect(200)?;
    drop(second);
    third.answer(false)?.expect(200)?;
    Ok(())
}
