use anyhow::{Result, ensure};
use berth_tests::fixtures::{self, Layout};
use berth_tests::{Home, Server};

use crate::{publish, same};

/// No transparency log, no time stamps: a signature by a key, as those do who run a registry of their own.
const SIGNING_CONFIG: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#;
const TRUSTED_ROOT: &str =
    r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;

/// A home with two key pairs, `ours` and `theirs`, and a registry with an image to sign.
fn start() -> Result<(Home, Server, Layout)> {
    let (mut home, server) = (Home::new()?, Server::start()?);
    home.set("COSIGN_PASSWORD", "");
    for name in ["ours", "theirs"] {
        home.run(&format!("cosign generate-key-pair --output-key-prefix {name}"))?;
    }
    std::fs::write(home.path("home/signing.json"), SIGNING_CONFIG)?;
    std::fs::write(home.path("home/root.json"), TRUSTED_ROOT)?;
    let image = fixtures::busybox()?;
    publish(&home, &image, &server, "team/app:1")?;
    Ok((home, server, image))
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn signs_and_verifies_with_signature_tags() -> Result<()> {
    let (home, server, image) = start()?;
    let name = format!("{}/team/app@{}", server.host(), image.digest);
    let verify =
        "cosign verify --new-bundle-format=false --insecure-ignore-tlog --allow-http-registry";
    home.refused(&format!("{verify} --key ours.pub {name}"))?;
    home.run(&format!(
        "cosign sign --yes --key ours.key --new-bundle-format=false --use-signing-config=false --tlog-upload=false --allow-http-registry {name}"
    ))?;
    let signature = format!("{}.sig", image.digest.replace(':', "-"));
    ensure!(
        server.registry().tags("team/app")?.contains(&signature),
        "there is no tag {signature}"
    );
    home.run(&format!("{verify} --key ours.pub {name}"))?;
    home.refused(&format!("{verify} --key theirs.pub {name}"))?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn signs_and_verifies_with_referrers() -> Result<()> {
    let (home, server, image) = start()?;
    let name = format!("{}/team/app@{}", server.host(), image.digest);
    let verify =
        "cosign verify --insecure-ignore-tlog --trusted-root root.json --allow-http-registry";
    home.refused(&format!("{verify} --key ours.pub {name}"))?;
    home.run(&format!(
        "cosign sign --yes --key ours.key --signing-config signing.json --trusted-root root.json --allow-http-registry {name}"
    ))?;
    let referrers = server.registry().referrers("team/app", &image.digest)?;
    same("the number of signatures", &referrers.len(), &1)?;
    same("the tags", &server.registry().tags("team/app")?, &vec!["1".to_owned()])?;
    home.run(&format!("{verify} --key ours.pub {name}"))?;
    home.refused(&format!("{verify} --key theirs.pub {name}"))?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask clients"]
fn attests_and_verifies_the_attestation() -> Result<()> {
    let (home, server, image) = start()?;
    let name = format!("{}/team/app@{}", server.host(), image.digest);
    std::fs::write(home.path("home/predicate.json"), r#"{"built": "here"}"#)?;
    home.run(&format!(
        "cosign attest --yes --key ours.key --type custom --predicate predicate.json --signing-config signing.json --trusted-root root.json --allow-http-registry {name}"
    ))?;
    let verify = "cosign verify-attestation --type custom --insecure-ignore-tlog --trusted-root root.json --allow-http-registry";
    home.run(&format!("{verify} --key ours.pub {name}"))?;
    home.refused(&format!("{verify} --key theirs.pub {name}"))?;
    server.stop()
}
