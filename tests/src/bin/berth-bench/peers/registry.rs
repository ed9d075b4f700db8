//! Berth and distribution: both read the same configuration file.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::Result;
use berth_test_stores::S3Access;

use super::{Bucket, Launch};

/// What the page says about it.
pub(crate) const SETTINGS: &str = "registries: `log.level: error`, access log off, filesystem storage but for the \
    rows of S3; distribution with `storage.cache.blobdescriptor: inmemory`, as its example file has it, and without traces";

pub(super) fn command(program: &Path, launch: &Launch, address: SocketAddr) -> Result<Command> {
    let config = launch.folder.join("config.yml");
    let storage = match &launch.bucket {
        Some(bucket) => in_bucket(bucket, launch),
        None => format!("  filesystem: {{rootdirectory: \"{}\"}}\n", launch.data().display()),
    };
    let tls = launch.tls.as_ref().map(|files| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!("  tls: {{certificate: \"{certificate}\", key: \"{key}\"}}\n")
    });
    let tls = tls.unwrap_or_default();
    fs::write(
        &config,
        format!(
            "version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
{storage}  delete: {{enabled: true}}
  cache: {{blobdescriptor: inmemory}}
http:
  addr: \"{address}\"
{tls}"
        ),
    )?;
    let mut command = Command::new(program);
    command.arg("serve").arg(config).current_dir(&launch.folder);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("REGISTRY_") {
            command.env_remove(name);
        }
    }
    if launch.bucket.is_some() {
        // Berth's names stay in a database; distribution, which has none, passes over this.
        command.env("REGISTRY_METADATA_SQLITE_PATH", launch.data().join("berth.db"));
    }
    // distribution 3 sends traces unless it is told not to.
    command.env("OTEL_TRACES_EXPORTER", "none");
    Ok(command)
}

fn in_bucket(bucket: &Bucket, launch: &Launch) -> String {
    let S3Access { endpoint, region, bucket: name, access_key, secret_key } = &bucket.access;
    let root = launch.folder.file_name().unwrap_or_default().display();
    let stays = !bucket.redirect;
    format!(
        "  s3:
    regionendpoint: \"{endpoint}\"
    region: {region}
    bucket: {name}
    accesskey: {access_key}
    secretkey: {secret_key}
    secure: false
    forcepathstyle: true
    rootdirectory: \"/{root}\"
  redirect: {{disable: {stays}}}
"
    )
}
