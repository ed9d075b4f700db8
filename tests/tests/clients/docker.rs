use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, ensure};
use berth_tests::fixtures;
use berth_tests::process::Daemon;
use berth_tests::stores::Stored;
use berth_tests::{Home, Launch, Server, wait};

use crate::{arrived, first_digest, publish, same};

/// A Docker daemon of the test's own. It needs no network of containers: nothing is run in it.
pub(crate) struct Docker {
    pub(crate) home: Home,
    daemon: Daemon,
}

impl Docker {
    pub(crate) fn start() -> Result<Self> {
        Self::start_with("{}")
    }

    /// One with this configuration.
    pub(crate) fn start_with(configuration: &str) -> Result<Self> {
        let mut home = Home::new()?;
        let socket = home.path("run/docker.sock");
        let config = home.path("daemon.json");
        std::fs::write(&config, configuration)?;
        let line = format!(
            "dockerd --config-file {} --data-root {} --exec-root {} --pidfile {} --host unix://{} --iptables=false --ip6tables=false --bridge=none",
            config.display(),
            home.path("docker").display(),
            home.path("run/docker").display(),
            home.path("run/docker.pid").display(),
            socket.display()
        );
        home.set("DOCKER_HOST", format!("unix://{}", socket.display()));
        let mut daemon = home.daemon("dockerd", &line)?;
        daemon.wait_until(|| UnixStream::connect(&socket).is_ok())?;
        Ok(Self { home, daemon })
    }

    /// Runs a docker command line.
    pub(crate) fn run(&self, arguments: &str) -> Result<String> {
        self.home.run(&format!("docker {arguments}"))
    }

    /// Pushes and returns the digest that docker prints.
    pub(crate) fn push(&self, name: &str) -> Result<String> {
        let printed = self.run(&format!("push {name}"))?;
        let (_, digest) =
            printed.rsplit_once("digest: ").context("docker push printed no digest")?;
        first_digest(digest)
    }

    /// Pulls and returns the digest that docker prints.
    pub(crate) fn pull(&self, name: &str) -> Result<String> {
        let printed = self.run(&format!("pull {name}"))?;
        let (_, digest) =
            printed.rsplit_once("Digest: ").context("docker pull printed no digest")?;
        first_digest(digest)
    }

    pub(crate) fn id(&self, name: &str) -> Result<String> {
        self.run(&format!("image inspect --format {{{{.Id}}}} {name}"))
    }

    pub(crate) fn remove_all_images(&self) -> Result<()> {
        self.run("image prune --all --force")?;
        same("what docker still has", &self.run("images --all --quiet")?.as_str(), &"")
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.daemon.stop()?;
        Ok(())
    }
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_an_image_and_pulls_the_same_back() -> Result<()> {
    let docker = Docker::start()?;
    there_and_back(&docker, Server::start()?)?;
    docker.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_and_pulls_where_the_blobs_are_in_memory() -> Result<()> {
    let docker = Docker::start()?;
    there_and_back(&docker, Launch::in_memory()?.start()?)?;
    docker.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_and_pulls_where_the_blobs_are_in_an_object_store() -> Result<()> {
    for stored in Stored::each()? {
        let docker = Docker::start()?;
        there_and_back(&docker, stored.launch.start()?).context(stored.name)?;
        docker.stop()?;
    }
    Ok(())
}

fn there_and_back(docker: &Docker, server: Server) -> Result<()> {
    let host = server.host();
    for (name, image) in
        [("team/busybox:1", fixtures::busybox()?), ("debian:12", fixtures::debian()?)]
    {
        publish(&docker.home, &image, &server, &format!("source/{name}"))?;
        let pulled = docker.pull(&format!("{host}/source/{name}"))?;
        same("the digest that docker pulled", &pulled, &image.digest)?;
        let id = docker.id(&format!("{host}/source/{name}"))?;

        docker.run(&format!("tag {host}/source/{name} {host}/{name}"))?;
        let pushed = docker.push(&format!("{host}/{name}"))?;
        let (repository, tag) = crate::split(name);
        arrived(&server, repository, tag, &pushed)?;

        docker.remove_all_images()?;
        same("the digest after the way back", &docker.pull(&format!("{host}/{name}"))?, &pushed)?;
        same("the image id after the way back", &docker.id(&format!("{host}/{name}"))?, &id)?;

        docker.remove_all_images()?;
        docker.run(&format!("pull {host}/{repository}@{pushed}"))?;
        same("the image id by digest", &docker.id(&format!("{host}/{repository}@{pushed}"))?, &id)?;
    }
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn builds_and_pushes_all_tags() -> Result<()> {
    let (docker, server) = (Docker::start()?, Server::start()?);
    let host = server.host();
    let context = docker.home.path("context");
    std::fs::create_dir(&context)?;
    std::fs::write(context.join("hello"), "hello\n")?;
    std::fs::write(
        context.join("Dockerfile"),
        "FROM scratch\nCOPY hello /hello\nCMD [\"/hello\"]\n",
    )?;
    docker.run(&format!(
        "build --quiet --tag {host}/built:1 --tag {host}/built:2 {}",
        context.display()
    ))?;
    docker.run(&format!("push --all-tags {host}/built"))?;
    same("the tags", &server.registry().tags("built")?, &vec!["1".to_owned(), "2".to_owned()])?;
    docker.remove_all_images()?;
    docker.run(&format!("pull --all-tags {host}/built"))?;
    same(
        "the two images",
        &docker.id(&format!("{host}/built:1"))?,
        &docker.id(&format!("{host}/built:2"))?,
    )?;
    docker.stop()?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn makes_a_manifest_list_and_pulls_its_own_platform() -> Result<()> {
    let (docker, server) = (Docker::start()?, Server::start()?);
    let (host, index) = (server.host(), fixtures::multi_platform()?.oci());
    for architecture in ["amd64", "arm64"] {
        docker.home.run(&format!(
            "skopeo --override-arch {architecture} copy --format v2s2 --dest-tls-verify=false {index} docker://{host}/multi:{architecture}"
        ))?;
    }
    docker.run(&format!(
        "manifest create --insecure {host}/multi:1 {host}/multi:amd64 {host}/multi:arm64"
    ))?;
    docker.run(&format!(
        "manifest annotate --os-features made-here {host}/multi:1 {host}/multi:arm64"
    ))?;
    let pushed = first_digest(&docker.run(&format!("manifest push --insecure {host}/multi:1"))?)?;
    arrived(&server, "multi", "1", &pushed)?;
    let manifest = server.registry().manifest("multi", "1")?;
    same(
        "the media type",
        &manifest.media_type.as_str(),
        &"application/vnd.docker.distribution.manifest.list.v2+json",
    )?;
    let inspected = docker.run(&format!("manifest inspect --insecure {host}/multi:1"))?;
    ensure!(inspected.contains("made-here"), "the annotation is lost:\n{inspected}");
    docker.pull(&format!("{host}/multi:1"))?;
    let architecture =
        docker.run(&format!("image inspect --format {{{{.Architecture}}}} {host}/multi:1"))?;
    same("the platform that was pulled", &architecture.as_str(), &"amd64")?;
    docker.stop()?;
    server.stop()
}

/// What a reader of the books types: rows R2, R3 and R4.
#[test]
#[ignore = "run by cargo xtask clients"]
fn follows_the_walk_through_of_a_local_registry() -> Result<()> {
    let registry_storage = tempfile::tempdir()?;
    let docker = Docker::start()?;
    let server = Launch::filesystem(registry_storage.path())?.start()?;
    let registry = format!("localhost:{}", server.address().port());
    publish(&docker.home, &fixtures::debian()?, &server, "source:latest")?;
    docker.run(&format!("pull {registry}/source"))?;
    docker.run(&format!("tag {registry}/source ubuntu"))?;
    let id = docker.id("ubuntu")?;

    docker.run(&format!("tag ubuntu {registry}/local-ubuntu-image"))?;
    let printed = docker.run(&format!("push {registry}/local-ubuntu-image"))?;
    let last = printed.lines().last().unwrap_or_default();
    ensure!(
        last.starts_with("latest: digest: sha256:") && last.contains(" size: "),
        "docker push ended in: {last}"
    );

    let repository =
        registry_storage.path().join("docker/registry/v2/repositories/local-ubuntu-image");
    // Link files are written just after the answer.
    wait::until("the repository has a folder", || Ok(repository.is_dir()))?;

    docker.remove_all_images()?;
    let pulled = docker.pull(&format!("{registry}/local-ubuntu-image"))?;
    same("the digest", &pulled, &first_digest(last)?)?;
    same("the image id", &docker.id(&format!("{registry}/local-ubuntu-image"))?, &id)?;
    docker.stop()?;
    server.stop()
}
