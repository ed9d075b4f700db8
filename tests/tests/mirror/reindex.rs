//! What a mirror has kept, when its database comes from the storage alone.

use anyhow::{Result, ensure};
use berth_tests::tree::lose_database;
use berth_tests::wire::{self, get};
use berth_tests::{Launch, Server, Target, wait};

use crate::bounds::{COLLECTION, metric};
use crate::scene::{Image, LAYER, Scene};

/// Ends the mirror, takes its database away, and starts it over what `berth reindex` finds.
fn rebuild(scene: Scene) -> Result<Scene> {
    let root = scene.root();
    let reindex = scene.command(&["reindex"])?;
    let end = |mirror: Server| {
        mirror.stop()?;
        lose_database(&root)?;
        let mut reindex = reindex;
        let output = reindex.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    scene.restart(end, |launch| launch)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_tag_that_was_cached_is_looked_at_upstream_after_a_reindex() -> Result<()> {
    let (scene, old, new) = (Scene::new()?, Image::new(200), Image::new(201));
    scene.push("v1", &old)?;
    scene.pull("v1", &old)?;
    scene.wait_until_kept(&old.layer)?;
    let scene = rebuild(scene)?;
    let answer = scene.manifest("v1")?.expect(200)?;
    ensure!(answer.find("warning").is_none(), "{:?}", answer.find("warning"));
    ensure!(scene.fetches("manifests/v1") == 1, "it has not moved");
    scene.push("v1", &new)?;
    scene.pull("v1", &new)?;
    // A healthy one is left as it is.
    let seen = scene.fetches("manifests/v1");
    let scene = rebuild(scene)?;
    scene.pull("v1", &new)?;
    ensure!(scene.fetches("manifests/v1") == seen);
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_was_cached_goes_after_a_reindex_when_it_is_too_much() -> Result<()> {
    let scene = Scene::with(|mirror| {
        mirror
            .env("REGISTRY_MIRRORS_0_MAXSIZE", (2 * LAYER + LAYER / 2).to_string())
            .env(format!("{COLLECTION}_LEASE"), "1s")
            .env(format!("{COLLECTION}_INTERVAL"), "200ms")
    })?;
    let (old, new, newest) = (Image::new(202), Image::new(203), Image::new(204));
    scene.push("v1", &old)?;
    scene.pull("v1", &old)?;
    scene.wait_until_kept(&old.layer)?;
    let scene = rebuild(scene)?;
    for (tag, image) in [("v2", &new), ("v3", &newest)] {
        scene.push(tag, image)?;
        scene.pull(tag, image)?;
    }
    wait::until("a mirror makes room", || {
        Ok(metric(&scene, "berth_mirror_evicted_manifests_total ")? >= Some(1))
    })?;
    scene.cut_off();
    ensure!(scene.manifest("v1")?.status == 502, "the oldest is still there");
    scene.pull("v3", &newest)?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_may_have_been_pushed_stays_after_a_reindex() -> Result<()> {
    let scene = Scene::with(|mirror| mirror.env("REGISTRY_MIRRORS_0_PUSH", "true"))?;
    let (theirs, ours) = (Image::new(205), Image::new(206));
    scene.push("v1", &theirs)?;
    ours.push(&scene.mirror, "hub/team/app", "v1")?;
    let scene = rebuild(scene)?;
    let answer = scene.manifest("v1")?.expect(200)?;
    ensure!(answer.body == ours.manifest.bytes);
    ensure!(answer.header("warning")?.contains("pushed here"));
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_pull_through_cache_of_registry_2_is_one_when_it_has_moved_in() -> Result<()> {
    let upstream = Launch::temporary()?.target(Target::DockerRegistry).start()?;
    let (old, new) = (Image::new(207), Image::new(208));
    old.push(&upstream, "team/app", "v1")?;
    let folder = tempfile::tempdir()?;
    let url = format!("http://{}", upstream.host());
    let cache = Launch::filesystem(folder.path())?.env("REGISTRY_PROXY_REMOTEURL", &url);
    let theirs = cache.clone().target(Target::DockerRegistry).start()?;
    let manifest = get("/v2/team/app/manifests/v1").header("Accept", &old.manifest.media_type);
    wire::send(theirs.address(), &manifest)?.expect(200)?;
    for blob in [&old.config, &old.layer] {
        let target = format!("/v2/team/app/blobs/{}", blob.digest);
        wire::send(theirs.address(), &get(target))?.expect(200)?;
        // It keeps them behind its answer.
        let hex = blob.digest.trim_start_matches("sha256:");
        let link = format!("docker/registry/v2/repositories/team/app/_layers/sha256/{hex}/link");
        wait::until("it is kept", || Ok(folder.path().join(&link).exists()))?;
    }
    theirs.stop()?;

    let ours = cache.target(Target::Berth).env("REGISTRY_STORAGE_ADOPT", "true").start()?;
    let answer = wire::send(ours.address(), &manifest)?.expect(200)?;
    ensure!(answer.body == old.manifest.bytes && answer.find("warning").is_none());
    new.push(&upstream, "team/app", "v1")?;
    let answer = wire::send(ours.address(), &manifest)?.expect(200)?;
    ensure!(answer.body == new.manifest.bytes, "it was not looked at upstream");
    ours.stop()?;
    upstream.stop()
}
