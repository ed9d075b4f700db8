//! Mounting blobs of other repositories.

use anyhow::{Result, ensure};
use berth_tests::content::{Blob, sha512};
use berth_tests::wire::{post, put};

use crate::api::Api;

fn mount(api: &Api, query: &str) -> Result<berth_tests::wire::Answer> {
    api.send(&post(format!("/v2/target/blobs/uploads/?mount={query}")))
}

#[test]
fn a_blob_is_mounted_with_and_without_its_source() -> Result<()> {
    for api in Api::each() {
        for (seed, from) in
            [(1, "&from=team/source"), (2, "&from=team%2Fsource"), (3, ""), (4, "&from=")]
        {
            let blob = Blob::random(seed, 1000);
            api.push_blob("team/source", &blob)?;
            let answer = mount(&api, &format!("{}{from}", blob.digest))?.expect(201)?;
            assert_eq!(answer.location()?, format!("/v2/target/blobs/{}", blob.digest));
            assert_eq!(answer.header("docker-content-digest")?, blob.digest);
            api.expect_blob("target", &blob)?;
        }
    }
    Ok(())
}

#[test]
fn a_mount_that_cannot_be_had_becomes_an_upload() -> Result<()> {
    for api in Api::each() {
        let (here, absent) = (Blob::random(1, 1000), Blob::random(2, 1000));
        api.push_blob("source", &here)?;
        for query in [
            format!("{}&from=source", absent.digest),
            absent.digest.clone(),
            format!("{}&from=unknown", here.digest),
            format!("{}&from=../source", here.digest),
            format!("{}&from=SOURCE", here.digest),
        ] {
            let answer = mount(&api, &query)?.expect(202)?;
            assert_eq!(answer.header("range")?, "0-0", "{query}");
            let finish = put(format!("{}?digest={}", answer.location()?, absent.digest));
            api.send(&finish.body(&*absent.bytes))?.expect(201)?;
            api.delete(&format!("/v2/target/blobs/{}", absent.digest))?.expect(202)?;
            api.get(&format!("/v2/target/blobs/{}", here.digest))?.expect(404)?;
        }
    }
    Ok(())
}

#[test]
fn the_upload_after_a_mount_of_sha512_takes_that_digest() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        let digest = sha512(&blob.bytes);
        let answer = mount(&api, &format!("{digest}&from=source"))?.expect(202)?;
        let finish = put(format!("{}?digest={digest}", answer.location()?));
        api.send(&finish.body(&*blob.bytes))?.expect(201)?;
    }
    Ok(())
}

#[test]
fn a_mounted_blob_outlives_its_source() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("source", &blob)?;
        mount(&api, &format!("{}&from=source", blob.digest))?.expect(201)?;
        api.delete(&format!("/v2/source/blobs/{}", blob.digest))?.expect(202)?;
        api.get(&format!("/v2/source/blobs/{}", blob.digest))?.expect(404)?;
        api.expect_blob("target", &blob)?;
        // What the source no longer has cannot be mounted from it, but still from anywhere.
        let from = |query: &str| {
            api.send(&post(format!("/v2/third/blobs/uploads/?mount={}{query}", blob.digest)))
        };
        from("&from=source")?.expect(202)?;
        from("")?.expect(201)?;
    }
    Ok(())
}

#[test]
fn mounting_what_is_there_already_is_no_error() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("target", &blob)?;
        for from in ["&from=target", ""] {
            mount(&api, &format!("{}{from}", blob.digest))?.expect(201)?;
        }
        api.expect_blob("target", &blob)?;
    }
    Ok(())
}

#[test]
fn a_malformed_digest_to_mount_is_told() -> Result<()> {
    let api = Api::in_memory(&[])?;
    for query in ["sha256:00&from=source", "&from=source", "md5:00"] {
        let message = mount(&api, query)?.refusal(400, "DIGEST_INVALID")?;
        ensure!(message.contains("sha256"), "{message}");
    }
    Ok(())
}
