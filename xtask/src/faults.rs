//! `cargo xtask faults`: the optimised build on bad days.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Result;

use crate::conformance;
use crate::context::Context;
use crate::part::{Outcome, Part};
use crate::process::{cargo, tests};
use crate::tools::{self, go};

/// What disks are made with, what takes a right away from root, who speaks TLS that nobody should, and another registry.
const PROGRAMS: [&str; 6] =
    ["mkfs.ext4", "mount", "umount", "setpriv", "openssl", go::DISTRIBUTION];

pub(crate) fn parts() -> Vec<Part> {
    vec![conformance::build(), part()]
}

/// The tests alone, with a server that is already built.
pub(crate) fn part() -> Part {
    Part {
        name: "faults",
        what: "full and failing disks, damaged databases, signals in mid-work, TLS, administration, mirrors, imports and damage, 10,000 connections",
        run: faults,
    }
}

fn faults(context: &Context) -> Result<Outcome> {
    if !context.berth().is_file() {
        return Outcome::not_run("berth is not built");
    }
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Outcome::not_run("some of them mount filesystems, which takes root");
    }
    if let Some(program) = PROGRAMS.iter().find(|program| !tools::is_installed(context, program)) {
        return Outcome::not_run(format!("{program} is not installed: run `cargo xtask setup`"));
    }
    tests(
        cargo(
            context,
            "test --workspace --locked --test administration --test faults --test mirror --test safety --test tls -- --ignored",
        )
        .env("BERTH_BIN", context.berth())
        .env("BERTH_CACHE", &context.cache)
        .env("RUST_BACKTRACE", "0"),
    )
}
