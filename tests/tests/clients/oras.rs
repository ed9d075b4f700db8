use anyhow::{Context, Result, ensure};
use berth_tests::fixtures;
use berth_tests::{Home, Server};
use serde_json::Value;

use crate::{arrived, first_digest, publish, same};

#[test]
#[ignore = "run by cargo xtask clients"]
fn pushes_files_and_pulls_the_same_back() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let host = server.host();
    std::fs::write(home.path("home/one.txt"), "one\n")?;
    std::fs::write(home.path("home/two.bin"), vec![7; 3 << 20])?;
    let pushed = home.run(&format!(
        "oras push --plain-http --artifact-type application/vnd.example.files {host}/files:1 one.txt:text/plain two.bin"
    ))?;
    arrived(&server, "files", "1", &last_digest(&pushed)?)?;
    let back = home.path("back");
    home.run(&format!("oras pull --plain-http --output {} {host}/files:1", back.display()))?;
    same("one.txt", &std::fs::read(back.join("one.txt"))?, &b"one\n".to_vec())?;
    same("two.bin", &std::fs::read(back.join("two.bin"))?, &vec![7; 3 << 20])?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn attaches_discovers_and_copies_referrers() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, image) = (server.host(), fixtures::busybox()?);
    publish(&home, &image, &server, "app:1")?;
    std::fs::write(home.path("home/sbom.json"), "{}")?;
    std::fs::write(home.path("home/signature"), "signed")?;
    let attach = "oras attach --plain-http --distribution-spec v1.1-referrers-api";
    let sbom = home
        .run(&format!("{attach} --artifact-type application/spdx+json {host}/app:1 sbom.json"))?;
    let sbom = last_digest(&sbom)?;
    let signature = home.run(&format!(
        "{attach} --artifact-type application/vnd.example.signature {host}/app@{sbom} signature"
    ))?;
    let signature = last_digest(&signature)?;

    let discovered = home.run(&format!(
        "oras discover --plain-http --distribution-spec v1.1-referrers-api --format json {host}/app:1"
    ))?;
    let discovered: Value = serde_json::from_str(&discovered)?;
    let first = &discovered["referrers"][0];
    same("the referrer", &first["digest"].as_str(), &Some(sbom.as_str()))?;
    same("its own referrer", &first["referrers"][0]["digest"].as_str(), &Some(signature.as_str()))?;

    home.run(&format!(
        "oras copy --recursive --from-plain-http --to-plain-http {host}/app:1 {host}/copy/app:2"
    ))?;
    arrived(&server, "copy/app", "2", &image.digest)?;
    let copied = server.registry().referrers("copy/app", &image.digest)?;
    same("the copied referrers", &copied.len(), &1)?;
    same("the copied referrer", &copied[0]["digest"].as_str(), &Some(sbom.as_str()))?;
    same("its type", &copied[0]["artifactType"].as_str(), &Some("application/spdx+json"))?;
    arrived(&server, "copy/app", &signature, &signature)?;
    ensure!(
        server.registry().tags("copy/app")? == ["2"],
        "oras did not trust the referrers API and wrote a fallback tag: {:?}",
        server.registry().tags("copy/app")?
    );
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn attaches_without_being_told_which_api_there_is() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, image) = (server.host(), fixtures::busybox()?);
    publish(&home, &image, &server, "app:1")?;
    std::fs::write(home.path("home/sbom.json"), "{}")?;
    let sbom = home.run(&format!(
        "oras attach --plain-http --artifact-type application/spdx+json {host}/app:1 sbom.json"
    ))?;
    let sbom = last_digest(&sbom)?;
    let discovered = home.run(&format!("oras discover --plain-http --format json {host}/app:1"))?;
    let discovered: Value = serde_json::from_str(&discovered)?;
    same("the referrer", &discovered["referrers"][0]["digest"].as_str(), &Some(sbom.as_str()))?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn lists_repositories_and_tags_and_deletes() -> Result<()> {
    let (home, server) = (Home::new()?, Server::start()?);
    let (host, image) = (server.host(), fixtures::busybox()?);
    publish(&home, &image, &server, "team/app:1")?;
    home.run(&format!("oras tag --plain-http {host}/team/app:1 2 3"))?;
    same(
        "the repositories",
        &home.run(&format!("oras repo ls --plain-http {host}"))?.as_str(),
        &"team/app",
    )?;
    same(
        "the tags",
        &home.run(&format!("oras repo tags --plain-http {host}/team/app"))?.as_str(),
        &"1\n2\n3",
    )?;
    home.run(&format!(
        "oras manifest delete --plain-http --force {host}/team/app@{}",
        image.digest
    ))?;
    same("the image is there", &server.registry().has_manifest("team/app", "2")?, &false)?;
    server.stop()
}

/// What oras prints last is the digest of the manifest it made.
fn last_digest(printed: &str) -> Result<String> {
    let start = printed.rfind("sha256:").context("oras printed no digest")?;
    first_digest(&printed[start..])
}
