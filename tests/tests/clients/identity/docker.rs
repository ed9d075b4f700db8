use std::fs;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_tests::fixtures;
use serde_json::Value;

use super::{ALICE, DENIED, Guarded, UNAUTHORIZED, User, WRONG, says};
use crate::docker::Docker;
use crate::same;

fn login(user: User, host: &str) -> String {
    format!("docker login --username {} --password-stdin {host}", user.name)
}

/// What docker keeps of a login: the name and the password, and an identity token.
fn kept(docker: &Docker, host: &str) -> Result<(String, Option<String>)> {
    let config = fs::read(docker.home.path("home/.docker/config.json"))?;
    let config: Value = serde_json::from_slice(&config)?;
    let kept = &config["auths"][host];
    let pair = BASE64_STANDARD.decode(kept["auth"].as_str().context("no login is kept")?)?;
    Ok((String::from_utf8(pair)?, kept["identitytoken"].as_str().map(str::to_owned)))
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn docker_logs_in_pushes_pulls_and_logs_out() -> Result<()> {
    let (docker, guarded) = (Docker::start()?, Guarded::start()?);
    let (home, host, image) = (&docker.home, guarded.host(), fixtures::busybox()?);
    for name in ["public/app:1", "other/app:1"] {
        guarded.publish(home, &image, name)?;
    }
    // What is public takes no login, and nothing else can be told from what is not there.
    same("the digest of nobody", &docker.pull(&format!("{host}/public/app:1"))?, &image.digest)?;
    says(&home.refused(&format!("docker pull {host}/other/app:1"))?, &DENIED)?;
    let id = docker.id(&format!("{host}/public/app:1"))?;
    for name in ["team/app:1", "other/app:2", "public/app:2"] {
        docker.run(&format!("tag {host}/public/app:1 {host}/{name}"))?;
        says(&home.refused(&format!("docker push {host}/{name}"))?, &DENIED)?;
    }

    let wrong = home.refused_with_input(&login(WRONG, &host), WRONG.password.as_bytes())?;
    says(&wrong, &UNAUTHORIZED)?;
    says(&wrong, &["the name or the password is wrong", "incorrect username or password"])?;
    home.run_with_input(&login(ALICE, &host), ALICE.password.as_bytes())?;
    // It keeps a token that the registry gave it, and no password.
    let (pair, token) = kept(&docker, &host)?;
    let token = token.context("docker keeps no identity token")?;
    ensure!(!pair.contains(ALICE.password), "docker keeps {pair}");

    let pushed = docker.push(&format!("{host}/team/app:1"))?;
    guarded.arrived("team/app:1", &pushed)?;
    for name in ["other/app:2", "public/app:2"] {
        says(&home.refused(&format!("docker push {host}/{name}"))?, &["denied"])?;
    }
    says(&home.refused(&format!("docker pull {host}/other/app:1"))?, &DENIED)?;
    docker.remove_all_images()?;
    let name = format!("{host}/team/app:1");
    same("the digest after the way back", &docker.pull(&name)?, &pushed)?;
    same("the image id after the way back", &docker.id(&name)?, &id)?;

    docker.run(&format!("logout {host}"))?;
    docker.remove_all_images()?;
    says(&home.refused(&format!("docker pull {name}"))?, &DENIED)?;
    same("the digest of nobody", &docker.pull(&format!("{host}/public/app:1"))?, &image.digest)?;
    docker.stop()?;
    guarded.stop(&[&token])
}

/// As with `registry:2`: a password file, and whoever is in it may do everything.
#[test]
#[ignore = "run by cargo xtask clients"]
fn docker_logs_in_where_there_is_a_password_file_alone() -> Result<()> {
    let (docker, guarded) = (Docker::start()?, Guarded::start_with(&[])?);
    let (home, host, image) = (&docker.home, guarded.host(), fixtures::busybox()?);
    guarded.publish(home, &image, "any/app:1")?;
    let name = format!("{host}/any/app:1");
    // On a loopback address the daemon tries plain HTTP after that, and tells what became of it.
    home.refused(&format!("docker pull {name}"))?;
    let wrong = home.refused_with_input(&login(WRONG, &host), WRONG.password.as_bytes())?;
    says(&wrong, &UNAUTHORIZED)?;
    home.run_with_input(&login(ALICE, &host), ALICE.password.as_bytes())?;
    same("what docker keeps", &kept(&docker, &host)?, &(ALICE.pair(), None))?;
    same("the digest", &docker.pull(&name)?, &image.digest)?;
    docker.run(&format!("tag {name} {host}/some/app:2"))?;
    let pushed = docker.push(&format!("{host}/some/app:2"))?;
    guarded.arrived("some/app:2", &pushed)?;
    docker.run(&format!("logout {host}"))?;
    home.refused(&format!("docker pull {name}"))?;
    docker.stop()?;
    guarded.stop(&[])
}
