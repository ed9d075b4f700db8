//! `cargo xtask crash`: kills the optimised build under load, again and again, and the commands and monitors of
//! containers.

use std::env;

use anyhow::Result;

use crate::conformance;
use crate::context::Context;
use crate::part::{Outcome, Part};
use crate::process::{cargo, tests};
use crate::runner;

/// How often the proof kills it; `BERTH_CRASH_ROUNDS` says otherwise.
const ROUNDS: &str = "200";
/// How often `cargo xtask test` does.
const ROUNDS_IN_SHORT: &str = "10";

pub(crate) fn parts() -> Vec<Part> {
    vec![
        conformance::build(),
        Part {
            name: "crash",
            what: "200 times SIGKILL under a mixed load, and nothing acknowledged is lost",
            run: |context| crash(context, ROUNDS),
        },
        Part {
            name: "kills",
            what: "200 times SIGKILL for commands and monitors of containers, and nothing is left or lost",
            run: kills,
        },
    ]
}

/// The same of the server in a few seconds, with a server that is already built.
pub(crate) fn in_short() -> Part {
    Part {
        name: "crash",
        what: "10 times SIGKILL under a mixed load, and nothing acknowledged is lost",
        run: |context| crash(context, ROUNDS_IN_SHORT),
    }
}

/// `cargo xtask runner` has this in short.
fn kills(context: &Context) -> Result<Outcome> {
    if let Some(reason) = runner::why_not(context)? {
        return Outcome::not_run(reason);
    }
    let rounds = env::var("BERTH_CRASHES").unwrap_or_else(|_| ROUNDS.to_owned());
    tests(
        cargo(
            context,
            "test --workspace --locked --test containers -- --ignored --nocapture kills::",
        )
        .env("BERTH_BIN", context.berth())
        .env("BERTH_CACHE", &context.cache)
        .env("BERTH_CRASHES", rounds)
        .env("RUST_BACKTRACE", "0"),
    )
}

fn crash(context: &Context, rounds: &str) -> Result<Outcome> {
    if !context.berth().is_file() {
        return Outcome::not_run("berth is not built");
    }
    let rounds = env::var("BERTH_CRASH_ROUNDS").unwrap_or_else(|_| rounds.to_owned());
    tests(
        cargo(
            context,
            "test --workspace --locked --test crash -- --ignored --nocapture --test-threads=1",
        )
        .env("BERTH_BIN", context.berth())
        .env("BERTH_CRASH_ROUNDS", rounds)
        .env("RUST_BACKTRACE", "0"),
    )
}
