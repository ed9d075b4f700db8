//! Every way there is to push a blob.

use anyhow::{Result, ensure};
use berth_tests::content::{Blob, sha512};
use berth_tests::wire::{Answer, patch, post, put};

use crate::api::Api;

/// Around the sizes at which the registry buffers, hashes and syncs differently.
const SIZES: [usize; 6] = [0, 1, 32 * 1024, 64 * 1024 + 1, 300_000, 3 << 20];

/// A way to push a blob to `app`; gives the last answer.
type Push = fn(&Api, &Blob) -> Result<Answer>;

const WAYS: [(&str, Push); 8] = [
    ("one POST", one_post),
    ("one streamed POST", one_streamed_post),
    ("POST and PUT", post_and_put),
    ("POST and streamed PUT, as containerd", post_and_streamed_put),
    ("POST, streamed PATCH, PUT, as docker", streamed_patch),
    ("POST, PATCH, PUT, as containers/image", whole_patch),
    ("POST, chunks, PUT", chunks),
    ("POST, chunks, PUT with the last chunk", last_chunk_in_put),
];

fn one_post(api: &Api, blob: &Blob) -> Result<Answer> {
    let target = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
    api.send(&post(target).header("Content-Type", "application/octet-stream").body(&*blob.bytes))
}

fn one_streamed_post(api: &Api, blob: &Blob) -> Result<Answer> {
    let target = format!("/v2/app/blobs/uploads?digest={}", blob.digest);
    api.send(&post(target).streamed(&*blob.bytes))
}

fn post_and_put(api: &Api, blob: &Blob) -> Result<Answer> {
    let session = api.begin("app")?;
    // Go's URL encoding writes the colon so.
    let digest = blob.digest.replace(':', "%3A");
    api.send(&put(format!("{session}?digest={digest}")).body(&*blob.bytes))
}

fn post_and_streamed_put(api: &Api, blob: &Blob) -> Result<Answer> {
    let session = api.begin("app")?;
    api.send(&put(format!("{session}?digest={}", blob.digest)).streamed(&*blob.bytes))
}

fn streamed_patch(api: &Api, blob: &Blob) -> Result<Answer> {
    let session = api.begin("app")?;
    let answer = api.send(&patch(session).streamed(&*blob.bytes))?.expect(202)?;
    assert_eq!(answer.header("range")?, range_to(blob.bytes.len()));
    api.send(&put(format!("{}?digest={}", answer.location()?, blob.digest)))
}

fn whole_patch(api: &Api, blob: &Blob) -> Result<Answer> {
    let session = api.begin("app")?;
    let answer = api.send(&patch(session).body(&*blob.bytes))?.expect(202)?;
    api.send(&put(format!("{}?digest={}", answer.location()?, blob.digest)))
}

fn chunks(api: &Api, blob: &Blob) -> Result<Answer> {
    let session = append_chunks(api, &blob.bytes)?;
    api.send(&put(format!("{session}?digest={}", blob.digest)))
}

fn last_chunk_in_put(api: &Api, blob: &Blob) -> Result<Answer> {
    let (first, last) = blob.bytes.split_at(blob.bytes.len() / 3);
    let session = append_chunks(api, first)?;
    let mut request = put(format!("{session}?digest={}", blob.digest)).body(last);
    if !last.is_empty() {
        let range = format!("{}-{}", first.len(), blob.bytes.len() - 1);
        request = request.header("Content-Range", range);
    }
    api.send(&request)
}

/// Sends bytes in four chunks with their places, and checks every answer.
fn append_chunks(api: &Api, bytes: &[u8]) -> Result<String> {
    let mut session = api.begin("app")?;
    let mut sent = 0;
    for chunk in bytes.chunks(bytes.len() / 4 + 1) {
        let last = sent + chunk.len() - 1;
        let request = patch(&session).header("Content-Range", format!("{sent}-{last}")).body(chunk);
        let answer = api.send(&request)?.expect(202)?;
        sent += chunk.len();
        assert_eq!(answer.header("range")?, range_to(sent));
        session = answer.location()?;
    }
    Ok(session)
}

/// How a session of so many bytes is told; an empty one says `0-0` because docker wants a range.
fn range_to(len: usize) -> String {
    format!("0-{}", len.saturating_sub(1))
}

#[test]
fn a_blob_of_any_size_can_be_pushed_in_every_way() -> Result<()> {
    for api in Api::each() {
        for (seed, (way, push)) in (0u64..).zip(WAYS) {
            for size in SIZES {
                println!("{way}, {size} bytes");
                let blob = Blob::random(seed, size);
                let answer = push(&api, &blob)?.expect(201)?;
                let location = format!("/v2/app/blobs/{}", blob.digest);
                assert_eq!(answer.location()?, location);
                assert_eq!(answer.header("docker-content-digest")?, blob.digest);
                api.expect_blob("app", &blob)?;
            }
        }
    }
    Ok(())
}

#[test]
fn nothing_is_left_of_a_session_but_its_blob() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        for (_, push) in WAYS {
            push(&api, &blob)?.expect(201)?;
        }
        if api.has_files() {
            let left = std::fs::read_dir(api.root()?.join("berth/uploads"))?.count();
            assert_eq!(left, 0, "files in the uploads folder");
        }
    }
    Ok(())
}

#[test]
fn a_finished_session_is_gone() -> Result<()> {
    for api in Api::each() {
        let (blob, session) = (Blob::random(1, 1000), api.begin("app")?);
        let finish = put(format!("{session}?digest={}", blob.digest)).body(&*blob.bytes);
        api.send(&finish)?.expect(201)?;
        api.get(&session)?.refusal(404, "BLOB_UPLOAD_UNKNOWN")?;
        api.send(&patch(&session).body("more"))?.refusal(404, "BLOB_UPLOAD_UNKNOWN")?;
        api.send(&finish)?.refusal(404, "BLOB_UPLOAD_UNKNOWN")?;
        api.delete(&session)?.refusal(404, "BLOB_UPLOAD_UNKNOWN")?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn a_new_session_says_all_that_clients_read() -> Result<()> {
    for api in Api::each() {
        for target in ["/v2/app/blobs/uploads/", "/v2/app/blobs/uploads"] {
            let answer = api.send(&post(target))?.expect(202)?;
            assert_eq!(answer.header("range")?, "0-0");
            assert_eq!(answer.header("content-length")?, "0");
            let (location, id) = (answer.location()?, answer.header("docker-upload-uuid")?);
            assert_eq!(location, format!("/v2/app/blobs/uploads/{id}"));
            // Parts of an object have a smallest size.
            let smallest = api.is_on_store().then_some("5242880");
            assert_eq!(answer.find("oci-chunk-min-length"), smallest);
        }
    }
    Ok(())
}

#[test]
fn a_blob_may_be_named_by_sha512_whatever_the_session_was_opened_for() -> Result<()> {
    for api in Api::each() {
        for (seed, size) in [(1, 0), (2, 5), (3, 100_000)] {
            for algorithm in
                ["", "?digest-algorithm=sha512", "?digest-algorithm=sha256", "?digest-algorithm="]
            {
                let bytes = Blob::random(seed, size).bytes;
                let digest = sha512(&bytes);
                let opened =
                    api.send(&post(format!("/v2/app/blobs/uploads/{algorithm}")))?.expect(202)?;
                let (first, last) = bytes.split_at(size / 2);
                let answer = api.send(&patch(opened.location()?).body(first))?.expect(202)?;
                let finish = put(format!("{}?digest={digest}", answer.location()?)).body(last);
                let answer = api.send(&finish)?.expect(201)?;
                assert_eq!(answer.header("docker-content-digest")?, digest);
                let back = api.get(&format!("/v2/app/blobs/{digest}"))?.expect(200)?;
                ensure!(back.body == bytes, "{digest} came back changed");
            }
        }
        let bytes = Blob::random(4, 1000).bytes;
        let target = format!("/v2/app/blobs/uploads/?digest={}", sha512(&bytes));
        api.send(&post(target).body(bytes))?.expect(201)?;
    }
    Ok(())
}

#[test]
fn a_session_for_sha512_can_end_with_sha256() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 100_000);
        let opened =
            api.send(&post("/v2/app/blobs/uploads/?digest-algorithm=sha512"))?.expect(202)?;
        let answer = api.send(&patch(opened.location()?).body(&*blob.bytes))?.expect(202)?;
        api.send(&put(format!("{}?digest={}", answer.location()?, blob.digest)))?.expect(201)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn one_blob_has_two_names_and_each_is_read_by_its_own() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("app", &blob)?;
        let other = format!("/v2/app/blobs/{}", sha512(&blob.bytes));
        api.get(&other)?.refusal(404, "BLOB_UNKNOWN")?;
    }
    Ok(())
}

#[test]
fn pushing_a_blob_again_is_no_error() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        for (_, push) in WAYS {
            push(&api, &blob)?.expect(201)?;
            api.expect_blob("app", &blob)?;
        }
    }
    Ok(())
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        let target = format!("/v2/app/blobs/uploads/?digest={}", blob.digest);
        let request = post(target).header("Expect", "100-continue").body(&*blob.bytes);
        let mut connection = api.connect()?;
        connection.write(&request.head())?;
        connection.answer(false)?.expect(100)?;
        connection.write(&request.framed_body())?;
        connection.answer(false)?.expect(201)?;
    }
    Ok(())
}
