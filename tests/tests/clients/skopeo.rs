use anyhow::Result;
use berth_tests::fixtures::{self, Layout};
use berth_tests::{Home, Server};
use serde_json::Value;

use crate::{arrived, publish, same};

#[test]
#[ignore = "run by cargo xtask clients"]
fn copies_an_image_there_and_back() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let host = server.host();
    for (name, image) in
        [("team/busybox:1", fixtures::busybox()?), ("debian:12", fixtures::debian()?)]
    {
        publish(&home, &image, &server, name)?;
        let copy = home.path(&name.replace(['/', ':'], "-"));
        home.run(&format!(
            "skopeo copy --src-tls-verify=false docker://{host}/{name} oci:{}:latest",
            copy.display()
        ))?;
        same("the digest after the way back", &Layout::open(&copy)?.digest, &image.digest)?;
    }
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn copies_a_multi_platform_index_whole() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, index) = (server.host(), fixtures::multi_platform()?);
    publish(&home, &index, &server, "multi:1")?;
    let copy = home.path("copy");
    home.run(&format!(
        "skopeo copy --all --src-tls-verify=false docker://{host}/multi:1 oci:{}:latest",
        copy.display()
    ))?;
    same("the digest after the way back", &Layout::open(&copy)?.digest, &index.digest)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_docker_schema_2() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, image) = (server.host(), fixtures::busybox()?.oci());
    home.run(&format!(
        "skopeo copy --format v2s2 --dest-tls-verify=false {image} docker://{host}/busybox:docker"
    ))?;
    let manifest = server.registry().manifest("busybox", "docker")?;
    same(
        "the media type",
        &manifest.media_type.as_str(),
        &"application/vnd.docker.distribution.manifest.v2+json",
    )?;
    arrived(&server, "busybox", "docker", &manifest.digest)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn inspects_and_lists_tags() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, image) = (server.host(), fixtures::busybox()?);
    for tag in ["1", "2", "latest"] {
        publish(&home, &image, &server, &format!("busybox:{tag}"))?;
    }
    let inspected: Value = serde_json::from_str(
        &home.run(&format!("skopeo inspect --tls-verify=false docker://{host}/busybox:2"))?,
    )?;
    same("the inspected digest", &inspected["Digest"].as_str(), &Some(image.digest.as_str()))?;
    same("the inspected tags", &inspected["RepoTags"], &serde_json::json!(["1", "2", "latest"]))?;
    let listed: Value = serde_json::from_str(
        &home.run(&format!("skopeo list-tags --tls-verify=false docker://{host}/busybox"))?,
    )?;
    same("the listed tags", &listed["Tags"], &serde_json::json!(["1", "2", "latest"]))?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn synchronises_a_repository_to_files_and_back() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, files) = (server.host(), home.path("files"));
    publish(&home, &fixtures::busybox()?, &server, "source/app:1")?;
    publish(&home, &fixtures::multi_platform()?, &server, "source/app:2")?;
    let files = files.display();
    home.run(&format!(
        "skopeo sync --all --src docker --src-tls-verify=false --dest dir {host}/source/app {files}"
    ))?;
    home.run(&format!(
        "skopeo sync --all --src dir --dest docker --dest-tls-verify=false {files} {host}/target"
    ))?;
    arrived(&server, "target/app", "1", &fixtures::busybox()?.digest)?;
    arrived(&server, "target/app", "2", &fixtures::multi_platform()?.digest)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn deletes_an_image() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, image) = (server.host(), fixtures::busybox()?);
    publish(&home, &image, &server, "busybox:1")?;
    home.run(&format!("skopeo delete --tls-verify=false docker://{host}/busybox:1"))?;
    same("the image is there", &server.registry().has_manifest("busybox", &image.digest)?, &false)?;
    home.refused(&format!("skopeo inspect --tls-verify=false docker://{host}/busybox:1"))?;
    publish(&home, &image, &server, "busybox:1")?;
    server.stop()
}
