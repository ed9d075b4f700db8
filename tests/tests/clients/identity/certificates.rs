//! Clients whose certificate says who they are, and who have no password.

use std::fs;
use std::net::IpAddr;

use anyhow::{Result, bail};
use berth_tests::authority::{Authority, Trust};
use berth_tests::fixtures::{self, Layout};
use berth_tests::{Home, Launch, Server};

use super::{DENIED, says};
use crate::containerd::Containerd;
use crate::docker::Docker;
use crate::podman::podman;
use crate::tls::{DockerTrust, outer_address, write};
use crate::{arrived, same};

const GRANTS: &str = "['allow user:alice writer team/**', 'allow user:carol maintainer **']";

/// A registry that knows people by their certificates, and the folders of two who have one.
struct Certified {
    server: Server,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Certified {
    fn start(address: IpAddr) -> Result<Self> {
        let (authority, folder) = (Authority::new("registry")?, tempfile::tempdir()?);
        let pair = authority.server_at(&address.to_string())?.write(folder.path(), "server")?;
        let (file, carol) = (folder.path().join("authority.crt"), authority.client("carol")?);
        fs::write(&file, authority.certificate())?;
        for name in ["alice", "carol"] {
            let client = authority.client(name)?;
            write(&folder.path().join(name), &authority.certificate(), Some(&client))?;
        }
        let port = berth_tests::server::free_address()?.port();
        let server = Launch::temporary()?
            .tls(&pair, Trust { identity: Some(carol), ..authority.trust() })
            .address((address, port).into())
            .env("REGISTRY_HTTP_TLS_CLIENTCAS_0", &file)
            .env("REGISTRY_AUTH_CERTIFICATES_ENABLED", "true")
            .env("REGISTRY_AUTH_GRANTS", GRANTS)
            .start()?;
        Ok(Self { server, authority, folder })
    }

    /// What podman and skopeo look for of somebody's.
    fn of(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn publish(&self, home: &Home, image: &Layout, name: &str) -> Result<()> {
        let (folder, source) = (self.of("carol"), image.oci());
        home.run(&format!(
            "skopeo copy --preserve-digests --dest-cert-dir {folder} {source} docker://{}/{name}",
            self.server.host()
        ))?;
        Ok(())
    }
}

fn loopback() -> IpAddr {
    std::net::Ipv4Addr::LOCALHOST.into()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn skopeo_and_podman_are_who_their_certificate_says() -> Result<()> {
    let (home, certified) = (Home::new()?, Certified::start(loopback())?);
    let (host, alice, image) =
        (certified.server.host(), certified.of("alice"), fixtures::busybox()?);
    certified.publish(&home, &image, "other/app:1")?;
    let push = |name: &str| {
        let source = image.oci();
        format!(
            "skopeo copy --preserve-digests --dest-cert-dir {alice} {source} docker://{host}/{name}"
        )
    };
    home.run(&push("team/app:1"))?;
    arrived(&certified.server, "team/app", "1", &image.digest)?;
    says(&home.refused(&push("other/app:2"))?, &DENIED)?;
    says(
        &home.refused(&format!("skopeo inspect --cert-dir {alice} docker://{host}/other/app:1"))?,
        &DENIED,
    )?;

    podman(&home, &format!("pull --quiet --cert-dir {alice} {host}/team/app:1"))?;
    for (name, allowed) in [("team/app:2", true), ("other/app:2", false)] {
        podman(&home, &format!("tag {host}/team/app:1 {host}/{name}"))?;
        match podman(&home, &format!("push --cert-dir {alice} {host}/{name}")) {
            Ok(_) if allowed => {}
            Err(error) if !allowed => says(&format!("{error:#}"), &DENIED)?,
            other => bail!("{name}: {other:?}"),
        }
    }
    certified.server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn oras_is_who_its_certificate_says() -> Result<()> {
    let (home, certified) = (Home::new()?, Certified::start(loopback())?);
    let (host, alice) = (certified.server.host(), certified.of("alice"));
    let options = format!(
        "--ca-file {alice}/ca.crt --cert-file {alice}/client.cert --key-file {alice}/client.key"
    );
    fs::write(home.path("home/file.bin"), vec![7; 3 << 20])?;
    home.run(&format!("oras push {options} {host}/team/files:1 file.bin"))?;
    let back = home.path("back");
    home.run(&format!("oras pull {options} --output {} {host}/team/files:1", back.display()))?;
    same("file.bin", &fs::read(back.join("file.bin"))?, &vec![7; 3 << 20])?;
    says(&home.refused(&format!("oras push {options} {host}/other/files:1 file.bin"))?, &DENIED)?;
    certified.server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn containerd_is_who_its_certificate_says() -> Result<()> {
    let (containerd, certified) = (Containerd::start()?, Certified::start(loopback())?);
    let (host, alice, image) =
        (certified.server.host(), certified.of("alice"), fixtures::busybox()?);
    let hosts = containerd.home.path("hosts");
    fs::create_dir_all(hosts.join(&host))?;
    fs::write(
        hosts.join(&host).join("hosts.toml"),
        format!(
            "server = \"https://{host}\"\n[host.\"https://{host}\"]\n  ca = \"{alice}/ca.crt\"\n  client = [[\"{alice}/client.cert\", \"{alice}/client.key\"]]\n"
        ),
    )?;
    let hosts = hosts.display();
    let (team, other) = (format!("{host}/team/app:latest"), format!("{host}/other/app:latest"));
    containerd.import(&image, &team)?;
    containerd.ctr(&format!("images tag {team} {other}"))?;
    containerd.ctr(&format!("images push --hosts-dir {hosts} {team}"))?;
    arrived(&certified.server, "team/app", "latest", &image.digest)?;
    let Err(refused) = containerd.ctr(&format!("images push --hosts-dir {hosts} {other}")) else {
        bail!("containerd may push to {other}");
    };
    println!("{refused:#}");
    same(
        "what is there",
        &certified.server.registry().repositories()?,
        &vec!["team/app".to_owned()],
    )?;
    containerd.ctr(&format!("images rm --sync {team}"))?;
    containerd.ctr(&format!("images pull --hosts-dir {hosts} --snapshotter native {team}"))?;
    same("the digest after the way back", &containerd.digest(&team)?, &image.digest)?;
    containerd.stop()?;
    certified.server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn docker_is_who_its_certificate_says() -> Result<()> {
    let (docker, certified) = (Docker::start()?, Certified::start(outer_address()?)?);
    let (host, image) = (certified.server.host(), fixtures::busybox()?);
    for name in ["team/app:1", "other/app:1"] {
        certified.publish(&docker.home, &image, name)?;
    }
    let alice = certified.authority.client("alice")?;
    let trust = DockerTrust::new(&host, &certified.authority.certificate(), &alice)?;
    same("the digest", &docker.pull(&format!("{host}/team/app:1"))?, &image.digest)?;
    says(&docker.home.refused(&format!("docker pull {host}/other/app:1"))?, &DENIED)?;
    for name in ["team/app:2", "other/app:2"] {
        docker.run(&format!("tag {host}/team/app:1 {host}/{name}"))?;
    }
    let pushed = docker.push(&format!("{host}/team/app:2"))?;
    arrived(&certified.server, "team/app", "2", &pushed)?;
    says(&docker.home.refused(&format!("docker push {host}/other/app:2"))?, &DENIED)?;
    drop(trust);
    docker.stop()?;
    certified.server.stop()
}
