use anyhow::Result;
use berth_tests::fixtures;
use berth_tests::{Home, Server};

use crate::{arrived, publish, same};

/// A home whose regctl knows that the registry speaks plain HTTP.
fn start() -> Result<(Home, Server)> {
    let (home, server) = (Home::new()?, Server::start()?);
    home.run(&format!("regctl registry set --tls disabled {}", server.host()))?;
    Ok((home, server))
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn copies_images_there_and_back() -> Result<()> {
    let (home, server) = start()?;
    let host = server.host();
    for (name, image) in [
        ("team/busybox:1", fixtures::busybox()?),
        ("multi:1", fixtures::multi_platform()?),
        ("debian:12", fixtures::debian()?),
    ] {
        home.run(&format!(
            "regctl image copy ocidir://{}:latest {host}/{name}",
            image.path.display()
        ))?;
        let (repository, tag) = crate::split(name);
        arrived(&server, repository, tag, &image.digest)?;
        same(
            "the digest regctl sees",
            &home.run(&format!("regctl image digest {host}/{name}"))?,
            &image.digest,
        )?;
        let copy = format!("ocidir://{}:1", home.path(&repository.replace('/', "-")).display());
        home.run(&format!("regctl image copy {host}/{name} {copy}"))?;
        same(
            "the digest after the way back",
            &home.run(&format!("regctl image digest {copy}"))?,
            &image.digest,
        )?;
    }
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn deletes_one_tag_and_leaves_the_others() -> Result<()> {
    let (home, server) = start()?;
    let (host, image) = (server.host(), fixtures::busybox()?);
    publish(&home, &image, &server, "app:1")?;
    publish(&home, &image, &server, "app:2")?;
    same("the tags", &home.run(&format!("regctl tag ls {host}/app"))?.as_str(), &"1\n2")?;
    home.run(&format!("regctl tag delete {host}/app:1"))?;
    same("the tags", &home.run(&format!("regctl tag ls {host}/app"))?.as_str(), &"2")?;
    arrived(&server, "app", "2", &image.digest)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn puts_artifacts_that_refer_to_an_image_and_copies_both() -> Result<()> {
    let (home, server) = start()?;
    let (host, image) = (server.host(), fixtures::busybox()?);
    publish(&home, &image, &server, "app:1")?;
    home.run_with_input(
        &format!(
            "regctl artifact put --artifact-type application/spdx+json --subject {host}/app:1"
        ),
        b"{\"spdx\": true}",
    )?;
    home.run_with_input(
        &format!("regctl artifact put --artifact-type application/vnd.example.note --subject {host}/app:1"),
        b"a note",
    )?;
    let listed = home.run(&format!("regctl artifact list --format body {host}/app:1"))?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    same("the listed referrers", &listed["manifests"].as_array().map(Vec::len), &Some(2))?;
    let content = home.run(&format!(
        "regctl artifact get --subject {host}/app:1 --filter-artifact-type application/spdx+json"
    ))?;
    same("what the artifact holds", &content.as_str(), &"{\"spdx\": true}")?;

    home.run(&format!("regctl image copy --referrers {host}/app:1 {host}/copy/app:1"))?;
    arrived(&server, "copy/app", "1", &image.digest)?;
    let referrers = server.registry().referrers("copy/app", &image.digest)?;
    same("the copied referrers", &referrers.len(), &2)?;
    same("the tags of the copy", &server.registry().tags("copy/app")?, &vec!["1".to_owned()])?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn deletes_a_manifest() -> Result<()> {
    let (home, server) = start()?;
    let (host, image) = (server.host(), fixtures::busybox()?);
    publish(&home, &image, &server, "app:1")?;
    home.run(&format!("regctl manifest delete {host}/app@{}", image.digest))?;
    same("the image is there", &server.registry().has_manifest("app", "1")?, &false)?;
    server.stop()
}
