//! Versions, cipher suites and protocols, looked at from outside with OpenSSL, which speaks what nobody should.

use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use crate::Tls;
use crate::connection::{Connection, config};

/// What the two came to: version and suite in OpenSSL's names, or nothing.
fn negotiate(tls: &Tls, options: &str) -> Result<Option<(String, String)>> {
    let authority = tls.folder.path().join("authority.crt");
    std::fs::write(&authority, tls.authority.certificate())?;
    let output = Command::new("/usr/bin/openssl")
        .args(["s_client", "-brief", "-verify_return_error", "-connect", &tls.server.host()])
        .arg("-CAfile")
        .arg(&authority)
        .args(options.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .context("no openssl")?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let find = |name| told.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    // One that was refused after the suite was chosen is refused.
    if !told.contains("CONNECTION ESTABLISHED") {
        return Ok(None);
    }
    let version = find("Protocol version: ").with_context(|| told.clone())?;
    Ok(Some((version, find("Ciphersuite: ").with_context(|| told.clone())?)))
}

/// The options, and what must come of them.
fn expect(tls: &Tls, cases: &[(&str, Option<(&str, &str)>)]) -> Result<()> {
    for (options, expected) in cases {
        let found = negotiate(tls, options)?;
        let found = found.as_ref().map(|(version, suite)| (version.as_str(), suite.as_str()));
        ensure!(found == *expected, "{options}: {found:?} instead of {expected:?}");
    }
    Ok(())
}

const OLD: &str = "-cipher ALL:@SECLEVEL=0";

#[test]
#[ignore = "run by cargo xtask faults"]
fn versions_from_1_2_on_are_spoken_with_suites_of_forward_secrecy_alone() -> Result<()> {
    let tls = Tls::start(&[])?;
    expect(
        &tls,
        &[
            ("-tls1_3", Some(("TLSv1.3", "TLS_AES_256_GCM_SHA384"))),
            ("-tls1_2", Some(("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"))),
            (
                "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305",
                Some(("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")),
            ),
            ("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", None),
            ("-tls1_2 -cipher AES128-GCM-SHA256", None),
            (&format!("-tls1_1 {OLD}"), None),
            (&format!("-tls1 {OLD}"), None),
        ],
    )?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn the_oldest_version_is_a_setting() -> Result<()> {
    let tls = Tls::start(&[("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3")])?;
    let of_1_3 = Some(("TLSv1.3", "TLS_AES_256_GCM_SHA384"));
    expect(&tls, &[("-tls1_2", None), ("", of_1_3)])?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn suites_are_a_setting_of_each_version() -> Result<()> {
    let suites = "[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]";
    let tls = Tls::start(&[("REGISTRY_HTTP_TLS_CIPHERSUITES", suites)])?;
    let of_1_2 = Some(("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"));
    let (of_1_3, ours) =
        (Some(("TLSv1.3", "TLS_AES_256_GCM_SHA384")), "ECDHE-ECDSA-AES256-GCM-SHA384");
    let refused = format!("-tls1_2 -cipher {ours}");
    expect(&tls, &[("-tls1_2", of_1_2), (&refused, None), ("-tls1_3", of_1_3)])?;
    tls.server.stop()?;

    let suites = "[TLS_CHACHA20_POLY1305_SHA256]";
    let tls = Tls::start(&[("REGISTRY_HTTP_TLS_CIPHERSUITES", suites)])?;
    let of_1_3 = Some(("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"));
    let refused = "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256";
    expect(&tls, &[("", of_1_3), (refused, None), ("-tls1_2", None)])?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn http_2_is_chosen_by_those_who_know_it_unless_it_is_off() -> Result<()> {
    for (disabled, chosen) in [("false", "h2"), ("true", "http/1.1")] {
        let tls = Tls::start(&[("REGISTRY_HTTP_HTTP2_DISABLED", disabled)])?;
        for (offered, expected) in [
            (&["h2", "http/1.1"][..], Some(chosen)),
            (&["http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let config = Arc::new(config(&tls.authority.trust(), offered)?);
            let mut connection = Connection::open(tls.server.address(), &config)?;
            ensure!(connection.protocol().as_deref() == expected, "{:?}", connection.protocol());
            if expected != Some("h2") {
                ensure!(connection.ask()? == 200);
            }
        }
        tls.server.stop()?;
    }
    Ok(())
}
