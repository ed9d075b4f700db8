//! What was pushed here beside what comes from elsewhere.

use anyhow::{Result, ensure};
use berth_tests::wire;

use crate::scene::{Image, Scene, push_manifest};

#[test]
#[ignore = "run by cargo xtask faults"]
fn nobody_pushes_into_a_mirror_unless_that_is_wanted() -> Result<()> {
    let scene = Scene::new()?;
    let push = wire::post("/v2/hub/team/app/blobs/uploads/");
    wire::send(scene.mirror.address(), &push)?.refusal(405, "UNSUPPORTED")?;
    // Beside the mirror it is a registry like any other.
    Image::new(80).push(&scene.mirror, "own/app", "v1")?;
    scene.mirror.registry().verify("own/app", "v1")?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_tag_that_was_pushed_here_stands_before_that_of_the_upstream_and_says_so() -> Result<()> {
    let scene = Scene::with(|mirror| mirror.env("REGISTRY_MIRRORS_0_PUSH", "true"))?;
    let (theirs, ours, newer) = (Image::new(81), Image::new(82), Image::new(83));
    scene.push("v1", &theirs)?;
    scene.pull("v1", &theirs)?;
    ours.push(&scene.mirror, "hub/team/app", "v1")?;
    ours.push(&scene.mirror, "hub/team/app", "own")?;
    scene.push("v1", &newer)?;
    for tag in ["v1", "own"] {
        let answer = scene.manifest(tag)?.expect(200)?;
        ensure!(answer.body == ours.manifest.bytes);
        ensure!(answer.header("warning")?.contains("pushed here"));
    }
    // Once it is gone, that of the upstream comes again.
    let gone = wire::delete("/v2/hub/team/app/manifests/v1");
    wire::send(scene.mirror.address(), &gone)?.expect(202)?;
    scene.pull("v1", &newer)?;
    // A manifest can name what came from the upstream.
    push_manifest(&scene.mirror, "hub/team/app", "renamed", &newer.manifest)?;
    scene.stop()
}
