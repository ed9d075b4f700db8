//! `cargo xtask fuzz`: the parsers of outside input against inputs that nobody thought of.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::Args;

use crate::context::Context;
use crate::part::{Outcome, Part, Tests};
use crate::process::{output, succeeds, watched};
use crate::tools::cargo::{self, CARGO_FUZZ};

/// A look at each target, as a part of `cargo xtask test`. What it takes is the building, so that is not optimised.
const SHORT: Effort = Effort { seconds: 4, profile: "--dev" };

/// How hard the targets are tried.
#[derive(Clone, Copy)]
struct Effort {
    /// How long each runs.
    seconds: u32,
    /// cargo-fuzz's name of how they are built.
    profile: &'static str,
}

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only these targets; all of them when none is named
    targets: Vec<String>,
}

pub(crate) fn parts() -> Vec<Part> {
    vec![Part {
        name: "fuzz",
        what: "each parser of outside input, for four seconds",
        run: |context| fuzz_all(context, SHORT, &[]),
    }]
}

pub(crate) fn fuzz(context: &Context, arguments: &Arguments) -> Result<ExitCode> {
    let effort = Effort { seconds: arguments.seconds, profile: "--release" };
    match fuzz_all(context, effort, &arguments.targets)? {
        Outcome::Passed { tests, .. } => {
            println!("{} passed, {} failed", tests.passed, tests.failed);
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Failed { reason, .. } | Outcome::NotRun { reason, .. } => bail!(reason),
    }
}

fn fuzz_all(context: &Context, effort: Effort, wanted: &[String]) -> Result<Outcome> {
    if !succeeds(Command::new("cargo").args(["+nightly", "--version"])) {
        return Outcome::not_run(
            "fuzzing needs a nightly toolchain: rustup toolchain install nightly",
        );
    }
    if let Err(error) = cargo::install(context, &CARGO_FUZZ) {
        return Outcome::not_run(format!("cargo-fuzz cannot be installed: {error:#}"));
    }
    let Some(cargo_fuzz) = CARGO_FUZZ.installed(context) else {
        return Outcome::not_run("cargo-fuzz was installed and is not found");
    };
    let folder = context.root.join("tests/fuzz");
    let command = |subcommand: &str| {
        let mut command = Command::new(&cargo_fuzz);
        command.arg("fuzz").arg(subcommand).arg("--fuzz-dir").arg(&folder);
        command.current_dir(&context.root).env("RUSTUP_TOOLCHAIN", "nightly");
        // cargo hands its own toolchain on, which is not the one that is wanted here.
        command.env_remove("CARGO").env_remove("RUSTC");
        command
    };
    let listed = output(&mut command("list"))?;
    let targets = listed.lines().filter(|t| wanted.is_empty() || wanted.iter().any(|w| w == t));
    let Effort { seconds, profile } = effort;
    let limit = format!("-max_total_time={seconds}");
    let mut tests = Tests::default();
    let mut broken = Vec::new();
    for target in targets {
        let mut run_target = command("run");
        run_target.args([profile, target, "--", &limit, "-rss_limit_mb=2048", "-verbosity=0"]);
        match watched(&mut run_target, |_| {})? {
            Ok(()) => tests.passed += 1,
            Err(reason) => {
                tests.failed += 1;
                broken.push(format!("{target}: {reason}"));
            }
        }
    }
    Ok(match broken.is_empty() {
        true => Outcome::Passed { tests, note: format!("{seconds} s each") },
        false => {
            broken.push("the inputs are in tests/fuzz/artifacts".to_owned());
            Outcome::Failed { tests, reason: broken.join("\n") }
        }
    })
}
