//! The ways into a mirror, and the upstreams behind it.

use std::ffi::OsString;

use anyhow::{Result, ensure};
use berth_test_stores::{Fault, FaultProxy};
use berth_tests::wire::{self, get};
use berth_tests::{Launch, Server, Target};

use crate::scene::{Image, Scene};

fn docker_registry() -> Result<Server> {
    Launch::temporary()?.target(Target::DockerRegistry).start()
}

fn setting(launch: &Launch, sought: &str) -> OsString {
    let found = launch.environment().iter().find(|(name, _)| name == sought);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn the_settings_of_registry_2_make_the_whole_registry_a_mirror() -> Result<()> {
    for target in [Target::DockerRegistry, Target::Distribution3, Target::Berth] {
        let upstream = Launch::temporary()?.target(target).start()?;
        let image = Image::new(70);
        image.push(&upstream, "team/app", "v1")?;
        let mirror = Launch::temporary()?
            .target(Target::Berth)
            .env("REGISTRY_PROXY_REMOTEURL", format!("http://{}", upstream.host()))
            .env("REGISTRY_PROXY_TTL", "168h")
            .start()?;
        let (digest, _) = mirror.registry().verify("team/app", "v1")?;
        ensure!(digest == image.manifest.digest, "of {target:?}");
        let push = wire::post("/v2/team/app/blobs/uploads/");
        let message = wire::send(mirror.address(), &push)?.refusal(405, "UNSUPPORTED")?;
        ensure!(message.contains("mirror"), "{message}");
        mirror.stop()?;
        upstream.stop()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_client_that_says_which_registry_it_means_needs_no_prefix() -> Result<()> {
    let scene = Scene::with(|mirror| mirror.env("REGISTRY_MIRRORS_0_HOST", "hub.example.org"))?;
    let image = Image::new(71);
    scene.push("v1", &image)?;
    let by_namespace = |path: &str, host: &str| {
        wire::send(scene.mirror.address(), &get(format!("/v2/team/app/{path}?ns={host}")))
    };
    let answer = by_namespace("manifests/v1", "hub.example.org")?.expect(200)?;
    ensure!(answer.body == image.manifest.bytes);
    ensure!(answer.header("oci-namespace")? == "hub.example.org");
    let blob = format!("blobs/{}", image.layer.digest);
    ensure!(by_namespace(&blob, "hub.example.org")?.expect(200)?.body == image.layer.bytes);
    let other = by_namespace("manifests/v1", "other.example.org")?;
    ensure!(other.find("oci-namespace").is_none());
    other.refusal(404, "MANIFEST_UNKNOWN")?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_the_first_upstream_does_not_have_or_cannot_give_comes_from_the_next() -> Result<()> {
    let (first, second) = (docker_registry()?, docker_registry()?);
    let before_first = FaultProxy::start(&format!("http://{}", first.host()))?;
    let (both, only_second, broken) = (Image::new(72), Image::new(73), Image::new(74));
    both.push(&first, "team/app", "both")?;
    both.push(&second, "team/app", "both")?;
    only_second.push(&second, "team/app", "second")?;
    broken.push(&first, "team/app", "broken")?;
    broken.push(&second, "team/app", "broken")?;
    // The proxy of the scene is the one before the second.
    let scene = Scene::of(second, |mirror| {
        let second = setting(&mirror, "REGISTRY_MIRRORS_0_UPSTREAMS_0_URL");
        mirror
            .env("REGISTRY_MIRRORS_0_UPSTREAMS_1_URL", second)
            .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_URL", before_first.endpoint())
    })?;
    scene.pull("both", &both)?;
    ensure!(scene.proxy.requests().is_empty(), "the second was asked for what the first has");
    scene.pull("second", &only_second)?;
    ensure!(scene.fetches(&only_second.layer.digest) == 1);

    // A blob that breaks off at the first, and cannot be taken up there, goes on at the second.
    let end = broken.layer.digest.clone();
    for (fault, times) in [(Fault::Cut(1 << 20), 1), (Fault::Status(503), usize::MAX)] {
        let end = end.clone();
        before_first.next_where(fault, times, move |seen| seen.path.ends_with(&end));
    }
    scene.pull("broken", &broken)?;
    let from_second = scene.proxy.bytes_down();
    ensure!(scene.fetches(&broken.layer.digest) == 1);
    ensure!(from_second < 2 * broken.layer.bytes.len() as u64, "{from_second}");

    before_first.next(Fault::Refuse, usize::MAX);
    scene.pull("both", &both)?;
    first.stop()?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn mirrors_that_cannot_work_are_refused_at_the_start() -> Result<()> {
    let refused = |settings: &[(&str, &str)], says: &str| {
        let tree = tempfile::tempdir()?;
        let mut launch = Launch::filesystem(tree.path())?.target(Target::Berth);
        for (name, value) in settings {
            launch = launch.env(*name, *value);
        }
        let output = launch.command(&["config", "check"])?.output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && text.contains(says), "{settings:?}: {text}");
        Ok(())
    };
    const PREFIX: &str = "REGISTRY_MIRRORS_0_PREFIX";
    const URL: &str = "REGISTRY_MIRRORS_0_UPSTREAMS_0_URL";
    const USER: &str = "REGISTRY_MIRRORS_0_UPSTREAMS_0_USERNAME";
    const PASSWORD: &str = "REGISTRY_MIRRORS_0_UPSTREAMS_0_PASSWORD";
    let one = [(PREFIX, "hub"), (URL, "https://hub.example.org")];
    let with = |more: &[(&'static str, &'static str)]| [&one[..], more].concat();
    refused(
        &with(&[
            ("REGISTRY_MIRRORS_1_PREFIX", "hub"),
            ("REGISTRY_MIRRORS_1_UPSTREAMS_0_URL", "https://other.example.org"),
        ]),
        "`mirrors[0]` is for `hub` already",
    )?;
    refused(&with(&[("REGISTRY_PROXY_REMOTEURL", "https://x.example.org")]), "keep one of them")?;
    refused(&with(&[("REGISTRY_MIRRORS_0_TTL", "soon")]), "is not a duration")?;
    refused(
        &[(PREFIX, "hub"), (URL, "http://hub.example.org"), (USER, "me"), (PASSWORD, "secret")],
        "in plain text",
    )?;
    refused(&with(&[(USER, "me")]), "a name goes with a password")?;
    refused(
        &[
            (PREFIX, "hub"),
            (URL, "http://localhost:5000"),
            ("REGISTRY_HTTP_ADDR", "127.0.0.1:5000"),
        ],
        "this registry itself",
    )?;
    refused(&[(PREFIX, "hub"), (URL, "https://me:secret@hub.example.org")], "keys of their own")
}
