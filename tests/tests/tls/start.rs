//! Starts that cannot serve TLS as it is configured end at once, with a message that says what to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use berth_tests::authority::{Authority, Pair};
use berth_tests::refusal::{berth, fails};
use berth_tests::{Launch, wait};

/// Both commands that read the files refuse them, in one line with these words.
fn refused(folder: &Path, pair: &Pair, more: &[(&str, &str)], words: &[&str]) -> Result<()> {
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    let (certificate, key) = (certificate.to_string(), key.to_string());
    let mut settings = vec![
        ("REGISTRY_HTTP_ADDR", "127.0.0.1:0"),
        ("REGISTRY_HTTP_TLS_CERTIFICATE", &*certificate),
        ("REGISTRY_HTTP_TLS_KEY", &key),
    ];
    settings.extend(more);
    for command in [&["serve"][..], &["config", "check"]] {
        let output = berth(folder, command, &settings)?;
        fails(&output, words)?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(told.trim_end().lines().count() == 1, "more than one line: {told}");
    }
    Ok(())
}

fn openssl(arguments: &str) -> Result<()> {
    let output = Command::new("/usr/bin/openssl").args(arguments.split_whitespace()).output();
    let output = output.context("no openssl")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn files_that_are_not_what_they_should_be_are_named_with_their_key() -> Result<()> {
    let (authority, folder) = (Authority::new("tests")?, tempfile::tempdir()?);
    let at = folder.path();
    let good = authority.server()?.write(at, "server")?;
    let other = authority.server()?.write(at, "other")?;
    let absent = at.join("absent");
    let text = at.join("text");
    fs::write(&text, "no PEM at all")?;
    fs::set_permissions(&text, Permissions::from_mode(0o600))?;

    let certificate = |path: &Path| Pair { certificate: path.to_owned(), ..good.clone() };
    let key = |path: &Path| Pair { key: path.to_owned(), ..good.clone() };
    let name = "`http.tls.certificate`";
    refused(at, &certificate(&absent), &[], &[name, "absent", "No such file"])?;
    refused(at, &certificate(&text), &[], &[name, "no certificate in PEM", "text"])?;
    refused(at, &certificate(&good.key), &[], &[name, "no certificate in PEM"])?;
    let name = "`http.tls.key`";
    refused(at, &key(&absent), &[], &[name, "absent", "No such file"])?;
    refused(at, &key(&text), &[], &[name, "no private key in PEM", "text"])?;
    refused(at, &key(&other.key), &[], &[name, "does not belong to the certificate", "other.key"])?;

    let authorities = [("REGISTRY_HTTP_TLS_CLIENTCAS_0", absent.to_str().context("a path")?)];
    refused(at, &good, &authorities, &["`http.tls.clientcas`", "absent", "No such file"])?;

    fs::set_permissions(&other.key, Permissions::from_mode(0o644))?;
    let open = Pair { certificate: other.certificate.clone(), key: other.key.clone() };
    let path = other.key.display();
    refused(at, &open, &[], &[name, "every user", &format!("chmod 600 {path}")])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_encrypted_key_is_told_from_a_damaged_one() -> Result<()> {
    let (authority, folder) = (Authority::new("tests")?, tempfile::tempdir()?);
    let good = authority.server()?.write(folder.path(), "server")?;
    let (plain, encrypted) = (good.key.display(), folder.path().join("encrypted.key"));
    let at = encrypted.display();
    let pair = Pair { key: encrypted.clone(), ..good.clone() };
    for form in ["pkey -aes256", "ec -aes256"] {
        openssl(&format!("{form} -passout pass:secret -in {plain} -out {at}"))?;
        fs::set_permissions(&encrypted, Permissions::from_mode(0o600))?;
        refused(folder.path(), &pair, &[], &["`http.tls.key`", "is encrypted", "openssl pkey"])?;
    }
    let text = fs::read_to_string(&good.key)?;
    fs::write(&encrypted, text.replace("-----END", "broken-----END"))?;
    refused(folder.path(), &pair, &[], &["`http.tls.key`", "encrypted.key"])
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn settings_that_do_not_go_together_are_refused() -> Result<()> {
    let (authority, folder) = (Authority::new("tests")?, tempfile::tempdir()?);
    let good = authority.server()?.write(folder.path(), "server")?;
    for (setting, words) in [
        (("REGISTRY_HTTP_TLS_KEY", ""), &["`http.tls.key`", "it must be set"][..]),
        (("REGISTRY_HTTP_TLS_CERTIFICATE", ""), &["`http.tls.certificate`", "it must be set"]),
        (
            ("REGISTRY_HTTP_TLS_CLIENTAUTH", "verify-client-cert-if-given"),
            &["`http.tls.clientauth`", "`http.tls.clientcas`"],
        ),
        (("REGISTRY_HTTP_TLS_CLIENTAUTH", "request-client-cert"), &["nobody verifies"]),
        (("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.1"), &["RFC 8996", "`tls1.2`, `tls1.3`"]),
        (
            ("REGISTRY_HTTP_TLS_CIPHERSUITES", "[TLS_RSA_WITH_3DES_EDE_CBC_SHA]"),
            &["3DES", "`TLS_AES_128_GCM_SHA256`"],
        ),
        (("REGISTRY_HTTP_TLS_LETSENCRYPT_EMAIL", "a@example.org"), &["certbot"]),
    ] {
        refused(folder.path(), &good, &[setting], words)?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_expired_certificate_is_served_with_a_warning() -> Result<()> {
    let (authority, folder) = (Authority::new("tests")?, tempfile::tempdir()?);
    let pair = authority.expired_server()?.write(folder.path(), "server")?;
    let (certificate, key) = (pair.certificate.to_str(), pair.key.to_str());
    let settings = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", certificate.context("a path")?),
        ("REGISTRY_HTTP_TLS_KEY", key.context("a path")?),
        ("REGISTRY_STORAGE", "inmemory"),
    ];
    let output = berth(folder.path(), &["config", "check"], &settings)?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() && told.contains("has expired"), "{told}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_address_that_others_reach_needs_no_more_than_tls_and_the_greeting_says_https() -> Result<()> {
    let (authority, folder) = (Authority::new("tests")?, tempfile::tempdir()?);
    let pair = authority.server_at("0.0.0.0")?.write(folder.path(), "server")?;
    let port = berth_tests::server::free_address()?.port();
    let server = Launch::temporary()?
        .tls(&pair, authority.trust())
        .address(([0, 0, 0, 0], port).into())
        .start()?;
    let greeting = format!("listens on https://0.0.0.0:{port}");
    wait::until("the greeting is there", || Ok(server.log_end().contains(&greeting)))?;
    server.stop()
}
