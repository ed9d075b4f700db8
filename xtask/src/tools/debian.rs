//! Debian packages, by apt-get.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::part::Outcome;
use crate::process::{output, run, succeeds};

/// What the tests need beyond a Rust toolchain.
const PACKAGES: [&str; 26] = [
    // to build
    "gcc",
    "libc6-dev",
    "make",
    // clients
    "buildah",
    "containerd",
    "docker.io",
    "podman",
    "skopeo",
    "umoci",
    // what containers are started with, which some clients want to see even if nothing is started
    "crun",
    "runc",
    // the yardstick, and a proxy to stand behind
    "docker-registry",
    "nginx-light",
    "openssl",
    "curl",
    "ca-certificates",
    // to make images
    "busybox-static",
    "debootstrap",
    "tar",
    // the database of replicas, a pooler before it, and clocks that are wrong
    "postgresql",
    "pgbouncer",
    "faketime",
    // to end a process at a call of our choice
    "strace",
    // to make disks that fill and fail
    "e2fsprogs",
    "mount",
    "util-linux",
];

/// What brings the tests' object stores into their folders. A machine that has these from
/// elsewhere keeps its own: the command that tells, and the packages that bring it.
const LANGUAGES: [(&str, &[&str], &[&str]); 2] = [
    ("npm", &["--version"], &["nodejs", "npm"]),
    ("python3", &["-c", "import ensurepip, venv"], &["python3", "python3-venv"]),
];

/// Installs the packages that are missing.
pub(crate) fn install(_: &Context) -> Result<Outcome> {
    if !succeeds(Command::new("apt-get").arg("--version")) {
        return Outcome::not_run(
            "this is not a Debian machine: install by hand what the tests miss",
        );
    }
    let mut missing: Vec<&str> =
        PACKAGES.into_iter().filter(|package| !is_installed(package)).collect();
    for (program, arguments, packages) in LANGUAGES {
        if !succeeds(Command::new(program).args(arguments)) {
            missing.extend(packages);
        }
    }
    if missing.is_empty() {
        return Outcome::passed(format!("all {} are installed", PACKAGES.len()));
    }
    match install_packages(&missing) {
        Ok(()) => Outcome::passed(format!("installed {}", missing.join(", "))),
        Err(error) => Outcome::not_run(format!("cannot install {}: {error:#}", missing.join(", "))),
    }
}

/// Installs packages, without starting the services that some of them bring: they would take the ports of the tests.
pub(crate) fn install_packages(packages: &[&str]) -> Result<()> {
    let _no_services = NoServices::new()?;
    run(apt_get().args(["update", "--quiet"]))?;
    run(apt_get().args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_installed(package: &str) -> bool {
    output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

/// Debian asks `policy-rc.d` whether a package may start its service; as long as this lives the answer is no.
struct NoServices {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn new() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(POLICY)
            .with_context(|| format!("cannot create {POLICY}: are you root?"))?;
        file.write_all(b"#!/bin/sh\nexit 101\n")?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}
