use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::json;

use super::administer::{Common, encode};

/// `berth team …`.
#[derive(Debug, Subcommand)]
pub(crate) enum TeamCommand {
    /// Make a team.
    Create {
        /// The team.
        #[arg(value_name = "ORGANISATION/TEAM")]
        team: String,
    },
    /// Delete a team, with the grants to it.
    Delete {
        /// The team.
        #[arg(value_name = "ORGANISATION/TEAM")]
        team: String,
    },
    /// List the teams of an organisation, or the members of a team.
    List {
        /// The organisation or the team.
        #[arg(value_name = "ORGANISATION[/TEAM]")]
        name: String,
    },
    /// Make a user a member of a team, and of its organisation.
    Add {
        /// The team.
        #[arg(value_name = "ORGANISATION/TEAM")]
        team: String,
        /// The user.
        user: String,
    },
    /// Take a user out of a team. They stay in the organisation.
    Remove {
        /// The team.
        #[arg(value_name = "ORGANISATION/TEAM")]
        team: String,
        /// The user.
        user: String,
    },
}

/// Carries it out.
pub(crate) fn run(command: TeamCommand, common: &Common) -> Result<ExitCode> {
    match command {
        TeamCommand::Create { team } => {
            let (organisation, name) = split(&team)?;
            let new = json!({ "name": name });
            common.done(
                "POST",
                &teams(organisation),
                Some(new),
                &format!("the team {team} is there"),
            )
        }
        TeamCommand::Delete { team } => {
            common.done("DELETE", &one(&team)?, None, &format!("{team} is deleted"))
        }
        TeamCommand::List { name } if name.contains('/') => {
            common.list(&format!("{}/members", one(&name)?), &[("USER", "user")])
        }
        TeamCommand::List { name } => common.list(&teams(&name), &[("NAME", "name")]),
        TeamCommand::Add { team, user } => {
            common.done("PUT", &member(&team, &user)?, None, &format!("{user} is in {team}"))
        }
        TeamCommand::Remove { team, user } => {
            let done = format!("{user} is not in {team} any more");
            common.done("DELETE", &member(&team, &user)?, None, &done)
        }
    }
}

fn split(team: &str) -> Result<(&str, &str)> {
    team.split_once('/').context("a team is named ORGANISATION/TEAM, for example acme/developers")
}

fn teams(organisation: &str) -> String {
    format!("/api/v1/organisations/{}/teams", encode(organisation))
}

fn one(team: &str) -> Result<String> {
    let (organisation, name) = split(team)?;
    Ok(format!("{}/{}", teams(organisation), encode(name)))
}

fn member(team: &str, user: &str) -> Result<String> {
    Ok(format!("{}/members/{}", one(team)?, encode(user)))
}
