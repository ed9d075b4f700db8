//! `cargo xtask soak`: collects garbage under a mixture of everything, for an hour.

use std::env;

use anyhow::Result;

use crate::conformance;
use crate::context::Context;
use crate::part::{Outcome, Part};
use crate::process::{cargo, tests};

/// How long each of the four mixtures runs, in seconds; `BERTH_SOAK_SECONDS` says otherwise.
const SECONDS: &str = "900";
/// How long in `cargo xtask test`.
const SECONDS_IN_SHORT: &str = "15";

pub(crate) fn parts() -> Vec<Part> {
    vec![
        conformance::build(),
        Part {
            name: "soak",
            what: "an hour of pushes, pulls and deletes while garbage is collected",
            run: |context| soak(context, SECONDS),
        },
    ]
}

/// The same in a minute or two, with a server that is already built.
pub(crate) fn in_short() -> Part {
    Part {
        name: "soak",
        what: "in short: pushes, pulls and deletes while garbage is collected, and the command that does it",
        run: |context| soak(context, SECONDS_IN_SHORT),
    }
}

fn soak(context: &Context, seconds: &str) -> Result<Outcome> {
    if !context.berth().is_file() {
        return Outcome::not_run("berth is not built");
    }
    let seconds = env::var("BERTH_SOAK_SECONDS").unwrap_or_else(|_| seconds.to_owned());
    tests(
        cargo(
            context,
            "test --workspace --locked --test collection -- --ignored --nocapture --test-threads=1",
        )
        .env("BERTH_BIN", context.berth())
        .env("BERTH_CACHE", &context.cache)
        .env("BERTH_SOAK_SECONDS", seconds)
        .env("RUST_BACKTRACE", "0"),
    )
}
