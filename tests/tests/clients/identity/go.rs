//! Clients that look for authorities where Go programs do.

use std::fs;

use anyhow::{Context, Result};
use berth_tests::Home;
use berth_tests::fixtures::{self, Layout};
use berth_tests::registry::sha256_of_file;

use super::{ALICE, DENIED, Guarded, UNAUTHORIZED, WRONG, says};
use crate::{first_digest, same};

fn start() -> Result<(Home, Guarded)> {
    let (mut home, guarded) = (Home::new()?, Guarded::start()?);
    home.set("SSL_CERT_FILE", guarded.authority());
    Ok((home, guarded))
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn crane_logs_in_pushes_and_pulls() -> Result<()> {
    let (home, guarded) = start()?;
    let (host, image) = (guarded.host(), fixtures::busybox()?);
    let login = format!("crane auth login {host} --username {} --password-stdin", ALICE.name);
    let push = |name: &str| format!("crane push {} {host}/{name}", image.path.display());
    guarded.publish(&home, &image, "public/app:1")?;
    guarded.publish(&home, &image, "other/app:1")?;
    home.run(&format!("crane validate --remote {host}/public/app:1"))?;
    says(&home.refused(&push("team/app:1"))?, &DENIED)?;
    // It keeps whatever it is given, and shows it when it has to.
    home.run_with_input(&login, WRONG.password.as_bytes())?;
    says(&home.refused(&push("team/app:1"))?, &UNAUTHORIZED)?;
    home.run_with_input(&login, ALICE.password.as_bytes())?;
    home.run(&push("team/app:1"))?;
    guarded.arrived("team/app:1", &image.digest)?;
    let back = home.path("back");
    home.run(&format!("crane pull --format oci {host}/team/app:1 {}", back.display()))?;
    same("the digest after the way back", &Layout::open(&back)?.digest, &image.digest)?;
    says(&home.refused(&push("other/app:2"))?, &DENIED)?;
    says(&home.refused(&format!("crane digest --full-ref {host}/other/app:1"))?, &DENIED)?;
    home.run(&format!("crane copy {host}/public/app:1 {host}/team/copy:1"))?;
    guarded.arrived("team/copy:1", &image.digest)?;
    same(
        "what alice sees",
        &home.run(&format!("crane catalog {host}"))?.as_str(),
        &"public/app\nteam/app\nteam/copy",
    )?;
    home.run(&format!("crane auth logout {host}"))?;
    home.refused(&format!("crane manifest {host}/team/app:1"))?;
    guarded.stop(&[])
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn oras_logs_in_pushes_and_pulls() -> Result<()> {
    let (home, guarded) = start()?;
    let host = guarded.host();
    let login = format!("oras login --username {} --password-stdin {host}", ALICE.name);
    fs::write(home.path("home/file.bin"), vec![7; 3 << 20])?;
    let wrong = home.refused_with_input(&login, WRONG.password.as_bytes())?;
    says(&wrong, &UNAUTHORIZED)?;
    home.run_with_input(&login, ALICE.password.as_bytes())?;
    let pushed = home.run(&format!("oras push {host}/team/files:1 file.bin"))?;
    let (_, digest) = pushed.rsplit_once("Digest: ").context("no digest")?;
    guarded.arrived("team/files:1", &first_digest(digest)?)?;
    let back = home.path("back");
    home.run(&format!("oras pull --output {} {host}/team/files:1", back.display()))?;
    same("file.bin", &fs::read(back.join("file.bin"))?, &vec![7; 3 << 20])?;
    says(&home.refused(&format!("oras push {host}/other/files:1 file.bin"))?, &DENIED)?;
    home.run(&format!("oras logout {host}"))?;
    home.refused(&format!("oras pull --output {} {host}/team/files:1", back.display()))?;
    guarded.stop(&[])
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn helm_logs_in_pushes_and_pulls() -> Result<()> {
    let (home, guarded) = start()?;
    let host = guarded.host();
    let login = format!("helm registry login --username {} --password-stdin {host}", ALICE.name);
    home.run("helm create webapp")?;
    home.run("helm package --version 1.2.3 webapp")?;
    says(&home.refused_with_input(&login, WRONG.password.as_bytes())?, &UNAUTHORIZED)?;
    home.run_with_input(&login, ALICE.password.as_bytes())?;
    home.run(&format!("helm push webapp-1.2.3.tgz oci://{host}/team"))?;
    let digest = guarded.server.registry().manifest("team/webapp", "1.2.3")?.digest;
    guarded.arrived("team/webapp:1.2.3", &digest)?;
    let back = home.path("back");
    fs::create_dir(&back)?;
    let pull = format!(
        "helm pull --version 1.2.3 --destination {} oci://{host}/team/webapp",
        back.display()
    );
    home.run(&pull)?;
    same(
        "the chart after the way back",
        &sha256_of_file(&back.join("webapp-1.2.3.tgz"))?,
        &sha256_of_file(&home.path("home/webapp-1.2.3.tgz"))?,
    )?;
    says(&home.refused(&format!("helm push webapp-1.2.3.tgz oci://{host}/other"))?, &DENIED)?;
    home.run(&format!("helm registry logout {host}"))?;
    home.refused(&pull)?;
    guarded.stop(&[])
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn regctl_logs_in_and_copies_there_and_back() -> Result<()> {
    let (home, guarded) = start()?;
    let (host, image) = (guarded.host(), fixtures::busybox()?);
    let login = format!("regctl registry login {host} --user {} --pass-stdin", ALICE.name);
    let source = format!("ocidir://{}:latest", image.path.display());
    says(&home.refused_with_input(&login, WRONG.password.as_bytes())?, &UNAUTHORIZED)?;
    home.run_with_input(&login, ALICE.password.as_bytes())?;
    home.run(&format!("regctl image copy {source} {host}/team/app:1"))?;
    guarded.arrived("team/app:1", &image.digest)?;
    let copy = format!("ocidir://{}:1", home.path("copy").display());
    home.run(&format!("regctl image copy {host}/team/app:1 {copy}"))?;
    same("the way back", &home.run(&format!("regctl image digest {copy}"))?, &image.digest)?;
    says(&home.refused(&format!("regctl image copy {source} {host}/other/app:1"))?, &DENIED)?;
    home.run(&format!("regctl registry logout {host}"))?;
    home.refused(&format!("regctl image digest {host}/team/app:1"))?;
    guarded.stop(&[])
}
