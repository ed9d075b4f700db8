use anyhow::Result;
use berth_tests::fixtures::{self, Layout};
use berth_tests::{Home, Server};

use crate::{arrived, publish, same};

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_a_layout_and_pulls_the_same_back() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let host = server.host();
    for (name, image) in
        [("team/busybox:1", fixtures::busybox()?), ("debian:12", fixtures::debian()?)]
    {
        home.run(&format!("crane push {} {host}/{name}", image.path.display()))?;
        let (repository, tag) = crate::split(name);
        arrived(&server, repository, tag, &image.digest)?;
        same(
            "the digest crane sees",
            &home.run(&format!("crane digest {host}/{name}"))?,
            &image.digest,
        )?;
        home.run(&format!("crane validate --remote {host}/{name}"))?;
        let copy = home.path(&repository.replace('/', "-"));
        home.run(&format!("crane pull --format oci {host}/{name} {}", copy.display()))?;
        same("the digest after the way back", &Layout::open(&copy)?.digest, &image.digest)?;
    }
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_an_index_and_copies_it_to_another_repository() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, index) = (server.host(), fixtures::multi_platform()?);
    home.run(&format!("crane push --index {} {host}/multi:1", index.path.display()))?;
    let pushed = home.run(&format!("crane digest {host}/multi:1"))?;
    arrived(&server, "multi", "1", &pushed)?;
    home.run(&format!("crane copy {host}/multi:1 {host}/copy/multi:2"))?;
    arrived(&server, "copy/multi", "2", &pushed)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn lists_tags_and_repositories() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, image) = (server.host(), fixtures::busybox()?);
    for name in ["b/app:2", "b/app:1", "a:1"] {
        publish(&home, &image, &server, name)?;
    }
    same("the tags", &home.run(&format!("crane ls {host}/b/app"))?.as_str(), &"1\n2")?;
    same("the repositories", &home.run(&format!("crane catalog {host}"))?.as_str(), &"a\nb/app")?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn adds_a_layer_and_deletes_the_image() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, image) = (server.host(), fixtures::busybox()?);
    publish(&home, &image, &server, "busybox:1")?;
    std::fs::write(home.path("added"), "one more layer\n")?;
    let layer = home.path("layer.tar");
    home.run(&format!(
        "tar --create --file {} --directory {} added",
        layer.display(),
        home.path("").display()
    ))?;
    home.run(&format!(
        "crane append --base {host}/busybox:1 --new_layer {} --new_tag {host}/busybox:2",
        layer.display()
    ))?;
    let digest = home.run(&format!("crane digest {host}/busybox:2"))?;
    arrived(&server, "busybox", "2", &digest)?;
    home.run(&format!("crane delete {host}/busybox@{digest}"))?;
    same("the deleted image is there", &server.registry().has_manifest("busybox", "2")?, &false)?;
    arrived(&server, "busybox", "1", &image.digest)?;
    server.stop()
}
