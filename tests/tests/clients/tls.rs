//! Clients that trust the registry's certificate, and show one of their own.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use berth_tests::authority::{Authority, Issued, Trust};
use berth_tests::fixtures::{self, Layout};
use berth_tests::{Home, Launch, Server};

use crate::containerd::Containerd;
use crate::docker::Docker;
use crate::{arrived, first_digest, podman, same};

/// A registry that lets in who has a certificate of its authority, and one client's.
struct Mutual {
    server: Server,
    authority: String,
    client: Issued,
    _folder: tempfile::TempDir,
}

impl Mutual {
    fn start() -> Result<Self> {
        let (authority, folder) = (Authority::new("registry")?, tempfile::tempdir()?);
        let pair = authority.server()?.write(folder.path(), "server")?;
        let file = folder.path().join("authority.crt");
        fs::write(&file, authority.certificate())?;
        let client = authority.client("tester")?;
        let trust = Trust { identity: Some(client.clone()), ..authority.trust() };
        let server = Launch::temporary()?
            .tls(&pair, trust)
            .env("REGISTRY_HTTP_TLS_CLIENTCAS_0", &file)
            .start()?;
        Ok(Self { server, authority: authority.certificate(), client, _folder: folder })
    }

    /// The files that docker, podman and skopeo look for.
    fn write(&self, folder: &Path) -> Result<()> {
        write(folder, &self.authority, Some(&self.client))
    }
}

pub(crate) fn write(folder: &Path, authority: &str, client: Option<&Issued>) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("ca.crt"), authority)?;
    if let Some(client) = client {
        fs::write(folder.join("client.cert"), &client.certificate)?;
        fs::write(folder.join("client.key"), &client.key)?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn skopeo_pushes_and_pulls_with_a_certificate_of_its_own() -> Result<()> {
    let (home, tls) = (Home::new()?, Mutual::start()?);
    let (host, image) = (tls.server.host(), fixtures::debian()?);
    let (trusted, nameless) = (home.path("trusted"), home.path("nameless"));
    tls.write(&trusted)?;
    write(&nameless, &tls.authority, None)?;
    let copy = |folder: &Path| {
        let (source, folder) = (image.oci(), folder.display());
        format!(
            "skopeo copy --preserve-digests --dest-cert-dir {folder} {source} docker://{host}/debian:12"
        )
    };
    home.refused(&copy(&nameless))?;
    home.run(&copy(&trusted))?;
    arrived(&tls.server, "debian", "12", &image.digest)?;
    let back = home.path("back");
    home.run(&format!(
        "skopeo copy --src-cert-dir {} docker://{host}/debian:12 oci:{}:1",
        trusted.display(),
        back.display()
    ))?;
    same("the digest after the way back", &Layout::open(&back)?.digest, &image.digest)?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn podman_pushes_and_pulls_with_a_certificate_of_its_own() -> Result<()> {
    let (home, tls) = (Home::new()?, Mutual::start()?);
    let (host, image) = (tls.server.host(), fixtures::busybox()?);
    let trusted = home.path("trusted");
    tls.write(&trusted)?;
    let trusted = trusted.display();
    home.run(&format!(
        "skopeo copy --preserve-digests --dest-cert-dir {trusted} {} docker://{host}/source:1",
        image.oci()
    ))?;
    podman::podman(&home, &format!("pull --quiet --cert-dir {trusted} {host}/source:1"))?;
    podman::podman(&home, &format!("tag {host}/source:1 {host}/busybox:1"))?;
    let digest = home.path("digest");
    let push = format!("push --cert-dir {trusted} --digestfile {}", digest.display());
    podman::podman(&home, &format!("{push} {host}/busybox:1"))?;
    arrived(&tls.server, "busybox", "1", &fs::read_to_string(&digest)?)?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn oras_pushes_and_pulls_with_a_certificate_of_its_own() -> Result<()> {
    let (home, tls) = (Home::new()?, Mutual::start()?);
    let (host, trusted) = (tls.server.host(), home.path("trusted"));
    tls.write(&trusted)?;
    let file = |name: &str| trusted.join(name).display().to_string();
    let options = format!(
        "--ca-file {} --cert-file {} --key-file {}",
        file("ca.crt"),
        file("client.cert"),
        file("client.key")
    );
    fs::write(home.path("home/file.bin"), vec![7; 3 << 20])?;
    let pushed = home.run(&format!("oras push {options} {host}/files:1 file.bin"))?;
    let (_, digest) = pushed.rsplit_once("Digest: ").context("no digest")?;
    arrived(&tls.server, "files", "1", &first_digest(digest)?)?;
    let back = home.path("back");
    home.run(&format!("oras pull {options} --output {} {host}/files:1", back.display()))?;
    same("file.bin", &fs::read(back.join("file.bin"))?, &vec![7; 3 << 20])?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn crane_pushes_and_pulls_where_it_trusts_the_authority() -> Result<()> {
    let (authority, folder) = (Authority::new("registry")?, tempfile::tempdir()?);
    let pair = authority.server()?.write(folder.path(), "server")?;
    let server = Launch::temporary()?.tls(&pair, authority.trust()).start()?;
    let (mut home, host, image) = (Home::new()?, server.host(), fixtures::debian()?);
    let push = format!("crane push {} {host}/debian:12", image.path.display());
    home.refused(&push)?;
    let file = home.path("authority.crt");
    fs::write(&file, authority.certificate())?;
    home.set("SSL_CERT_FILE", file);
    home.run(&push)?;
    arrived(&server, "debian", "12", &image.digest)?;
    home.run(&format!("crane validate --remote {host}/debian:12"))?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn containerd_pushes_and_pulls_with_a_certificate_of_its_own() -> Result<()> {
    let (containerd, tls) = (Containerd::start()?, Mutual::start()?);
    let (host, image) = (tls.server.host(), fixtures::debian()?);
    let hosts = containerd.home.path("hosts");
    let folder = hosts.join(&host);
    tls.write(&folder)?;
    let file = |name: &str| folder.join(name).display().to_string();
    fs::write(
        folder.join("hosts.toml"),
        format!(
            "server = \"https://{host}\"\n[host.\"https://{host}\"]\n  ca = \"{}\"\n  client = [[\"{}\", \"{}\"]]\n",
            file("ca.crt"),
            file("client.cert"),
            file("client.key")
        ),
    )?;
    let full = format!("{host}/debian:latest");
    let hosts = hosts.display();
    containerd.import(&image, &full)?;
    containerd.ctr(&format!("images push --hosts-dir {hosts} {full}"))?;
    arrived(&tls.server, "debian", "latest", &image.digest)?;
    containerd.ctr(&format!("images rm --sync {full}"))?;
    containerd.ctr(&format!("images pull --hosts-dir {hosts} --snapshotter native {full}"))?;
    same("the digest after the way back", &containerd.digest(&full)?, &image.digest)?;
    containerd.stop()?;
    tls.server.stop()
}

/// What the Docker daemon trusts for one registry; it looks nowhere else, and gone when this is.
pub(crate) struct DockerTrust(PathBuf);

impl DockerTrust {
    pub(crate) fn new(host: &str, authority: &str, client: &Issued) -> Result<Self> {
        let trust = Self(Path::new("/etc/docker/certs.d").join(host));
        write(&trust.0, authority, Some(client))?;
        Ok(trust)
    }
}

impl Drop for DockerTrust {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An address of this machine that is no loopback: there the daemon trusts any certificate.
pub(crate) fn outer_address() -> Result<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // Nothing is sent; this asks for the route.
    socket.connect("192.0.2.1:9").context("this machine has no address but loopback")?;
    Ok(socket.local_addr()?.ip())
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn docker_pushes_and_pulls_with_a_certificate_of_its_own() -> Result<()> {
    let (authority, folder) = (Authority::new("registry")?, tempfile::tempdir()?);
    let (address, port) = (outer_address()?, berth_tests::server::free_address()?.port());
    let pair = authority.server_at(&address.to_string())?.write(folder.path(), "server")?;
    let (file, client) = (folder.path().join("authority.crt"), authority.client("tester")?);
    fs::write(&file, authority.certificate())?;
    let server = Launch::temporary()?
        .tls(&pair, Trust { identity: Some(client.clone()), ..authority.trust() })
        .env("REGISTRY_HTTP_TLS_CLIENTCAS_0", &file)
        .address((address, port).into())
        .start()?;
    let (docker, image) = (Docker::start()?, fixtures::debian()?);
    let (host, trusted) = (server.host(), docker.home.path("trusted"));
    write(&trusted, &authority.certificate(), Some(&client))?;
    docker.home.run(&format!(
        "skopeo copy --preserve-digests --dest-cert-dir {} {} docker://{host}/source:1",
        trusted.display(),
        image.oci()
    ))?;
    docker.home.refused(&format!("docker pull {host}/source:1"))?;
    let trust = DockerTrust::new(&host, &authority.certificate(), &client)?;
    same(
        "the digest that docker pulled",
        &docker.pull(&format!("{host}/source:1"))?,
        &image.digest,
    )?;
    docker.run(&format!("tag {host}/source:1 {host}/debian:12"))?;
    let pushed = docker.push(&format!("{host}/debian:12"))?;
    arrived(&server, "debian", "12", &pushed)?;
    drop(trust);
    docker.stop()?;
    server.stop()
}
