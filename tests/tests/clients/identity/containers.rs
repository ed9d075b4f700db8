//! The tools of the containers project.

use std::fs;

use anyhow::Result;
use berth_tests::Home;
use berth_tests::fixtures::{self, Layout};

use super::{ALICE, DENIED, Guarded, User, WRONG, says};
use crate::buildah::buildah;
use crate::podman::podman;
use crate::same;

fn login(program: &str, guarded: &Guarded, user: User) -> String {
    let (folder, host) = (guarded.trusted(), guarded.host());
    format!("{program} login --cert-dir {folder} --username {} --password-stdin {host}", user.name)
}

/// Logs in, with a wrong password first.
fn log_in(home: &Home, program: &str, guarded: &Guarded) -> Result<()> {
    let wrong =
        home.refused_with_input(&login(program, guarded, WRONG), WRONG.password.as_bytes())?;
    says(&wrong, &["invalid username/password"])?;
    home.run_with_input(&login(program, guarded, ALICE), ALICE.password.as_bytes())?;
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn skopeo_logs_in_and_copies_there_and_back() -> Result<()> {
    let (home, guarded) = (Home::new()?, Guarded::start()?);
    let (host, folder, image) = (guarded.host(), guarded.trusted(), fixtures::busybox()?);
    let push = |name: &str| {
        let source = image.oci();
        format!(
            "skopeo copy --preserve-digests --dest-cert-dir {folder} {source} docker://{host}/{name}"
        )
    };
    let pull = |name: &str, to: &str| {
        let to = home.path(to);
        format!("skopeo copy --src-cert-dir {folder} docker://{host}/{name} oci:{}:1", to.display())
    };
    guarded.publish(&home, &image, "public/app:1")?;
    guarded.publish(&home, &image, "other/app:1")?;
    home.run(&pull("public/app:1", "public"))?;
    says(&home.refused(&push("team/app:1"))?, &DENIED)?;
    log_in(&home, "skopeo", &guarded)?;
    home.run(&push("team/app:1"))?;
    guarded.arrived("team/app:1", &image.digest)?;
    home.run(&pull("team/app:1", "back"))?;
    same("the way back", &Layout::open(&home.path("back"))?.digest, &image.digest)?;
    for refused in [push("other/app:2"), push("public/app:2"), pull("other/app:1", "none")] {
        says(&home.refused(&refused)?, &DENIED)?;
    }
    home.run(&format!("skopeo logout {host}"))?;
    says(&home.refused(&pull("team/app:1", "none"))?, &DENIED)?;
    guarded.stop(&[])
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn podman_logs_in_pushes_and_pulls() -> Result<()> {
    let (home, guarded) = (Home::new()?, Guarded::start()?);
    let (host, folder, image) = (guarded.host(), guarded.trusted(), fixtures::busybox()?);
    let pull = |name: &str| format!("pull --quiet --cert-dir {folder} {host}/{name}");
    guarded.publish(&home, &image, "public/app:1")?;
    let id = podman(&home, &pull("public/app:1"))?;
    log_in(&home, "podman", &guarded)?;
    for name in ["team/app:1", "other/app:1"] {
        podman(&home, &format!("tag {id} {host}/{name}"))?;
    }
    let digest = home.path("digest");
    let push = format!("push --cert-dir {folder} --digestfile {}", digest.display());
    podman(&home, &format!("{push} {host}/team/app:1"))?;
    guarded.arrived("team/app:1", &fs::read_to_string(&digest)?)?;
    says(&refused(podman(&home, &format!("{push} {host}/other/app:1")))?, &DENIED)?;
    podman(&home, "rmi --all --force")?;
    same("the image id after the way back", &podman(&home, &pull("team/app:1"))?, &id)?;
    home.run(&format!("podman logout {host}"))?;
    says(&refused(podman(&home, &pull("team/app:1")))?, &DENIED)?;
    guarded.stop(&[])
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn buildah_logs_in_pushes_and_pulls() -> Result<()> {
    let (home, guarded) = (Home::new()?, Guarded::start()?);
    let (host, folder, image) = (guarded.host(), guarded.trusted(), fixtures::busybox()?);
    let pull = |name: &str| format!("pull --quiet --cert-dir {folder} {host}/{name}");
    guarded.publish(&home, &image, "public/app:1")?;
    let id = buildah(&home, &pull("public/app:1"))?;
    log_in(&home, "buildah", &guarded)?;
    let digest = home.path("digest");
    let push = format!("push --cert-dir {folder} --digestfile {} {id}", digest.display());
    buildah(&home, &format!("{push} docker://{host}/team/app:1"))?;
    guarded.arrived("team/app:1", &fs::read_to_string(&digest)?)?;
    says(&refused(buildah(&home, &format!("{push} docker://{host}/other/app:1")))?, &DENIED)?;
    buildah(&home, "rmi --all --force")?;
    same("the image id after the way back", &buildah(&home, &pull("team/app:1"))?, &id)?;
    home.run(&format!("buildah logout {host}"))?;
    // What is there already is not asked for again.
    buildah(&home, "rmi --all --force")?;
    says(&refused(buildah(&home, &pull("team/app:1")))?, &DENIED)?;
    guarded.stop(&[])
}

/// What a command said that must have failed.
fn refused(outcome: Result<String>) -> Result<String> {
    match outcome {
        Ok(printed) => anyhow::bail!("it should fail and did not:\n{printed}"),
        Err(error) => Ok(format!("{error:#}")),
    }
}
