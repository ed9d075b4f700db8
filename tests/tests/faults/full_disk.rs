//! No space left on the disk of blobs and database.

use std::thread;

use anyhow::{Result, ensure};
use berth_tests::content::{Blob, Manifest, image};
use berth_tests::disk::Disk;
use berth_tests::wire::{Request, patch, post, put};
use berth_tests::{Launch, Server, wait};
use serde_json::json;

use crate::client::Client;

/// More than a full disk could hide in what it has allocated already.
const LARGE: usize = 2 << 20;

/// Both filesystems tell that they are full at different moments: one when bytes are written, one when they are
/// synced too.
fn disks() -> Result<[Disk; 2]> {
    Ok([Disk::tmpfs(24)?, Disk::ext4(24)?])
}

fn launch(disk: &Disk) -> Result<Launch> {
    Ok(Launch::filesystem(disk.path("registry"))?
        .env("REGISTRY_HEALTH_STORAGEDRIVER_INTERVAL", "50ms")
        .env("REGISTRY_HEALTH_STORAGEDRIVER_THRESHOLD", "1"))
}

/// What was there before can still be read in every way.
fn still_reads(server: &Server, layer: &Blob) -> Result<()> {
    server.expect_blob("app", layer)?;
    server.registry().verify("app", "old")?;
    assert_eq!(server.registry().tags("app")?, ["old"]);
    assert_eq!(server.registry().repositories()?, ["app"]);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_full_disk_stops_pushes_only_and_only_while_it_is_full() -> Result<()> {
    for disk in disks()? {
        let server = launch(&disk)?.start()?;
        let old = server.push_image("app", "old", 1)?;
        let (blob, session) = (Blob::random(9, LARGE), server.begin("app")?);
        server.send(&patch(&session).body(&blob.bytes[..100_000]))?.expect(202)?;
        disk.fill()?;

        let rest = &blob.bytes[100_000..];
        let finish = put(format!("{session}?digest={}", blob.digest)).body(rest);
        let whole = post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest));
        for request in [
            patch(&session).body(rest),
            patch(&session).streamed(rest),
            finish.clone(),
            whole.clone().body(&*blob.bytes),
            whole.streamed(&*blob.bytes),
            large_manifest(&old),
        ] {
            let message = server.send(&request)?.refusal(507, "UNAVAILABLE")?;
            ensure!(message.contains("no space is left"), "{message}");
            assert_eq!(server.get(&session)?.expect(204)?.header("range")?, "0-99999");
            still_reads(&server, &old)?;
        }
        wait::until("it is not ready", || Ok(server.get("/readyz")?.status == 503))?;
        server.get("/healthz")?.expect(200)?;

        disk.free()?;
        server.send(&finish)?.expect(201)?;
        server.send(&large_manifest(&old))?.expect(201)?;
        server.expect_blob("app", &blob)?;
        wait::until("it is ready again", || Ok(server.get("/readyz")?.status == 200))?;
        server.push_image("app", "new", 2)?;
        let link = format!(
            "registry/docker/registry/v2/repositories/app/_layers/sha256/{}/link",
            blob.digest.trim_start_matches("sha256:")
        );
        wait::until("the link files catch up", || Ok(disk.path(&link).exists()))?;
        let before = server.registry().contents()?;
        server.kill()?;
        let server = launch(&disk)?.start()?;
        assert_eq!(server.registry().contents()?, before);
        server.expect_blob("app", &blob)?;
        server.stop()?;
    }
    Ok(())
}

/// A manifest that does not fit in what the database has allocated already.
fn large_manifest(layer: &Blob) -> Request {
    let mut value = image(layer, &[]);
    value["annotations"] = json!({ "filling": "x".repeat(LARGE) });
    let manifest = Manifest::new(&value);
    put("/v2/app/manifests/large").header("Content-Type", manifest.media_type).body(manifest.bytes)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn many_clients_that_fill_a_disk_are_all_told_and_lose_nothing() -> Result<()> {
    for disk in disks()? {
        let server = launch(&disk)?.start()?;
        // 64 MB for a disk of 24.
        let outcomes: Vec<(Blob, u16)> = thread::scope(|scope| {
            let clients: Vec<_> = (0..8u64)
                .map(|client| {
                    let server = &server;
                    scope.spawn(move || -> Result<Vec<(Blob, u16)>> {
                        let blobs = (0..8).map(|number| Blob::random(client * 8 + number, 1 << 20));
                        blobs
                            .map(|blob| {
                                let status = server.push_blob("app", &blob)?.status;
                                Ok((blob, status))
                            })
                            .collect()
                    })
                })
                .collect();
            let join = |client: thread::ScopedJoinHandle<'_, Result<Vec<_>>>| match client.join() {
                Ok(outcomes) => outcomes,
                Err(_) => Err(anyhow::anyhow!("a client panicked")),
            };
            clients.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?
        .concat();
        let stored = outcomes.iter().filter(|(_, status)| *status == 201).count();
        ensure!((8..24).contains(&stored), "{stored} blobs of a MiB are on the disk");
        let check = |server: &Server| -> Result<()> {
            for (blob, status) in &outcomes {
                match status {
                    201 => server.expect_blob("app", blob)?,
                    507 => {
                        drop(server.get(&format!("/v2/app/blobs/{}", blob.digest))?.expect(404)?)
                    }
                    other => anyhow::bail!("a push was answered with {other}"),
                }
            }
            Ok(())
        };
        check(&server)?;
        server.kill()?;
        // Even a full disk is served after a crash.
        let server = launch(&disk)?.start()?;
        check(&server)?;
        server.stop()?;
    }
    Ok(())
}
