//! `cargo xtask runner`: images and containers handled by the optimised build.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Result;

use crate::conformance;
use crate::context::Context;
use crate::part::{Outcome, Part};
use crate::process::{cargo, tests};
use crate::tools::go;

pub(crate) fn parts() -> Vec<Part> {
    vec![conformance::build(), part()]
}

/// The tests alone, with a program that is already built.
pub(crate) fn part() -> Part {
    Part {
        name: "runner",
        what: "berth oci in real namespaces and cgroups, networks by their traffic, layers as dockerd has them, containers as the books have them",
        run: runner,
    }
}

/// Why no container can be run here, if that is so.
pub(crate) fn why_not(context: &Context) -> Result<Option<&'static str>> {
    Ok(if !context.berth().is_file() {
        Some("berth is not built")
    } else if fs::metadata("/proc/self")?.uid() != 0 {
        Some("containers take root")
    } else if !fs::exists("/bin/busybox")? {
        Some("busybox-static is not installed: run `cargo xtask setup`")
    } else {
        None
    })
}

fn runner(context: &Context) -> Result<Outcome> {
    if let Some(reason) = why_not(context)? {
        return Outcome::not_run(reason);
    }
    let mut command = cargo(
        context,
        "test --workspace --locked --test runner --test network --test layers --test images --test containers -- --ignored",
    );
    let missing = go::why_missing(context, go::RUNTIME_TOOLS);
    if missing.is_some() {
        command.args(["--skip", "validation::"]);
    }
    command
        .env("BERTH_BIN", context.berth())
        .env("BERTH_CACHE", &context.cache)
        .env("RUST_BACKTRACE", "0");
    match (tests(&mut command)?, missing) {
        (Outcome::Passed { tests, note }, Some(reason)) => {
            let accepted = go::was_refused(context, go::RUNTIME_TOOLS);
            let reason = format!(
                "the specification's own tests were left out; of the others, {note} passed\n{reason}"
            );
            Ok(Outcome::NotRun { tests, reason, accepted })
        }
        (outcome, _) => Ok(outcome),
    }
}
