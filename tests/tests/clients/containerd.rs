use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use berth_tests::fixtures::{self, Layout};
use berth_tests::process::Daemon;
use berth_tests::{Home, Server};

use crate::{arrived, same};

/// A containerd of the test's own.
pub(crate) struct Containerd {
    pub(crate) home: Home,
    daemon: Daemon,
}

impl Containerd {
    pub(crate) fn start() -> Result<Self> {
        let home = Home::new()?;
        let socket = home.path("run/containerd.sock");
        let config = home.path("containerd.toml");
        std::fs::write(
            &config,
            format!(
                "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{}\"\n",
                home.path("containerd").display(),
                home.path("run/containerd").display(),
                socket.display()
            ),
        )?;
        let mut daemon =
            home.daemon("containerd", &format!("containerd --config {}", config.display()))?;
        daemon.wait_until(|| UnixStream::connect(&socket).is_ok())?;
        Ok(Self { home, daemon })
    }

    pub(crate) fn ctr(&self, arguments: &str) -> Result<String> {
        let socket = self.home.path("run/containerd.sock");
        self.home.run(&format!("ctr --address {} {arguments}", socket.display()))
    }

    /// Loads an image as `name`, which must end in the tag `latest`, as the layouts here do.
    pub(crate) fn import(&self, image: &Layout, name: &str) -> Result<()> {
        let archive = self.home.path("image.tar");
        let (archive, layout) = (archive.display(), image.path.display());
        self.home.run(&format!("tar --create --file {archive} --directory {layout} ."))?;
        let (base, _) = crate::split(name);
        self.ctr(&format!("images import --no-unpack --base-name {base} {archive}"))?;
        same("the imported digest", &self.digest(name)?, &image.digest)
    }

    /// The digest of the image `name` as containerd stores it.
    pub(crate) fn digest(&self, name: &str) -> Result<String> {
        let list = self.ctr(&format!("images ls name=={name}"))?;
        let line = list
            .lines()
            .nth(1)
            .with_context(|| format!("containerd has no image {name}:\n{list}"))?;
        crate::first_digest(line)
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.daemon.stop()?;
        Ok(())
    }
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_an_image_and_pulls_the_same_back() -> Result<()> {
    let (containerd, server) = (Containerd::start()?, Server::start()?);
    let host = server.host();
    for (repository, image) in
        [("team/busybox", fixtures::busybox()?), ("debian", fixtures::debian()?)]
    {
        let full = format!("{host}/{repository}:latest");
        containerd.import(&image, &full)?;
        containerd.ctr(&format!("images push --plain-http {full}"))?;
        arrived(&server, repository, "latest", &image.digest)?;

        containerd.ctr(&format!("images rm --sync {full}"))?;
        containerd.ctr(&format!("images pull --plain-http --snapshotter native {full}"))?;
        same("the digest after the way back", &containerd.digest(&full)?, &image.digest)?;
        containerd.ctr(&format!("images rm --sync {full}"))?;
    }
    containerd.stop()?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn pulls_all_platforms_and_pushes_them_elsewhere() -> Result<()> {
    let (containerd, server) = (Containerd::start()?, Server::start()?);
    let (host, index) = (server.host(), fixtures::multi_platform()?);
    crate::publish(&containerd.home, &index, &server, "multi:1")?;
    containerd.ctr(&format!(
        "images pull --plain-http --all-platforms --snapshotter native {host}/multi:1"
    ))?;
    same(
        "the digest that was pulled",
        &containerd.digest(&format!("{host}/multi:1"))?,
        &index.digest,
    )?;
    containerd.ctr(&format!("images tag {host}/multi:1 {host}/other/multi:2"))?;
    containerd.ctr(&format!("images push --plain-http {host}/other/multi:2"))?;
    arrived(&server, "other/multi", "2", &index.digest)?;
    containerd.stop()?;
    server.stop()
}
