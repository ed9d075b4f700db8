use std::process::ExitCode;

use anyhow::Result;
use berth_config::GoDuration;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::administer::{Column, Common, body, encode, from_now};

/// What tables show of tokens.
const COLUMNS: [Column; 7] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("ROLE", "role"),
    ("REPOSITORIES", "repositories"),
    ("EXPIRES", "expires"),
    ("CREATED", "created"),
    ("USED", "used"),
];

/// What a token is for.
#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// After how long it is worth nothing, for example 90d; never, unless it is said.
    #[arg(long, value_name = "TIME")]
    expires: Option<GoDuration>,
    /// The most that it may do: reader, writer, maintainer or admin.
    #[arg(long)]
    role: Option<String>,
    /// The only repositories that it is for, for example 'acme/**'.
    #[arg(long, value_name = "PATTERN")]
    repositories: Option<String>,
}

impl Limits {
    /// The body of a request for a token, or for a robot with one.
    pub(super) fn body(self, name: &str, description: Option<String>) -> Result<Value> {
        Ok(body([
            ("name", Some(json!(name))),
            ("description", description.map(Value::from)),
            ("role", self.role.map(Value::from)),
            ("repositories", self.repositories.map(Value::from)),
            ("expires", from_now(self.expires)?),
        ]))
    }
}

/// `berth token …`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an access token for a user or a robot, and show it once.
    Create {
        /// The user or the robot.
        account: String,
        /// What to call the token.
        name: String,
        #[command(flatten)]
        limits: Limits,
    },
    /// List the access tokens of a user or a robot.
    List {
        /// The user or the robot.
        account: String,
    },
    /// Take an access token away.
    Delete {
        /// The user or the robot.
        account: String,
        /// The token's number.
        id: i64,
    },
    /// Give an access token another secret, and show it once. The old one is worth nothing any more.
    Rotate {
        /// The user or the robot.
        account: String,
        /// The token's number.
        id: i64,
        /// After how long it is worth nothing, for example 90d; never, unless it is said.
        #[arg(long, value_name = "TIME")]
        expires: Option<GoDuration>,
    },
    /// Take all access tokens of an account away, and end all that it has logged in with.
    Revoke {
        /// The user or the robot.
        account: String,
    },
}

/// Carries it out.
pub(crate) fn run(command: TokenCommand, common: &Common) -> Result<ExitCode> {
    match command {
        TokenCommand::Create { account, name, limits } => {
            let new = limits.body(&name, None)?;
            common.drawn("POST", &tokens(&account), Some(new), "/secret")
        }
        TokenCommand::List { account } => common.list(&tokens(&account), &COLUMNS),
        TokenCommand::Delete { account, id } => {
            let done = format!("the token {id} of {account} is worth nothing any more");
            common.done("DELETE", &format!("{}/{id}", tokens(&account)), None, &done)
        }
        TokenCommand::Rotate { account, id, expires } => rotate(common, &account, id, expires),
        TokenCommand::Revoke { account } => {
            let target = format!("/api/v1/accounts/{}/revoke", encode(&account));
            let done = format!("no token of {account} is worth anything any more");
            common.done("POST", &target, None, &done)
        }
    }
}

pub(super) fn tokens(account: &str) -> String {
    format!("/api/v1/accounts/{}/tokens", encode(account))
}

pub(super) fn rotate(
    common: &Common,
    account: &str,
    id: i64,
    expires: Option<GoDuration>,
) -> Result<ExitCode> {
    let target = format!("{}/{id}/rotate", tokens(account));
    common.drawn("POST", &target, Some(body([("expires", from_now(expires)?)])), "/secret")
}
