//! Upstreams over TLS: whom a mirror believes, and what it shows.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use berth_tests::authority::{Authority, Issued, Trust};
use berth_tests::wire::{self, get};
use berth_tests::{Launch, Server, Target};

use crate::scene::mirror_of;

/// An upstream that shows one certificate and wants to see another.
fn upstream(folder: &Path, authority: &Authority, server: &Issued, trust: Trust) -> Result<Server> {
    let clients = folder.join("clients.crt");
    fs::write(&clients, authority.certificate())?;
    Launch::temporary()?
        .target(Target::Berth)
        .tls(&server.write(folder, "server")?, trust)
        .env("REGISTRY_HTTP_TLS_CLIENTCAS_0", clients)
        .start()
}

/// What a mirror says of a manifest that its upstream does not have, or why it cannot ask for it.
fn answer(launch: &Launch) -> Result<String> {
    let mirror = launch.start()?;
    let answer = wire::send(mirror.address(), &get("/v2/hub/team/app/manifests/v1"))?;
    let said = format!("{} {}", answer.status, answer.text());
    mirror.stop()?;
    Ok(said)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_upstream_is_believed_by_its_authority_and_shown_a_certificate() -> Result<()> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new("the upstream's")?);
    let client = authority.client("mirror")?;
    let pair = client.write(folder.path(), "client")?;
    let trust = Trust { identity: Some(client), ..authority.trust() };
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, authority.certificate())?;
    let server = authority.server()?;
    let upstream = upstream(folder.path(), &authority, &server, trust)?;
    let url = format!("https://{}", upstream.host());
    let setting = |key: &str| format!("REGISTRY_MIRRORS_0_UPSTREAMS_0_{key}");
    let strange = mirror_of(Launch::temporary()?, &url);
    let silent = strange.clone().env(setting("CA"), &ca);
    let known = silent
        .clone()
        .env(setting("CERTIFICATE"), &pair.certificate)
        .env(setting("KEY"), &pair.key);
    for (launch, status, says) in [
        (&known, "404", "MANIFEST_UNKNOWN"),
        (&silent, "502", "cannot be reached"),
        (&strange, "502", "certificate"),
    ] {
        let said = answer(launch)?;
        ensure!(said.contains(status) && said.contains(says), "{status} {says}: {said}");
    }
    upstream.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_expired_certificate_and_a_name_without_an_address_are_told() -> Result<()> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new("the upstream's")?);
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, authority.certificate())?;
    let (valid, expired) = (authority.server()?, authority.expired_server()?);
    let pair = valid.write(folder.path(), "server")?;
    let upstream = Launch::temporary()?.target(Target::Berth).tls(&pair, authority.trust());
    let upstream = upstream.start()?;
    // Certificates are taken over as their files change.
    expired.write(folder.path(), "server")?;
    berth_tests::wait::until("the expired certificate is in service", || {
        Ok(upstream.log_end().contains("has expired"))
    })?;
    let url = format!("https://{}", upstream.host());
    let expired =
        mirror_of(Launch::temporary()?, &url).env("REGISTRY_MIRRORS_0_UPSTREAMS_0_CA", &ca);
    let nowhere = mirror_of(Launch::temporary()?, "https://nowhere.invalid");
    for (launch, says) in [(&expired, "expired"), (&nowhere, "cannot be reached")] {
        let said = answer(launch)?;
        ensure!(said.contains("502") && said.contains(says), "{says}: {said}");
    }
    upstream.stop()
}
