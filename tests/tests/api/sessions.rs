//! Upload sessions over time: status, resumption, order, cancellation, wrong digests, restarts.

use anyhow::{Context, Result, ensure};
use berth_tests::content::Blob;
use berth_tests::wait;
use berth_tests::wire::{Answer, Request, head, patch, put};

use crate::api::Api;

const SIZE: usize = 200_000;

/// Checks that an answer tells where the session stands, in every form that clients read.
fn stands_at(answer: &Answer, session: &str, offset: usize) -> Result<()> {
    assert_eq!(answer.header("range")?, format!("0-{}", offset.saturating_sub(1)));
    assert_eq!(answer.location()?, session);
    let id = session.rsplit('/').next().context("a session has a name")?;
    assert_eq!(answer.header("docker-upload-uuid")?, id);
    Ok(())
}

fn chunk(session: &str, first: usize, bytes: &[u8]) -> Request {
    let last = first + bytes.len() - 1;
    patch(session).header("Content-Range", format!("{first}-{last}")).body(bytes)
}

#[test]
fn a_session_tells_how_far_it_is() -> Result<()> {
    for api in Api::each() {
        let (blob, session) = (Blob::random(1, SIZE), api.begin("app")?);
        stands_at(&api.get(&session)?.expect(204)?, &session, 0)?;
        for (first, last) in [(0, 10), (10, 5000), (5000, SIZE)] {
            let answer =
                api.send(&chunk(&session, first, &blob.bytes[first..last]))?.expect(202)?;
            stands_at(&answer, &session, last)?;
            stands_at(&api.get(&session)?.expect(204)?, &session, last)?;
            stands_at(&api.send(&head(&session))?.expect(204)?, &session, last)?;
        }
    }
    Ok(())
}

#[test]
fn an_upload_goes_on_where_a_broken_connection_left_it() -> Result<()> {
    for api in Api::each() {
        let streamed: fn(&str, &[u8]) -> Request = |session, bytes| patch(session).streamed(bytes);
        let announced: fn(&str, &[u8]) -> Request = |session, bytes| patch(session).body(bytes);
        let placed: fn(&str, &[u8]) -> Request = |session, bytes| chunk(session, 0, bytes);
        for (seed, request) in (0u64..).zip([streamed, announced, placed]) {
            let (blob, session) = (Blob::random(seed, SIZE), api.begin("app")?);
            let request = request(&session, &blob.bytes);
            let (body, sent) = (request.framed_body(), 100_000);
            let mut connection = api.connect()?;
            connection.write(&request.head())?;
            connection.write(&body[..sent])?;
            drop(connection);

            // Whoever lost the connection asks and goes on.
            let mut offset = 0;
            wait::until("the session keeps what came", || {
                let status = api.get(&session)?.expect(204)?;
                let last = status
                    .header("range")?
                    .strip_prefix("0-")
                    .context("a range")?
                    .parse::<usize>()?;
                offset = last + 1;
                Ok(offset > 1)
            })?;
            // Framing takes some bytes of a streamed body.
            ensure!(offset <= sent && offset > sent - 200, "{offset} of {sent} bytes were kept");
            when_free(&api, &chunk(&session, offset, &blob.bytes[offset..]))?.expect(202)?;
            api.send(&put(format!("{session}?digest={}", blob.digest)))?.expect(201)?;
            api.expect_blob("app", &blob)?;
        }
    }
    Ok(())
}

/// Sends a request as soon as no other one writes to the session.
fn when_free(api: &Api, request: &Request) -> Result<Answer> {
    let mut answer = api.send(request)?;
    wait::until("the session is free", || {
        if answer.status == 409 {
            answer = api.send(request)?;
        }
        Ok(answer.status != 409)
    })?;
    Ok(answer)
}

#[test]
fn a_closing_put_that_breaks_off_keeps_what_came() -> Result<()> {
    for api in Api::each() {
        for kept in [0, 50_000] {
            let (blob, session) = (Blob::random(kept as u64, SIZE), api.begin("app")?);
            api.send(&patch(&session).body(&blob.bytes[..kept]))?.expect(202)?;
            let finish = put(format!("{session}?digest={}", blob.digest));
            let request = finish.clone().body(&blob.bytes[kept..]);
            let mut connection = api.connect()?;
            connection.write(&request.head())?;
            connection.write(&request.framed_body()[..100_000])?;
            drop(connection);

            let offset = kept + 100_000;
            wait::until("the session keeps what came", || {
                let status = api.get(&session)?.expect(204)?;
                Ok(status.header("range")? == format!("0-{}", offset - 1))
            })?;
            when_free(&api, &finish.body(&blob.bytes[offset..]))?.expect(201)?;
            api.expect_blob("app", &blob)?;
        }
    }
    Ok(())
}

#[test]
fn chunks_out_of_order_are_told_where_the_session_stands() -> Result<()> {
    for api in Api::each() {
        let (blob, session) = (Blob::random(1, SIZE), api.begin("app")?);
        let ahead = chunk(&session, 1, &blob.bytes[1..100]);
        for request in [ahead.clone(), as_finish(&ahead, &blob)] {
            let answer = api.send(&request)?;
            stands_at(&answer, &session, 0)?;
            answer.refusal(416, "RANGE_INVALID")?;
        }
        api.send(&chunk(&session, 0, &blob.bytes[..1000]))?.expect(202)?;
        for (what, first, last) in [
            ("again", 0, 1000),
            ("overlapping", 500, 1500),
            ("a gap", 1001, 2000),
            ("far", 100_000, 100_001),
        ] {
            let request = chunk(&session, first, &blob.bytes[first..last]);
            for request in [request.clone(), as_finish(&request, &blob)] {
                println!("{what}");
                let answer = api.send(&request)?;
                stands_at(&answer, &session, 1000)?;
                assert_eq!(answer.json()?["errors"][0]["detail"]["offset"], 1000);
                let message = answer.refusal(416, "RANGE_INVALID")?;
                ensure!(message.contains("1000"), "{message}");
            }
        }
        api.send(&chunk(&session, 1000, &blob.bytes[1000..]))?.expect(202)?;
        api.send(&put(format!("{session}?digest={}", blob.digest)))?.expect(201)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

/// The same chunk in the closing request.
fn as_finish(request: &Request, blob: &Blob) -> Request {
    request.clone().as_method("PUT").with_query(&format!("digest={}", blob.digest))
}

#[test]
fn a_wrong_digest_is_told_with_both_and_the_session_survives_it() -> Result<()> {
    for api in Api::each() {
        let (blob, other) = (Blob::random(1, SIZE), Blob::random(2, 10));
        for split in [0, 50_000, SIZE] {
            let session = api.begin("app")?;
            let (first, last) = blob.bytes.split_at(split);
            api.send(&patch(&session).body(first))?.expect(202)?;
            for _ in 0..2 {
                let wrong = put(format!("{session}?digest={}", other.digest)).body(last);
                let answer = api.send(&wrong)?;
                let detail = answer.json()?["errors"][0]["detail"].clone();
                assert_eq!(detail["expected"], other.digest);
                assert_eq!(detail["actual"], blob.digest);
                answer.refusal(400, "DIGEST_INVALID")?;
                stands_at(&api.get(&session)?.expect(204)?, &session, split)?;
            }
            api.get(&format!("/v2/app/blobs/{}", other.digest))?.expect(404)?;
            api.send(&put(format!("{session}?digest={}", blob.digest)).body(last))?.expect(201)?;
            api.expect_blob("app", &blob)?;
        }
    }
    Ok(())
}

#[test]
fn a_shorter_body_after_a_wrong_digest_is_not_completed_with_old_bytes() -> Result<()> {
    for api in Api::each() {
        let (long, short) = (Blob::random(1, SIZE), Blob::random(2, 10));
        let session = api.begin("app")?;
        let wrong = put(format!("{session}?digest={}", short.digest)).body(&*long.bytes);
        api.send(&wrong)?.refusal(400, "DIGEST_INVALID")?;
        api.send(&put(format!("{session}?digest={}", short.digest)).body(&*short.bytes))?
            .expect(201)?;
        api.expect_blob("app", &short)?;

        let (session, empty) = (api.begin("app")?, Blob::new(""));
        let wrong = put(format!("{session}?digest={}", short.digest)).body(&*long.bytes);
        api.send(&wrong)?.refusal(400, "DIGEST_INVALID")?;
        api.send(&put(format!("{session}?digest={}", empty.digest)))?.expect(201)?;
        api.expect_blob("app", &empty)?;
    }
    Ok(())
}

#[test]
fn a_wrong_digest_of_a_whole_blob_leaves_nothing() -> Result<()> {
    for api in Api::each() {
        let (blob, other) = (Blob::random(1, SIZE), Blob::random(2, 10));
        let target = format!("/v2/app/blobs/uploads/?digest={}", other.digest);
        api.send(&Request::new("POST", target).body(&*blob.bytes))?
            .refusal(400, "DIGEST_INVALID")?;
        api.get(&format!("/v2/app/blobs/{}", other.digest))?.expect(404)?;
        api.get("/v2/app/tags/list")?.refusal(404, "NAME_UNKNOWN")?;
        if api.has_files() {
            assert_eq!(std::fs::read_dir(api.root()?.join("berth/uploads"))?.count(), 0);
        }
    }
    Ok(())
}

#[test]
fn a_cancelled_session_is_gone_and_gives_back_its_space() -> Result<()> {
    for api in Api::each() {
        let (blob, session) = (Blob::random(1, SIZE), api.begin("app")?);
        api.send(&patch(&session).body(&*blob.bytes))?.expect(202)?;
        let answer = api.delete(&session)?.expect(204)?;
        assert!(answer.body.is_empty());
        for request in [
            Request::new("GET", &session),
            patch(&session).body("x"),
            put(format!("{session}?digest={}", blob.digest)),
            Request::new("DELETE", &session),
        ] {
            let message = api.send(&request)?.refusal(404, "BLOB_UPLOAD_UNKNOWN")?;
            ensure!(message.contains("start a new one"), "{message}");
        }
        if api.has_files() {
            assert_eq!(std::fs::read_dir(api.root()?.join("berth/uploads"))?.count(), 0);
        }
    }
    Ok(())
}

#[test]
fn a_session_belongs_to_its_repository() -> Result<()> {
    for api in Api::each() {
        let (blob, session) = (Blob::random(1, 100), api.begin("app")?);
        let elsewhere = session.replace("/v2/app/", "/v2/other/");
        for request in [
            Request::new("GET", &elsewhere),
            patch(&elsewhere).body("x"),
            put(format!("{elsewhere}?digest={}", blob.digest)).body(&*blob.bytes),
            Request::new("DELETE", &elsewhere),
        ] {
            api.send(&request)?.refusal(404, "BLOB_UPLOAD_UNKNOWN")?;
        }
        stands_at(&api.get(&session)?.expect(204)?, &session, 0)?;
    }
    Ok(())
}

#[test]
fn sessions_survive_a_restart_with_their_hash() -> Result<()> {
    let mut api = Api::on_files(&[])?;
    let (blob, session, fresh) = (Blob::random(1, SIZE), api.begin("app")?, api.begin("app")?);
    for step in [1, 63, 64, 5000, SIZE] {
        let stands = api.get(&session)?.expect(204)?.header("range")?.to_owned();
        let offset =
            if step == 1 { 0 } else { stands.trim_start_matches("0-").parse::<usize>()? + 1 };
        api.send(&chunk(&session, offset, &blob.bytes[offset..step]))?.expect(202)?;
        api = api.restart(&[])?;
        stands_at(&api.get(&session)?.expect(204)?, &session, step)?;
    }
    api.send(&put(format!("{session}?digest={}", blob.digest)))?.expect(201)?;
    api.expect_blob("app", &blob)?;
    let other = Blob::random(2, 10);
    api.send(&put(format!("{fresh}?digest={}", other.digest)).body(&*other.bytes))?.expect(201)?;
    let api = api.restart(&[])?;
    api.expect_blob("app", &blob)?;
    api.expect_blob("app", &other)
}
