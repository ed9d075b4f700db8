//! `cargo xtask replicas`: several of the optimised build on one PostgreSQL and one bucket, on good days and bad ones.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Result;
use clap::Args;

use crate::conformance;
use crate::context::Context;
use crate::part::{Outcome, Part};
use crate::process::{cargo, tests};
use crate::tools::{self, go};

/// The database, its pooler, what changes a replica's clock, and what makes a disk that fills.
const PROGRAMS: [&str; 6] = ["psql", "pgbouncer", "faketime", "mkfs.ext4", "mount", "setpriv"];
/// The conformance suites, and what their tests are called here.
const SUITES: [(&str, &str); 2] = [
    ("oci-conformance-current", "the_current_suite"),
    ("oci-conformance-v1.1.1", "the_suite_of_release_1_1_1"),
];
/// How much is done.
const SIZE: &str = "BERTH_REPLICAS_SIZE";

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Fewer uploads, clients and rounds, as in `cargo xtask test`
    #[arg(long)]
    short: bool,
}

pub(crate) fn parts(arguments: &Arguments) -> Vec<Part> {
    let proof = if arguments.short { in_short() } else { whole() };
    vec![conformance::build(), proof]
}

fn whole() -> Part {
    Part {
        name: "replicas",
        what: "three replicas on one PostgreSQL, which fails, while replicas die and clocks differ",
        run: |context| replicas(context, "whole"),
    }
}

/// The same in a few minutes, with a server that is already built.
pub(crate) fn in_short() -> Part {
    Part {
        name: "replicas",
        what: "in short: replicas on one PostgreSQL, which fails, while replicas die and clocks differ",
        run: |context| replicas(context, "short"),
    }
}

fn replicas(context: &Context, size: &str) -> Result<Outcome> {
    if !context.berth().is_file() {
        return Outcome::not_run("berth is not built");
    }
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Outcome::not_run("some of them mount filesystems, which takes root");
    }
    if let Some(program) = PROGRAMS.iter().find(|program| !tools::is_installed(context, program)) {
        return Outcome::not_run(format!("{program} is not installed: run `cargo xtask setup`"));
    }
    let mut command = cargo(
        context,
        "test --workspace --locked --test replicas -- --ignored --nocapture --test-threads=1",
    );
    let mut absent = Vec::new();
    for (suite, name) in SUITES {
        if let Some(reason) = go::why_missing(context, suite) {
            command.args(["--skip", name]);
            absent.push((reason, go::was_refused(context, suite)));
        }
    }
    command
        .env("BERTH_BIN", context.berth())
        .env("BERTH_CACHE", &context.cache)
        .env(SIZE, size)
        .env("RUST_BACKTRACE", "0");
    match tests(&mut command)? {
        Outcome::Passed { tests, note } if !absent.is_empty() => {
            let reasons: Vec<&str> = absent.iter().map(|(reason, _)| &**reason).collect();
            let reason = format!("{}; of the others, {note} passed", reasons.join("; "));
            let accepted = absent.iter().all(|(_, refused)| *refused);
            Ok(Outcome::NotRun { tests, reason, accepted })
        }
        outcome => Ok(outcome),
    }
}
