//! A disk that becomes read-only, under the registry or before it starts.

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use berth_tests::disk::{Disk, remount};
use berth_tests::wire::{delete, patch, post, put};
use berth_tests::{Launch, wait};

use crate::client::Client;

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_disk_that_fails_under_the_registry_is_still_read_and_pushes_are_refused() -> Result<()> {
    let disk = Disk::ext4(24)?;
    let server = Launch::filesystem(disk.path("registry"))?
        .env("REGISTRY_HEALTH_STORAGEDRIVER_INTERVAL", "50ms")
        .env("REGISTRY_HEALTH_STORAGEDRIVER_THRESHOLD", "1")
        .start()?;
    let layer = server.push_image("app", "1", 1)?;
    let session = server.begin("app")?;
    let manifest = server.get("/v2/app/manifests/1")?.expect(200)?;
    disk.break_down()?;

    let blob = Blob::random(9, 100_000);
    for _ in 0..3 {
        for request in [
            post("/v2/app/blobs/uploads/"),
            post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes),
            patch(&session).body(&*blob.bytes),
            put(format!("{session}?digest={}", blob.digest)).body(&*blob.bytes),
            put("/v2/app/manifests/2")
                .header("Content-Type", manifest.header("content-type")?)
                .body(&*manifest.body),
            delete("/v2/app/manifests/1"),
        ] {
            let answer = server.send(&request)?;
            answer.header("retry-after")?;
            let message = answer.refusal(503, "UNAVAILABLE")?;
            ensure!(message.contains("storage"), "{message}");
        }
        server.expect_blob("app", &layer)?;
        server.registry().verify("app", "1")?;
        assert_eq!(server.registry().tags("app")?, ["1"]);
        assert_eq!(server.registry().repositories()?, ["app"]);
    }
    wait::until("it is not ready", || Ok(server.get("/readyz")?.status == 503))?;
    server.get("/healthz")?.expect(200)?;
    server.kill()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_read_only_disk_is_told_at_the_start() -> Result<()> {
    let disk = Disk::ext4(24)?;
    let launch = Launch::filesystem(disk.path("registry"))?;
    let server = launch.start()?;
    let layer = server.push_image("app", "1", 1)?;
    server.stop()?;
    remount(&disk.path(""), "ro")?;
    let Err(error) = launch.start() else { anyhow::bail!("it started on a read-only disk") };
    let told = error.to_string();
    ensure!(told.contains("exit status: 1"), "{told}");
    ensure!(told.contains("registry") && told.to_lowercase().contains("read-only"), "{told}");
    remount(&disk.path(""), "rw")?;
    let server = launch.start()?;
    server.expect_blob("app", &layer)?;
    server.stop()
}
