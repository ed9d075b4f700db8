use std::process::ExitCode;

use anyhow::{Result, bail};
use berth_config::GoDuration;
use clap::Subcommand;
use serde_json::{Value, json};

use super::administer::{Common, encode};
use super::token::{self, Limits};

const ROBOTS: &str = "/api/v1/robots";

/// `berth robot …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RobotCommand {
    /// Make a robot and its token, and show the token once.
    Create {
        /// Its owner's name, a plus and its own, for example acme+deploy.
        #[arg(value_name = "OWNER+NAME")]
        name: String,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        limits: Limits,
    },
    /// List the robots, all of them or those of an owner.
    List {
        /// A user or an organisation.
        owner: Option<String>,
    },
    /// Show a robot.
    Show {
        /// The robot.
        #[arg(value_name = "OWNER+NAME")]
        name: String,
    },
    /// Say what a robot is for.
    Describe {
        /// The robot.
        #[arg(value_name = "OWNER+NAME")]
        name: String,
        /// What it is for.
        description: String,
    },
    /// Let a robot do nothing for now.
    Disable {
        /// The robot.
        #[arg(value_name = "OWNER+NAME")]
        name: String,
    },
    /// Let a robot work again.
    Enable {
        /// The robot.
        #[arg(value_name = "OWNER+NAME")]
        name: String,
    },
    /// Delete a robot, with its tokens and the grants to it.
    Delete {
        /// The robot.
        #[arg(value_name = "OWNER+NAME")]
        name: String,
    },
    /// Give a robot's token another secret, and show it once. The old one is worth nothing any more.
    Rotate {
        /// The robot.
        #[arg(value_name = "OWNER+NAME")]
        name: String,
        /// After how long it is worth nothing, for example 90d; never, unless it is said.
        #[arg(long, value_name = "TIME")]
        expires: Option<GoDuration>,
    },
}

/// Carries it out.
pub(crate) fn run(command: RobotCommand, common: &Common) -> Result<ExitCode> {
    let one = |name: &str| format!("{ROBOTS}/{}", encode(name));
    let change = |name: &str, change: Value, done: &str| {
        common.done("PATCH", &one(name), Some(change), &format!("{name} {done}"))
    };
    match command {
        RobotCommand::Create { name, description, limits } => {
            let new = limits.body(&name, description)?;
            common.drawn("POST", ROBOTS, Some(new), "/token/secret")
        }
        RobotCommand::List { owner } => {
            let filter = owner.map(|owner| format!("?owner={}", encode(&owner)));
            common.list(
                &format!("{ROBOTS}{}", filter.unwrap_or_default()),
                &[
                    ("NAME", "name"),
                    ("DISABLED", "disabled"),
                    ("CREATED", "created"),
                    ("DESCRIPTION", "description"),
                ],
            )
        }
        RobotCommand::Show { name } => common.show(&one(&name)),
        RobotCommand::Describe { name, description } => {
            change(&name, json!({ "description": description }), "is described")
        }
        RobotCommand::Disable { name } => change(&name, json!({ "disabled": true }), "is disabled"),
        RobotCommand::Enable { name } => change(&name, json!({ "disabled": false }), "is enabled"),
        RobotCommand::Delete { name } => {
            common.done("DELETE", &one(&name), None, &format!("{name} is deleted"))
        }
        RobotCommand::Rotate { name, expires } => {
            let tokens = common.all(&token::tokens(&name))?;
            let ids: Vec<_> = tokens.iter().filter_map(|token| token["id"].as_i64()).collect();
            let [id] = ids[..] else {
                bail!(
                    "{name} has {} tokens: say which one, `berth token rotate {name} ID`",
                    ids.len()
                )
            };
            token::rotate(common, &name, id, expires)
        }
    }
}
