//! `cargo xtask runner`: images and containers handled by the optimised build.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Result;

use crate::conformance;
use crate::context::Context;
use crate::part::{Outcome, Part};
use crate::process::{cargo, tests};

pub(crate) fn parts() -> Vec<Part> {
    vec![conformance::build(), part()]
}

/// The tests alone, with a program that is already built.
pub(crate) fn part() -> Part {
    Part {
        name: "runner",
        what: "berth oci in real namespaces and cgroups, networks by their traffic, layers as dockerd has them",
        run: runner,
    }
}

fn runner(context: &Context) -> Result<Outcome> {
    if !context.berth().is_file() {
        return Outcome::not_run("berth is not built");
    }
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Outcome::not_run("containers take root");
    }
    if !fs::exists("/bin/busybox")? {
        return Outcome::not_run("busybox-static is not installed: run `cargo xtask setup`");
    }
    tests(
        cargo(context, "test --workspace --locked --test runner --test network --test layers --test images -- --ignored")
            .env("BERTH_BIN", context.berth())
            .env("BERTH_CACHE", &context.cache)
            .env("RUST_BACKTRACE", "0"),
    )
}
