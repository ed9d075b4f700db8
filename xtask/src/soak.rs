//! `cargo xtask soak`: collects garbage under a mixture of everything, for an hour.

use std::env;

use anyhow::Result;

use crate::conformance;
use crate::context::Context;
use crate::part::{Outcome, Part};
use crate::process::{cargo, tests};
use crate::tools;

/// How long each of the four mixtures runs, in seconds; `BERTH_SOAK_SECONDS` says otherwise.
const SECONDS: &str = "900";
/// How long in `cargo xtask test`.
const SECONDS_IN_SHORT: &str = "15";

/// How often each piece of work is killed; `BERTH_KILLS` says otherwise.
const KILLS: &str = "60";
/// How often in `cargo xtask test`.
const KILLS_IN_SHORT: &str = "3";

pub(crate) fn parts() -> Vec<Part> {
    vec![
        conformance::build(),
        Part {
            name: "soak",
            what: "an hour of pushes, pulls and deletes while garbage is collected; then kills at every step of it",
            run: |context| soak(context, SECONDS, KILLS),
        },
    ]
}

/// The same in a minute or two, with a server that is already built.
pub(crate) fn in_short() -> Part {
    Part {
        name: "soak",
        what: "in short: pushes, pulls and deletes while garbage is collected, the command that does it, and kills",
        run: |context| soak(context, SECONDS_IN_SHORT, KILLS_IN_SHORT),
    }
}

fn soak(context: &Context, seconds: &str, kills: &str) -> Result<Outcome> {
    if !context.berth().is_file() {
        return Outcome::not_run("berth is not built");
    }
    let or = |name, other: &str| env::var(name).unwrap_or_else(|_| other.to_owned());
    let mut command = cargo(
        context,
        "test --workspace --locked --test collection -- --ignored --nocapture --test-threads=1",
    );
    let has_strace = tools::is_installed(context, "strace");
    if !has_strace {
        command.args(["--skip", "kills::"]);
    }
    command
        .env("BERTH_BIN", context.berth())
        .env("BERTH_CACHE", &context.cache)
        .env("BERTH_SOAK_SECONDS", or("BERTH_SOAK_SECONDS", seconds))
        .env("BERTH_KILLS", or("BERTH_KILLS", kills))
        .env("RUST_BACKTRACE", "0");
    match tests(&mut command)? {
        Outcome::Passed { tests, note } if !has_strace => {
            let reason = format!(
                "strace is not installed, so nothing was killed: run `cargo xtask setup`; of the others, {note} passed"
            );
            Ok(Outcome::NotRun { tests, reason, accepted: false })
        }
        outcome => Ok(outcome),
    }
}
