//! Settings that take something away: deletion, writing; and the purging of abandoned uploads.

use anyhow::{Context, Result, ensure};
use berth_tests::content::{Blob, Manifest};
use berth_tests::wait;
use berth_tests::wire::{Request, patch, post, put};

use crate::api::Api;

const READ_ONLY: (&str, &str) = ("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true");
const NO_DELETE: (&str, &str) = ("REGISTRY_STORAGE_DELETE_ENABLED", "false");

#[test]
fn with_deletion_off_nothing_is_deleted_and_the_setting_is_named() -> Result<()> {
    for api in Api::each_with(&[NO_DELETE]) {
        let manifest = api.push_image("app", "1", 1)?;
        let blob = Blob::random(2, 100);
        for target in [
            "/v2/app/manifests/1".to_owned(),
            format!("/v2/app/manifests/{}", manifest.digest),
            format!("/v2/app/blobs/{}", blob.digest),
            "/v2/app/manifests/unknown".to_owned(),
        ] {
            let message = api.delete(&target)?.refusal(405, "UNSUPPORTED")?;
            ensure!(message.contains("REGISTRY_STORAGE_DELETE_ENABLED"), "{message}");
        }
        api.get("/v2/app/manifests/1")?.expect(200)?;
        api.expect_blob("app", &blob)?;
        // A client may still cancel what it began.
        let session = api.begin("app")?;
        api.delete(&session)?.expect(204)?;
    }
    Ok(())
}

#[test]
fn deletion_is_off_unless_it_is_switched_on() -> Result<()> {
    let api = Api::in_memory(&[("REGISTRY_STORAGE_DELETE_ENABLED", "")])?;
    api.push_image("app", "1", 1)?;
    api.delete("/v2/app/manifests/1")?.refusal(405, "UNSUPPORTED")?;
    Ok(())
}

#[test]
fn read_only_mode_comes_and_goes_without_a_restart() -> Result<()> {
    for api in Api::each() {
        let manifest = api.push_image("app", "1", 1)?;
        let (blob, session) = (Blob::random(9, 100), api.begin("app")?);
        api.send(&patch(&session).body(&blob.bytes[..50]))?.expect(202)?;
        let finish = put(format!("{session}?digest={}", blob.digest)).body(&blob.bytes[50..]);
        api.reload(&[READ_ONLY])?;
        for request in [
            post("/v2/app/blobs/uploads/"),
            post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes),
            post(format!(
                "/v2/other/blobs/uploads/?mount={}&from=app",
                Blob::random(2, 100).digest
            )),
            patch(&session).body(&blob.bytes[50..]),
            finish.clone(),
            put("/v2/app/manifests/2")
                .header("Content-Type", &manifest.media_type)
                .body(&*manifest.bytes),
            Request::new("DELETE", "/v2/app/manifests/1"),
            Request::new("DELETE", format!("/v2/app/blobs/{}", Blob::random(2, 100).digest)),
        ] {
            let message = api
                .send(&request)?
                .refusal(405, "UNSUPPORTED")
                .with_context(|| format!("{request:?}"))?;
            ensure!(message.contains("read-only"), "{message}");
        }
        api.get("/v2/app/manifests/1")?.expect(200)?;
        api.get("/v2/app/tags/list")?.expect(200)?;
        api.get(&session)?.expect(204)?;
        api.reload(&[])?;
        api.send(&finish)?.expect(201)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn abandoned_uploads_are_purged_with_their_bytes() -> Result<()> {
    let api = Api::on_files(&[])?;
    let (old, blob) = (api.begin("app")?, Blob::random(1, 1000));
    api.send(&patch(&old).body(&*blob.bytes))?.expect(202)?;
    let orphan = api.root()?.join("berth/uploads/0190b5a4-7c1e-4000-8000-000000000000");
    std::fs::write(&orphan, "bytes of a request that died")?;
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 60 * 60);
    std::fs::File::options().write(true).open(&orphan)?.set_modified(long_ago)?;

    let api = api.restart(&[
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_DRYRUN", "true"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "1ms"),
    ])?;
    api.get(&old)?.expect(204)?;
    let api = api.restart(&[
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED", "false"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "1ms"),
    ])?;
    api.get(&old)?.expect(204)?;
    // Young enough.
    let api = api.restart(&[("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "1h")])?;
    wait::until("what a dead process left is gone", || Ok(!orphan.try_exists()?))?;
    api.get(&old)?.expect(204)?;

    let api = api.restart(&[
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "1ms"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_INTERVAL", "20ms"),
    ])?;
    wait::until("the old session is gone", || Ok(api.get(&old)?.status == 404))?;
    let uploads = api.root()?.join("berth/uploads");
    wait::until("its bytes are given back", || Ok(std::fs::read_dir(&uploads)?.count() == 0))?;
    // A later round finds what was abandoned later.
    let young = api.begin("app")?;
    wait::until("the next session is gone too", || Ok(api.get(&young)?.status == 404))?;
    Ok(())
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() -> Result<()> {
    let api = Api::on_files(&[])?;
    let manifest = api.push_image("team/app", "1", 1)?;
    let index = Manifest::index(&[&manifest]);
    api.push_manifest("team/app", "many", &index)?.expect(201)?;
    api.push_image("team/app", "gone", 2)?;
    api.delete("/v2/team/app/manifests/gone")?.expect(202)?;
    let api = api.restart(&[])?;
    assert_eq!(api.get("/v2/team/app/manifests/1")?.expect(200)?.body, manifest.bytes);
    assert_eq!(api.get("/v2/team/app/manifests/many")?.expect(200)?.body, index.bytes);
    api.get("/v2/team/app/manifests/gone")?.expect(404)?;
    api.expect_blob("team/app", &Blob::random(2, 100))
}
