//! `berth copy` and `berth mirror status`.

use std::process::Command;

use anyhow::{Result, ensure};
use berth_test_stores::{Fault, FaultProxy};
use berth_tests::content::{Blob, Manifest, image};
use berth_tests::wire;
use berth_tests::{Launch, Target, berth_binary};

use crate::scene::{Image, LAYER, Scene, push_manifest};

fn berth(arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(berth_binary()?).args(arguments).env("DOCKER_CONFIG", "/nowhere").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "berth {arguments:?}: {text}{errors}");
    Ok(text)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_image_is_copied_with_its_platforms_and_what_is_attached_and_goes_on_where_it_broke()
-> Result<()> {
    let source = Launch::temporary()?.target(Target::Berth).start()?;
    let target = Launch::temporary()?.target(Target::DockerRegistry).start()?;
    let (one, other) = (Image::new(120), Image::new(121));
    for image in [&one, &other] {
        image.push(&source, "team/app", &image.manifest.digest)?;
    }
    let index = Manifest::index(&[&one.manifest, &other.manifest]);
    push_manifest(&source, "team/app", "v1", &index)?;
    // A signature by subject, and one by tag.
    let mut signature = image(&one.config, &[]);
    signature["subject"] = index.descriptor();
    let by_subject = Manifest::new(&signature);
    push_manifest(&source, "team/app", &by_subject.digest, &by_subject)?;
    let by_tag = Manifest::image(&other.config, &[&one.config]);
    let tag = format!("{}.sig", one.manifest.digest.replace(':', "-"));
    push_manifest(&source, "team/app", &tag, &by_tag)?;

    let (from, to) = (
        FaultProxy::start(&format!("http://{}", source.host()))?,
        FaultProxy::start(&format!("http://{}", target.host()))?,
    );
    let half = LAYER as u64 / 2;
    let is_layer = one.layer.digest.clone();
    from.next_where(Fault::Cut(half), 1, move |seen| {
        seen.method == "GET" && seen.path.ends_with(&is_layer)
    });
    let host = |proxy: &FaultProxy| proxy.endpoint().replace("http://", "");
    let (from_name, to_name) =
        (format!("{}/team/app:v1", host(&from)), format!("{}/copy/app:v2", host(&to)));
    let text = berth(&["copy", &from_name, &to_name])?;
    ensure!(text.contains(&format!("{to_name} is {}", index.digest)), "{text}");

    let (digest, objects) = target.registry().verify("copy/app", "v2")?;
    ensure!(digest == index.digest && objects.contains(&other.layer.digest));
    target.registry().verify("copy/app", &by_subject.digest)?;
    let (signed, _) = target.registry().verify("copy/app", &tag)?;
    ensure!(signed == by_tag.digest);
    ensure!(from.bytes_down() < 3 * LAYER as u64, "{} bytes", from.bytes_down());

    // What is there is not sent again.
    to.clear();
    berth(&["copy", &from_name, &to_name])?;
    ensure!(to.bytes_up() < 10_000, "{} bytes were sent again", to.bytes_up());
    let posts = to.requests().iter().filter(|seen| seen.method == "POST").count();
    ensure!(posts == 0, "{posts} uploads");
    source.stop()?;
    target.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_image_that_is_not_there_is_not_copied_and_the_reason_is_told() -> Result<()> {
    let (source, target) =
        (Launch::temporary()?.target(Target::Berth).start()?, Launch::temporary()?.start()?);
    let (from, to) = (format!("{}/no/app:v1", source.host()), format!("{}/a:v1", target.host()));
    let output = Command::new(berth_binary()?).args(["copy", &from, &to]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && errors.contains("has no manifest v1"), "{errors}");
    source.stop()?;
    target.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_budget_runs_out_and_what_is_left_of_it_is_told() -> Result<()> {
    let scene =
        Scene::with(|mirror| mirror.env("REGISTRY_MIRRORS_0_UPSTREAMS_0_BUDGET_REQUESTS", "3"))?;
    let image = Image::new(122);
    scene.push("v1", &image)?;
    scene.pull("v1", &image)?;
    let status = String::from_utf8(scene.command(&["mirror", "status"])?.output()?.stdout)?;
    ensure!(status.contains("the budget leaves 0 requests"), "{status}");
    ensure!(status.contains("3 asked of upstreams"), "{status}");
    let target = format!("/v2/hub/team/app/blobs/{}", Blob::random(1, 10).digest);
    let message = scene.get(&target)?.refusal(429, "TOOMANYREQUESTS")?;
    ensure!(message.contains("budget"), "{message}");
    // A look at a tag is no pull.
    let fresh = wire::send(scene.mirror.address(), &wire::get("/v2/hub/team/app/manifests/v1"))?;
    ensure!(fresh.expect(200)?.find("warning").is_none());
    scene.stop()
}
