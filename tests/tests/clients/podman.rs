use anyhow::Result;
use berth_tests::fixtures;
use berth_tests::{Home, Server};

use crate::{arrived, publish, same};

/// podman with all it writes inside the home.
pub(crate) fn podman(home: &Home, arguments: &str) -> Result<String> {
    let (root, runroot) = (home.path("podman"), home.path("run/podman"));
    home.run(&format!(
        "podman --root {} --runroot {} --storage-driver vfs --cgroup-manager cgroupfs --events-backend none {arguments}",
        root.display(),
        runroot.display()
    ))
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_an_image_and_pulls_the_same_back() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let host = server.host();
    for (name, image) in
        [("team/busybox:1", fixtures::busybox()?), ("debian:12", fixtures::debian()?)]
    {
        publish(&home, &image, &server, &format!("source/{name}"))?;
        podman(&home, &format!("pull --quiet --tls-verify=false {host}/source/{name}"))?;
        let id =
            podman(&home, &format!("image inspect --format {{{{.Id}}}} {host}/source/{name}"))?;
        podman(&home, &format!("tag {host}/source/{name} {host}/{name}"))?;
        let digest_file = home.path("digest");
        podman(
            &home,
            &format!(
                "push --tls-verify=false --digestfile {} {host}/{name}",
                digest_file.display()
            ),
        )?;
        let (repository, tag) = crate::split(name);
        arrived(&server, repository, tag, &std::fs::read_to_string(&digest_file)?)?;
        podman(&home, "rmi --all --force")?;
        podman(&home, &format!("pull --quiet --tls-verify=false {host}/{name}"))?;
        let again = podman(&home, &format!("image inspect --format {{{{.Id}}}} {host}/{name}"))?;
        same("the image id after the way back", &again, &id)?;
    }
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_a_manifest_list_it_made() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, index) = (server.host(), fixtures::multi_platform()?);
    publish(&home, &index, &server, "source:1")?;
    podman(&home, "manifest create made")?;
    podman(&home, &format!("manifest add --all --tls-verify=false made docker://{host}/source:1"))?;
    podman(&home, &format!("manifest push --all --tls-verify=false made docker://{host}/made:1"))?;
    let manifest = server.registry().manifest("made", "1")?;
    same(
        "the number of platforms",
        &manifest.json["manifests"].as_array().map(Vec::len),
        &Some(2),
    )?;
    arrived(&server, "made", "1", &manifest.digest)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn searches_for_tags() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, image) = (server.host(), fixtures::busybox()?);
    publish(&home, &image, &server, "busybox:1")?;
    publish(&home, &image, &server, "busybox:2")?;
    let found = podman(
        &home,
        &format!("search --list-tags --tls-verify=false --format json {host}/busybox"),
    )?;
    let found: serde_json::Value = serde_json::from_str(&found)?;
    same("the tags", &found[0]["Tags"], &serde_json::json!(["1", "2"]))?;
    server.stop()
}
