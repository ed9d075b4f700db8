//! What a client sees of a tag that moves, goes, or was never there.

use anyhow::{Result, ensure};
use berth_test_stores::Fault;
use berth_tests::content::{self, Manifest};
use berth_tests::{Launch, wire};

use crate::scene::{Image, Scene, push_manifest};

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_tag_is_looked_at_when_its_time_is_over_and_not_before() -> Result<()> {
    for (ttl, immutable, moves) in
        [("0s", "none-*", true), ("1h", "none-*", false), ("0s", "v*", false)]
    {
        let scene = Scene::with(|mirror| {
            mirror
                .env("REGISTRY_MIRRORS_0_TTL", ttl)
                .env("REGISTRY_MIRRORS_0_IMMUTABLE_0", immutable)
        })?;
        let (old, new) = (Image::new(60), Image::new(61));
        scene.push("v1", &old)?;
        scene.pull("v1", &old)?;
        scene.push("v1", &new)?;
        scene.pull("v1", if moves { &new } else { &old })?;
        // What was there is there by its digest.
        scene.pull(&old.manifest.digest, &old)?;
        scene.stop()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_look_at_a_tag_that_has_not_moved_costs_no_pull_upstream() -> Result<()> {
    let (scene, image) = (Scene::new()?, Image::new(62));
    scene.push("v1", &image)?;
    for _ in 0..3 {
        scene.manifest("v1")?.expect(200)?;
    }
    ensure!(scene.fetches("manifests/v1") == 1);
    let looks = scene.proxy.requests().iter().filter(|seen| seen.method == "HEAD").count();
    ensure!(looks == 2, "{looks} looks");
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_upstream_that_answers_a_look_otherwise_than_a_pull_is_pulled_from() -> Result<()> {
    let (scene, old, new) = (Scene::new()?, Image::new(130), Image::new(131));
    // What a HEAD is told where a GET is answered as ever; 200 without a digest is said by some proxies.
    for answer in [
        Fault::Status(404),
        Fault::Status(405),
        Fault::Status(400),
        Fault::Answer(200, String::new()),
    ] {
        scene.push("v1", &old)?;
        scene.pull("v1", &old)?;
        scene.push("v1", &new)?;
        scene.proxy.next_where(answer.clone(), usize::MAX, |seen| seen.method == "HEAD");
        let pulled = scene.manifest("v1")?.expect(200)?;
        ensure!(pulled.body == new.manifest.bytes, "after a HEAD with {answer:?}");
        ensure!(pulled.find("warning").is_none(), "it is no older one: {answer:?}");
        scene.pull("v1", &new)?;
        scene.proxy.heal();
    }
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_tag_may_become_something_of_another_media_type() -> Result<()> {
    let (scene, image) = (Scene::new()?, Image::new(132));
    scene.push("oci", &image)?;
    let mut docker = content::image(&image.config, &[&image.layer]);
    let media_type = |name: &str| format!("application/vnd.docker.{name}").into();
    docker["mediaType"] = media_type("distribution.manifest.v2+json");
    docker["config"]["mediaType"] = media_type("container.image.v1+json");
    docker["layers"][0]["mediaType"] = media_type("image.rootfs.diff.tar");
    let docker = Manifest::new(&docker);
    let index = Manifest::index(&[&image.manifest]);
    for manifest in [&image.manifest, &docker, &index, &docker] {
        push_manifest(&scene.upstream, "team/app", "v1", manifest)?;
        for answer in [scene.manifest("v1")?, scene.manifest(&manifest.digest)?] {
            let answer = answer.expect(200)?;
            ensure!(answer.header("content-type")? == manifest.media_type);
            ensure!(answer.body == manifest.bytes, "another {}", manifest.media_type);
        }
    }
    scene.pull_blobs(&image)?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_tag_that_is_gone_upstream_is_served_with_a_warning() -> Result<()> {
    let (scene, image) = (Scene::new()?, Image::new(63));
    scene.push("v1", &image)?;
    scene.pull("v1", &image)?;
    let digest = &image.manifest.digest;
    let gone = wire::delete(format!("/v2/team/app/manifests/{digest}"));
    wire::send(scene.upstream.address(), &gone)?.expect(202)?;
    let answer = scene.manifest("v1")?.expect(200)?;
    ensure!(answer.header("warning")?.contains("has no manifest v1"));
    let answer = scene.manifest(digest)?.expect(200)?;
    ensure!(answer.find("warning").is_none(), "what a digest stands for cannot be stale");
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn that_something_is_not_there_is_remembered_for_a_while() -> Result<()> {
    let scene = Scene::with(|mirror| mirror.env("REGISTRY_MIRRORS_0_NEGATIVETTL", "1h"))?;
    let image = Image::new(64);
    image.push(&scene.upstream, "team/app", "v1")?;
    for _ in 0..3 {
        scene.manifest("v2")?.refusal(404, "MANIFEST_UNKNOWN")?;
    }
    ensure!(scene.fetches("manifests/v2") == 1);
    push_manifest(&scene.upstream, "team/app", "v2", &image.manifest)?;
    scene.manifest("v2")?.refusal(404, "MANIFEST_UNKNOWN")?;
    scene.pull("v1", &image)?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_offline_mirror_asks_nobody() -> Result<()> {
    let image = Image::new(65);
    let scene = Scene::new()?;
    scene.push("v1", &image)?;
    scene.pull("v1", &image)?;
    scene.wait_until_kept(&image.layer)?;
    let offline = |launch: Launch| launch.env("REGISTRY_MIRRORS_0_OFFLINE", "true");
    let scene = scene.restart(|mirror| mirror.stop(), offline)?;
    scene.proxy.clear();
    let answer = scene.manifest("v1")?.expect(200)?;
    ensure!(answer.header("warning")?.contains("offline"), "it may be another one by now");
    scene.pull_blobs(&image)?;
    let message = scene.manifest("v2")?.refusal(504, "UNAVAILABLE")?;
    ensure!(message.contains("offline"), "{message}");
    ensure!(scene.proxy.requests().is_empty(), "{:?}", scene.proxy.requests());
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_whole_image_is_fetched_with_its_manifest_where_that_is_wanted() -> Result<()> {
    let scene = Scene::with(|mirror| mirror.env("REGISTRY_MIRRORS_0_PREFETCH", "true"))?;
    let (one, other) = (Image::new(68), Image::new(69));
    for image in [&one, &other] {
        scene.push(&image.manifest.digest, image)?;
    }
    let index = Manifest::index(&[&one.manifest, &other.manifest]);
    push_manifest(&scene.upstream, "team/app", "all", &index)?;
    scene.manifest("all")?.expect(200)?;
    for image in [&one, &other] {
        scene.wait_until_kept(&image.layer)?;
        scene.wait_until_kept(&image.config)?;
    }
    scene.cut_off();
    for image in [&one, &other] {
        scene.pull(&image.manifest.digest, image)?;
        ensure!(scene.fetches(&image.layer.digest) == 1);
    }
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_index_is_served_although_its_children_are_not_here_and_one_may_be_gone() -> Result<()> {
    let (scene, one, other) = (Scene::new()?, Image::new(66), Image::new(67));
    for image in [&one, &other] {
        scene.push(&image.manifest.digest, image)?;
    }
    let index = Manifest::index(&[&one.manifest, &other.manifest]);
    push_manifest(&scene.upstream, "team/app", "all", &index)?;
    let answer = scene.manifest("all")?.expect(200)?;
    ensure!(answer.body == index.bytes);
    let gone = wire::delete(format!("/v2/team/app/manifests/{}", other.manifest.digest));
    wire::send(scene.upstream.address(), &gone)?.expect(202)?;
    scene.pull(&one.manifest.digest, &one)?;
    scene.manifest(&other.manifest.digest)?.refusal(404, "MANIFEST_UNKNOWN")?;
    scene.stop()
}
