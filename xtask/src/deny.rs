//! `cargo xtask deny`: the dependencies, by the rules of `deny.toml`.

use std::process::Command;

use anyhow::Result;

use crate::context::Context;
use crate::part::{Outcome, Part, Tests};
use crate::process::{check, output};
use crate::tools::cargo::CARGO_DENY;

pub(crate) fn parts() -> Vec<Part> {
    vec![
        Part { name: "deny", what: "licences, bans and sources of the dependencies", run: rules },
        Part { name: "advisories", what: "known weaknesses of the dependencies", run: advisories },
    ]
}

fn rules(context: &Context) -> Result<Outcome> {
    match cargo_deny(context, "check bans licenses sources") {
        Some(mut command) => check(&mut command),
        None => Outcome::not_run("cargo-deny is not installed: run `cargo xtask setup`"),
    }
}

/// The database of advisories is a repository on GitHub, which not every machine reaches. That alone does not fail a
/// run: nothing in the tree could mend it.
fn advisories(context: &Context) -> Result<Outcome> {
    let (Some(mut fetch), Some(mut judge)) =
        (cargo_deny(context, "fetch db"), cargo_deny(context, "check --disable-fetch advisories"))
    else {
        return Outcome::not_run("cargo-deny is not installed: run `cargo xtask setup`");
    };
    match output(&mut fetch) {
        Ok(_) => check(&mut judge),
        Err(error) => {
            println!("{error:#}");
            Ok(Outcome::NotRun {
                tests: Tests::default(),
                reason: "the advisory database cannot be fetched from GitHub".to_owned(),
                accepted: true,
            })
        }
    }
}

fn cargo_deny(context: &Context, arguments: &str) -> Option<Command> {
    let mut command = Command::new(CARGO_DENY.installed(context)?);
    command.args(arguments.split_whitespace()).current_dir(&context.root);
    Some(command)
}
