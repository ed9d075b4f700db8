//! Registries of others, and the trees that they make.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use berth_test_stores::S3Access;
use berth_tests::content::{Blob, Manifest};
use berth_tests::home;
use berth_tests::process::Daemon;
use berth_tests::server::free_address;
use berth_tests::wire::{self, get};
use tempfile::TempDir;

use crate::client::{delete_manifest, push_blob, push_image, push_manifest};

/// A distribution registry, of Debian's or of release 3.
pub(crate) struct OldRegistry {
    pub(crate) address: SocketAddr,
    program: PathBuf,
    config: PathBuf,
    daemon: Option<Daemon>,
    _directory: TempDir,
}

/// The programs to try: Debian's 2.8, and 3.
pub(crate) fn programs() -> Result<[PathBuf; 2]> {
    let programs =
        [PathBuf::from("/usr/bin/docker-registry"), home::cache()?.join("bin/distribution")];
    for program in &programs {
        ensure!(program.is_file(), "{} is missing: run `cargo xtask setup`", program.display());
    }
    Ok(programs)
}

impl OldRegistry {
    /// On the tree in a folder.
    pub(crate) fn on_folder(program: &Path, root: &Path) -> Result<Self> {
        Self::start(program, &format!("filesystem: {{rootdirectory: \"{}\"}}", root.display()))
    }

    /// On a bucket.
    pub(crate) fn on_bucket(program: &Path, access: &S3Access) -> Result<Self> {
        let S3Access { endpoint, region, bucket, access_key, secret_key, .. } = access;
        let storage = format!(
            "s3: {{regionendpoint: \"{endpoint}\", region: {region}, bucket: {bucket}, accesskey: \"{access_key}\", secretkey: \"{secret_key}\", secure: false, forcepathstyle: true}}"
        );
        Self::start(program, &storage)
    }

    fn start(program: &Path, storage: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let config = directory.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  {storage}\n  delete: {{enabled: true}}\n  redirect: {{disable: true}}\nhttp: {{addr: \"{address}\"}}\n"
        );
        fs::write(&config, text)?;
        let program = program.to_owned();
        let mut registry = Self { address, program, config, daemon: None, _directory: directory };
        registry.run()?;
        Ok(registry)
    }

    pub(crate) fn run(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.arg("serve").arg(&self.config).env("OTEL_TRACES_EXPORTER", "none");
        // It cannot use one with its own transport.
        command.env_remove("AWS_CA_BUNDLE");
        let log = self.config.with_extension("log");
        let mut daemon = Daemon::start("the old registry", command, &log)?;
        let address = self.address;
        daemon.wait_until(|| wire::send(address, &get("/v2/")).is_ok_and(|it| it.status == 200))?;
        self.daemon = Some(daemon);
        Ok(())
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop()?;
        }
        Ok(())
    }

    /// Its own garbage collection, for which it has to be stopped.
    pub(crate) fn collect(&mut self) -> Result<()> {
        self.stop()?;
        let mut command = Command::new(&self.program);
        let output = command.arg("garbage-collect").arg(&self.config).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.run()
    }

    /// Years of use in short: images, a list of them, an artifact, moved tags, deletions, a mount's worth of shared
    /// layers, and garbage collections.
    pub(crate) fn use_it(&mut self) -> Result<()> {
        let address = self.address;
        for seed in 0..6 {
            push_image(address, "library/app", &format!("v{seed}"), seed)?;
        }
        push_image(address, "deep/er/name", "latest", 3)?;
        push_image(address, "library/app", "moved", 1)?;
        push_image(address, "library/app", "moved", 2)?;
        let gone = push_image(address, "library/app", "gone", 20)?;
        delete_manifest(address, "library/app", &gone.manifest.digest)?;
        self.collect()?;
        let one = push_image(address, "multi", "one", 7)?.manifest;
        let two = push_image(address, "multi", "two", 8)?.manifest;
        push_manifest(address, "multi", "list", &Manifest::index(&[&one, &two]))?;
        let orphan = Blob::random(999, 4000);
        push_blob(address, "multi", &orphan)
    }
}

impl Drop for OldRegistry {
    fn drop(&mut self) {
        // A test that fails may leave it running; what fails here is told by nobody.
        let _ = self.stop();
    }
}

/// Waits until something is so.
pub(crate) fn until(mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so()? {
        ensure!(Instant::now() < end, "it did not come to be so");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
