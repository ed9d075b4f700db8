//! Chunks that contradict themselves.

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use berth_tests::wire::{Request, patch, put};
use serde_json::json;

use crate::api::Api;

#[test]
fn a_malformed_place_of_a_chunk_is_refused_with_the_right_form() -> Result<()> {
    for api in Api::each() {
        let (blob, session) = (Blob::random(1, 10), api.begin("app")?);
        for place in [
            "",
            "0",
            "-",
            "0-",
            "-9",
            "9-0",
            "a-b",
            "+0-9",
            "0--9",
            "0-18446744073709551615",
            "99999999999999999999-99999999999999999999",
        ] {
            for request in [
                patch(&session).header("Content-Range", place).body(&*blob.bytes),
                put(format!("{session}?digest={}", blob.digest))
                    .header("Content-Range", place)
                    .body(&*blob.bytes),
            ] {
                let message = api.send(&request)?.refusal(400, "BLOB_UPLOAD_INVALID")?;
                ensure!(message.contains("<first>-<last>"), "{place}: {message}");
            }
        }
        assert_eq!(api.get(&session)?.expect(204)?.header("range")?, "0-0");
    }
    Ok(())
}

#[test]
fn a_place_may_be_written_as_http_writes_it() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 10);
        for place in ["0-9", "bytes 0-9/10", "bytes=0-9", "bytes 0-9/*"] {
            let session = api.begin("app")?;
            api.send(&patch(&session).header("Content-Range", place).body(&*blob.bytes))?
                .expect(202)?;
            api.send(&put(format!("{session}?digest={}", blob.digest)))?.expect(201)?;
        }
    }
    Ok(())
}

#[test]
fn a_body_of_another_length_than_its_place_is_refused_and_not_kept() -> Result<()> {
    for api in Api::each() {
        let (blob, session) = (Blob::random(1, 100), api.begin("app")?);
        let target = format!("{session}?digest={}", blob.digest);
        for (announced, place) in [(99u64, "0-98"), (101, "0-100"), (1, "0-0")] {
            let with_place = |request: Request| request.header("Content-Range", place);
            for request in [
                with_place(patch(&session).body(&*blob.bytes)),
                with_place(patch(&session).streamed(&*blob.bytes)),
                with_place(put(&target).body(&*blob.bytes)),
                with_place(put(&target).streamed(&*blob.bytes)),
            ] {
                let answer = api.send(&request)?;
                let detail = answer.json()?["errors"][0]["detail"].clone();
                assert_eq!(detail, json!({"announced": announced, "received": 100}));
                let message = answer.refusal(400, "SIZE_INVALID")?;
                ensure!(message.contains("100"), "{message}");
                assert_eq!(api.get(&session)?.expect(204)?.header("range")?, "0-0");
            }
        }
        api.send(&put(&target).body(&*blob.bytes))?.expect(201)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn a_repeated_chunk_after_a_refused_one_is_taken_from_where_the_session_stands() -> Result<()> {
    for api in Api::each() {
        let (blob, session) = (Blob::random(1, 1000), api.begin("app")?);
        api.send(&patch(&session).body(&blob.bytes[..400]))?.expect(202)?;
        let wrong = patch(&session).header("Content-Range", "400-999").streamed(vec![0; 500]);
        api.send(&wrong)?.refusal(400, "SIZE_INVALID")?;
        let right = patch(&session).header("Content-Range", "400-999").body(&blob.bytes[400..]);
        api.send(&right)?.expect(202)?;
        api.send(&put(format!("{session}?digest={}", blob.digest)))?.expect(201)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}
