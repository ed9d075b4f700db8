use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use super::administer::{Common, encode, print_json};

/// `berth policy …`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say whether somebody may do something, and why. The exit code is 0 when they may, 1 when not, and
    /// 2 when it cannot be told.
    Explain {
        /// A user or a robot, anonymous, or workload:RULE.
        subject: String,
        /// pull, push, delete or manage.
        action: String,
        /// The repository, which need not be there.
        repository: String,
    },
}

/// Carries it out.
pub(crate) fn run(command: PolicyCommand, common: &Common) -> Result<ExitCode> {
    let PolicyCommand::Explain { subject, action, repository } = command;
    let target = format!(
        "/api/v1/policy/explain?subject={}&action={}&repository={}",
        encode(&subject),
        encode(&action),
        encode(&repository)
    );
    let told = match common.ask("GET", &target, None) {
        Ok(told) => told,
        Err(error) => {
            eprintln!("berth: {error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    match common.is_json() {
        true => drop(print_json(&told)?),
        false => println!("{}", told["reason"].as_str().unwrap_or_default()),
    }
    Ok(match told["allowed"] == true {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
