//! Databases that cannot be used: said in one clear line, at once, and by `berth config check`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::Postgres;
use berth_tests::refusal::{berth, fails};
use berth_tests::server::free_address;

use crate::group::{Blobs, Replicas};
use crate::{database, old_server};

/// How long a start that cannot succeed may take.
const AT_ONCE: Duration = Duration::from_secs(30);

/// Starts a registry that must not start with these settings and a tree of its own.
fn refused(settings: &[(&str, &str)], words: &[&str]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let root = directory.path().join("tree").display().to_string();
    let mut all = vec![
        ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root.as_str()),
        ("REGISTRY_HTTP_ADDR", "127.0.0.1:0"),
    ];
    all.extend(settings);
    let start = Instant::now();
    let output = berth(directory.path(), &["serve"], &all)?;
    fails(&output, words).with_context(|| format!("with {settings:?}"))?;
    ensure!(start.elapsed() < AT_ONCE, "it took {:?}", start.elapsed());
    let told = String::from_utf8_lossy(&output.stderr);
    let lines = told.lines().filter(|line| line.contains("berth: ")).count();
    ensure!(lines == 1, "it should be one line: {told}");
    print!("{told}");
    Ok(())
}

const URL: &str = "REGISTRY_METADATA_URL";

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_url_that_is_none_is_told() -> Result<()> {
    for url in ["mysql://127.0.0.1/berth", "postgres//127.0.0.1", "postgres://127.0.0.1:port/berth"]
    {
        refused(&[(URL, url)], &["metadata.url"])?;
    }
    let nonsense = "postgres://127.0.0.1/berth?sslmode=perhaps";
    refused(&[(URL, nonsense)], &["metadata.url", "perhaps"])
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_server_that_cannot_be_reached_is_told() -> Result<()> {
    let nobody = free_address()?;
    let url = format!("postgres://berth:password@{nobody}/berth");
    refused(&[(URL, &url)], &[&nobody.to_string(), "metadata.url"])?;
    refused(&[(URL, "postgres://berth@no-such-host.invalid/berth")], &["no-such-host.invalid"])
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_database_or_user_or_password_that_is_wrong_is_told() -> Result<()> {
    let server = database::shared()?;
    let url = server.database()?;
    refused(&[(URL, &server.url("absent"))], &["absent", "does not exist"])?;
    refused(&[(URL, &url.replace(server.password(), "wrong"))], &["password"])?;
    refused(&[(URL, &url.replace("//berth:", "//nobody:"))], &["password", "nobody"])
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_password_is_never_told() -> Result<()> {
    let server = database::shared()?;
    let directory = tempfile::tempdir()?;
    let url = server.database()?.replace(server.password(), "hush-hush");
    let output = berth(directory.path(), &["serve"], &[(URL, &url)])?;
    fails(&output, &[])?;
    let told = [output.stdout, output.stderr].concat();
    ensure!(!String::from_utf8_lossy(&told).contains("hush-hush"), "the password is told");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_certificate_that_nobody_trusts_is_told() -> Result<()> {
    let server = Postgres::options().fsync(false).tls().start()?;
    let url = server.database()?;
    let directory = tempfile::tempdir()?;
    let distrusted = url.split("&sslrootcert").next().unwrap_or(&url);
    refused(&[(URL, distrusted)], &["certificate"])?;
    let plain = distrusted.replace("verify-full", "disable");
    refused(&[(URL, &plain)], &["encryption"])?;
    // With the authority it is fine.
    let launch = berth_tests::Launch::filesystem(directory.path())?.env(URL, &url);
    launch.start()?.stop()
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_server_that_is_too_old_is_told() -> Result<()> {
    refused(&[(URL, &old_server::start(11)?)], &["11", "14"])
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_database_of_a_newer_version_is_told() -> Result<()> {
    let server = database::shared()?;
    let url = server.database()?;
    let blobs = Blobs::in_a_folder()?;
    Replicas::start_each(vec![blobs.with(&url)], 1)?.stop()?;
    let newer = "UPDATE berth_schema SET version = 9999, needs = 9999";
    server.sql(database::name(&url), newer)?;
    refused(&[(URL, &url)], &["newer"])
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_replica_with_another_storage_is_told() -> Result<()> {
    let url = database::shared()?.database()?;
    let blobs = Blobs::in_a_bucket()?;
    let replicas = Replicas::start_each(vec![blobs.with(&url)], 1)?;
    // Another tree, and with the first replica gone, too.
    refused(&[(URL, &url)], &["storage", "s3"])?;
    replicas.stop()?;
    refused(&[(URL, &url)], &["storage", "s3"])
}
