//! Object stores that cannot be used as they are configured: said at the start, and by `berth config check`.

use std::ffi::OsString;

use anyhow::{Context as _, Result};
use berth_test_stores::{Fault, FaultProxy, VersityGateway};
use berth_tests::refusal::{berth, fails};
use berth_tests::server::free_address;
use berth_tests::stores::Stored;

/// The settings of a store with one of them wrong, and what must be said of it.
fn refused(settings: &[(OsString, OsString)], wrong: (&str, &str), words: &[&str]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let settings = settings.iter().map(|(name, value)| {
        let value = if name.to_str() == Some(wrong.0) {
            wrong.1
        } else {
            value.to_str().unwrap_or_default()
        };
        (name.to_str().unwrap_or_default(), value)
    });
    let mut settings: Vec<(&str, &str)> = settings.collect();
    if !settings.iter().any(|(name, _)| *name == wrong.0) {
        settings.push(wrong);
    }
    settings.push(("REGISTRY_METADATA_SQLITE_PATH", "berth.db"));
    for command in [&["serve"][..], &["config", "check"]] {
        let output = berth(directory.path(), command, &settings)?;
        fails(&output, words).with_context(|| format!("{command:?} with {wrong:?}"))?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_is_wrong_with_an_s3_store_is_told() -> Result<()> {
    let stored = Stored::s3()?;
    let nobody = format!("http://{}", free_address()?);
    for (name, value, words) in [
        ("REGION", "eu-nowhere-1", &["region", "storage.s3"][..]),
        ("BUCKET", "absent", &["no such bucket", "absent", "storage.s3"]),
        ("ACCESSKEY", "nobody", &["credentials", "access key", "storage.s3"]),
        ("SECRETKEY", "wrong", &["credentials", "SignatureDoesNotMatch", "storage.s3"]),
        ("REGIONENDPOINT", &nobody, &["endpoint", &nobody, "storage.s3"]),
    ] {
        let name = format!("REGISTRY_STORAGE_S3_{name}");
        refused(stored.launch.environment(), (&name, value), words)?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_store_without_permission_is_told() -> Result<()> {
    let server = VersityGateway::start()?;
    let proxy = FaultProxy::start(&server.access().endpoint)?;
    let stored = Stored::s3()?;
    proxy.next(Fault::Status(403), usize::MAX);
    let endpoint = ("REGISTRY_STORAGE_S3_REGIONENDPOINT", &*proxy.endpoint());
    let words = ["AccessDenied", "may read, write, list and delete", "storage.s3"];
    refused(stored.launch.environment(), endpoint, &words)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_is_wrong_with_another_store_is_told() -> Result<()> {
    for stored in Stored::each()? {
        let driver = stored.name;
        let section = format!("storage.{driver}");
        let wrongs: &[(&str, &str, &[&str])] = match driver {
            "azure" => &[
                ("CONTAINER", "absent", &["no such bucket or container", "absent"]),
                ("ACCOUNTKEY", "d3Jvbmc=", &["credentials"]),
                ("ACCOUNTKEY", "no base64", &["accountkey"]),
            ],
            "gcs" => &[
                ("BUCKET", "absent", &["no such bucket", "absent"]),
                ("KEYFILE", "/absent/key.json", &["/absent/key.json"]),
            ],
            "oss" => &[
                ("BUCKET", "absent", &["no such bucket", "absent"]),
                ("ACCESSKEYID", "nobody", &["credentials", "InvalidAccessKeyId"]),
                ("ACCESSKEYSECRET", "wrong", &["credentials", "SignatureDoesNotMatch"]),
                ("REGION", "oss-cn-nowhere", &["region", "AccessDenied"]),
            ],
            _ => &[],
        };
        for (name, value, words) in wrongs {
            let name = format!("REGISTRY_STORAGE_{}_{name}", driver.to_uppercase());
            let words = [words, &[&*section][..]].concat();
            refused(stored.launch.environment(), (&name, value), &words)?;
        }
    }
    Ok(())
}
