use std::process::ExitCode;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::administer::{Common, body, encode};

const ORGANISATIONS: &str = "/api/v1/organisations";

/// `berth organisation …`.
#[derive(Debug, Subcommand)]
pub(crate) enum OrganisationCommand {
    /// Make an organisation.
    Create {
        /// The name, with which its repositories begin.
        name: String,
        /// A user who decides over it; can be given more than once.
        #[arg(long, value_name = "USER")]
        owner: Vec<String>,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
    },
    /// List the organisations.
    List,
    /// Say what an organisation is for.
    Describe {
        /// The name.
        name: String,
        /// What it is for.
        description: String,
    },
    /// Delete an organisation, with its teams, robots and the grants to them. Repositories stay.
    Delete {
        /// The name.
        name: String,
    },
    /// List the members of an organisation, or change them.
    Members {
        /// The name.
        name: String,
        /// Make a user a member.
        #[arg(long, value_name = "USER", conflicts_with = "remove")]
        add: Option<String>,
        /// What the user is to be there.
        #[arg(long, value_enum, default_value_t = Role::Member, requires = "add")]
        role: Role,
        /// Take a user out, of its teams too.
        #[arg(long, value_name = "USER")]
        remove: Option<String>,
    },
}

/// What a member is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    /// Belongs to it.
    Member,
    /// Decides over it.
    Owner,
}

/// Carries it out.
pub(crate) fn run(command: OrganisationCommand, common: &Common) -> Result<ExitCode> {
    let one = |name: &str| format!("{ORGANISATIONS}/{}", encode(name));
    let member = |name: &str, user: &str| format!("{}/members/{}", one(name), encode(user));
    match command {
        OrganisationCommand::Create { name, owner, description } => {
            let new = body([
                ("name", Some(json!(name))),
                ("owners", Some(json!(owner))),
                ("description", description.map(Value::from)),
            ]);
            let done = format!("the organisation {name} is there");
            common.done("POST", ORGANISATIONS, Some(new), &done)
        }
        OrganisationCommand::List => common.list(
            ORGANISATIONS,
            &[("NAME", "name"), ("CREATED", "created"), ("DESCRIPTION", "description")],
        ),
        OrganisationCommand::Describe { name, description } => {
            let change = json!({ "description": description });
            common.done("PATCH", &one(&name), Some(change), &format!("{name} is described"))
        }
        OrganisationCommand::Delete { name } => {
            common.done("DELETE", &one(&name), None, &format!("{name} is deleted"))
        }
        OrganisationCommand::Members { name, add: Some(user), role, .. } => {
            let (role, word) = match role {
                Role::Member => ("member", "a member"),
                Role::Owner => ("owner", "an owner"),
            };
            let done = format!("{user} is {word} of {name}");
            common.done("PUT", &member(&name, &user), Some(json!({ "role": role })), &done)
        }
        OrganisationCommand::Members { name, remove: Some(user), .. } => {
            let done = format!("{user} is no member of {name} any more");
            common.done("DELETE", &member(&name, &user), None, &done)
        }
        OrganisationCommand::Members { name, .. } => {
            common.list(&format!("{}/members", one(&name)), &[("USER", "user"), ("ROLE", "role")])
        }
    }
}
