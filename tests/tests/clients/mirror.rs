//! Clients that find Docker Hub, as they think, in a mirror: each by its own way in.

use std::fs;

use anyhow::{Result, ensure};
use berth_test_stores::FaultProxy;
use berth_tests::fixtures::{self, Layout};
use berth_tests::{Home, Launch, Server, Target};

use crate::containerd::Containerd;
use crate::docker::Docker;
use crate::podman::podman;
use crate::{publish, same};

/// What stands for Docker Hub: Debian's docker-registry with an official image, and a mirror of it.
struct Hub {
    upstream: Server,
    proxy: FaultProxy,
    mirror: Server,
    image: Layout,
}

impl Hub {
    /// A mirror of all repositories with this prefix.
    fn start(home: &Home, prefix: &str) -> Result<Self> {
        let upstream = Launch::temporary()?.target(Target::DockerRegistry).start()?;
        let image = fixtures::busybox()?;
        publish(home, &image, &upstream, "library/box:1")?;
        let proxy = FaultProxy::start(&format!("http://{}", upstream.host()))?;
        let mirror = Launch::temporary()?
            .target(Target::Berth)
            .env("REGISTRY_MIRRORS_0_PREFIX", prefix)
            .env("REGISTRY_MIRRORS_0_HOST", "docker.io")
            .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_URL", proxy.endpoint())
            .start()?;
        Ok(Self { upstream, proxy, mirror, image })
    }

    /// Nothing was fetched twice, and something was.
    fn stop(self) -> Result<()> {
        let mut fetched: Vec<String> = Vec::new();
        for seen in self.proxy.requests() {
            if seen.method == "GET" && seen.path.starts_with("/v2/library/box/") {
                ensure!(!fetched.contains(&seen.path), "{} was fetched twice", seen.path);
                fetched.push(seen.path);
            }
        }
        ensure!(fetched.len() >= 3, "a manifest and its blobs: {fetched:?}");
        self.mirror.stop()?;
        self.upstream.stop()
    }
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn dockerd_pulls_through_registry_mirrors() -> Result<()> {
    let hub = Hub::start(&Home::new()?, "*")?;
    let mirrors = format!(r#"{{"registry-mirrors": ["http://{}"]}}"#, hub.mirror.host());
    let docker = Docker::start_with(&mirrors)?;
    for _ in 0..2 {
        same("the digest that docker pulled", &docker.pull("box:1")?, &hub.image.digest)?;
        docker.remove_all_images()?;
    }
    docker.stop()?;
    hub.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn containerd_pulls_by_hosts_toml_and_says_whose_image_it_wants() -> Result<()> {
    let containerd = Containerd::start()?;
    let hub = Hub::start(&containerd.home, "docker.io")?;
    let folder = containerd.home.path("certs.d/docker.io");
    fs::create_dir_all(&folder)?;
    fs::write(
        folder.join("hosts.toml"),
        format!(
            "server = \"https://nowhere.invalid\"\n[host.\"http://{}\"]\ncapabilities = [\"pull\", \"resolve\"]\n",
            hub.mirror.host()
        ),
    )?;
    let hosts = containerd.home.path("certs.d");
    let name = "docker.io/library/box:1";
    for _ in 0..2 {
        containerd.ctr(&format!("images pull --hosts-dir {} {name}", hosts.display()))?;
        same("the digest that containerd pulled", &containerd.digest(name)?, &hub.image.digest)?;
        containerd.ctr(&format!("images rm --sync {name}"))?;
    }
    containerd.stop()?;
    hub.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn podman_and_skopeo_pull_by_registries_conf() -> Result<()> {
    let mut home = Home::new()?;
    let hub = Hub::start(&home, "docker.io")?;
    let conf = home.path("registries.conf");
    fs::write(
        &conf,
        format!(
            "[[registry]]\nprefix = \"docker.io\"\nlocation = \"nowhere.invalid\"\n\
             [[registry.mirror]]\nlocation = \"{}/docker.io\"\ninsecure = true\n",
            hub.mirror.host()
        ),
    )?;
    home.set("CONTAINERS_REGISTRIES_CONF", conf.clone());
    podman(&home, "pull --quiet docker.io/library/box:1")?;
    podman(&home, "rmi --all --force")?;
    podman(&home, "pull --quiet docker.io/library/box:1")?;
    let digest = home.run(&format!(
        "skopeo --registries-conf {} inspect --no-tags --format {{{{.Digest}}}} docker://docker.io/library/box:1",
        conf.display()
    ))?;
    same("the digest that skopeo sees", &digest, &hub.image.digest)?;
    hub.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn crane_pulls_by_the_prefix_and_lists_the_tags_of_the_upstream() -> Result<()> {
    let home = Home::new()?;
    let hub = Hub::start(&home, "docker.io")?;
    let name = format!("{}/docker.io/library/box", hub.mirror.host());
    same(
        "the digest that crane sees",
        &home.run(&format!("crane digest {name}:1"))?,
        &hub.image.digest,
    )?;
    home.run(&format!("crane validate --remote {name}:1"))?;
    same("the tags", &home.run(&format!("crane ls {name}"))?.as_str(), &"1")?;
    hub.stop()
}
