//! `cargo xtask conformance`: the OCI's own suites against the optimised build.

use anyhow::Result;

use crate::context::Context;
use crate::part::{Outcome, Part, Tests};
use crate::process::{cargo, check, tests};
use crate::tools::go;

pub(crate) fn parts() -> Vec<Part> {
    vec![
        build(),
        Part {
            name: "conformance",
            what: "the OCI's current suite with every switch on, on every storage",
            run: |context| suite(context, "oci-conformance-current", "the_current_suite"),
        },
        Part {
            name: "release 1.1.1",
            what: "the suite of that release, on every storage",
            run: |context| suite(context, "oci-conformance-v1.1.1", "the_suite_of_release_1_1_1"),
        },
        Part {
            name: "release 1.0.1",
            what: "the suite of that release, on every storage",
            run: |context| suite(context, "oci-conformance-v1.0.1", "the_suite_of_release_1_0_1"),
        },
    ]
}

/// The optimised build of the server. Where it fails an older one goes, so that no test can meet it.
pub(crate) fn build() -> Part {
    Part {
        name: "build",
        what: "the optimised build of berth",
        run: |context| {
            let outcome =
                check(&mut cargo(context, "build --profile optimised --locked --bin berth"))?;
            if matches!(outcome, Outcome::Failed { .. }) && context.berth().exists() {
                std::fs::remove_file(context.berth())?;
            }
            Ok(outcome)
        },
    }
}

fn suite(context: &Context, program: &str, filter: &str) -> Result<Outcome> {
    if let Some(reason) = go::why_missing(context, program) {
        let accepted = go::was_refused(context, program);
        return Ok(Outcome::NotRun { tests: Tests::default(), reason, accepted });
    }
    if !context.berth().is_file() {
        return Outcome::not_run("berth is not built");
    }
    tests(
        cargo(context, "test --workspace --locked --test conformance --")
            .args(["--ignored", "--nocapture", "--test-threads=1", filter])
            .env("BERTH_BIN", context.berth())
            .env("BERTH_CACHE", &context.cache)
            .env("RUST_BACKTRACE", "0"),
    )
}
