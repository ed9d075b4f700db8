use anyhow::Result;
use berth_tests::fixtures;
use berth_tests::{Home, Server};

use crate::{arrived, publish, same};

/// buildah with all it writes inside the home.
pub(crate) fn buildah(home: &Home, arguments: &str) -> Result<String> {
    let (root, runroot) = (home.path("buildah"), home.path("run/buildah"));
    home.run(&format!(
        "buildah --root {} --runroot {} --storage-driver vfs {arguments}",
        root.display(),
        runroot.display()
    ))
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn builds_on_an_image_and_pushes_the_result() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let host = server.host();
    publish(&home, &fixtures::busybox()?, &server, "busybox:1")?;
    std::fs::write(home.path("added"), "one more layer\n")?;

    let container = buildah(&home, &format!("from --tls-verify=false {host}/busybox:1"))?;
    buildah(&home, &format!("copy {container} {} /added", home.path("added").display()))?;
    let id = buildah(&home, &format!("commit --quiet --format oci {container} {host}/built:1"))?;
    let digest_file = home.path("digest");
    buildah(
        &home,
        &format!("push --tls-verify=false --digestfile {} {host}/built:1", digest_file.display()),
    )?;
    arrived(&server, "built", "1", &std::fs::read_to_string(&digest_file)?)?;

    buildah(&home, "rm --all")?;
    buildah(&home, "rmi --all --force")?;
    let again = buildah(&home, &format!("pull --quiet --tls-verify=false {host}/built:1"))?;
    same("the image id after the way back", &again, &id)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_docker_format() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let host = server.host();
    publish(&home, &fixtures::busybox()?, &server, "busybox:1")?;
    let container = buildah(&home, &format!("from --tls-verify=false {host}/busybox:1"))?;
    buildah(&home, &format!("commit --quiet --format docker {container} {host}/built:docker"))?;
    buildah(&home, &format!("push --tls-verify=false {host}/built:docker"))?;
    let manifest = server.registry().manifest("built", "docker")?;
    same(
        "the media type",
        &manifest.media_type.as_str(),
        &"application/vnd.docker.distribution.manifest.v2+json",
    )?;
    arrived(&server, "built", "docker", &manifest.digest)?;
    server.stop()
}
