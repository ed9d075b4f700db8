//! Real clients push and pull real images, and every digest is compared from one end to the other.
//!
//! They need programs that `cargo xtask setup` installs, so they are ignored unless `cargo xtask clients` asks for
//! them by name; a program that is missing is then a failure.

mod buildah;
mod containerd;
mod cosign;
mod crane;
mod distribution;
mod docker;
mod helm;
mod identity;
mod mirror;
mod nginx;
mod oras;
mod podman;
mod regctl;
mod skopeo;
mod tls;
mod umoci;

use anyhow::{Result, ensure};
use berth_tests::fixtures::Layout;
use berth_tests::{Home, Server};

/// Puts an image where a test wants it, with skopeo, and checks that it arrived as it is.
fn publish(home: &Home, layout: &Layout, server: &Server, name: &str) -> Result<()> {
    let (host, source) = (server.host(), layout.oci());
    home.run(&format!(
        "skopeo copy --all --preserve-digests --dest-tls-verify=false {source} docker://{host}/{name}"
    ))?;
    let (repository, tag) = split(name);
    arrived(server, repository, tag, &layout.digest)
}

/// Checks that `repository:reference` is `digest` and that all of it can be read back unharmed.
fn arrived(server: &Server, repository: &str, reference: &str, digest: &str) -> Result<()> {
    let (found, _) = server.registry().verify(repository, reference)?;
    ensure!(found == digest, "{repository}:{reference} is {found}, not {digest}");
    Ok(())
}

/// Checks that two digests, or two of anything else, are one.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, left: &T, right: &T) -> Result<()> {
    ensure!(left == right, "{what}: {left:?} is not {right:?}");
    Ok(())
}

/// `repository:tag` in two.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once(':').unwrap_or((name, "latest"))
}

/// The first `sha256:…` in what a client printed.
fn first_digest(text: &str) -> Result<String> {
    let start = text.find("sha256:");
    let digest = start.and_then(|start| text.get(start..start + "sha256:".len() + 64));
    digest.map(str::to_owned).ok_or_else(|| anyhow::anyhow!("no digest in:\n{text}"))
}
