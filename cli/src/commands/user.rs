use std::process::ExitCode;

use anyhow::Result;
use berth_config::GoDuration;
use clap::Subcommand;
use serde_json::{Value, json};

use super::administer::{Common, body, encode, from_now, print_json};
use super::password::NewPassword;

const USERS: &str = "/api/v1/users";

/// `berth user …`.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user. Without --password-stdin the password is asked for, or, where there is no
    /// terminal, drawn and shown once.
    Create {
        /// The name.
        name: String,
        /// They may do everything, everywhere.
        #[arg(long)]
        admin: bool,
        /// Read the password from the standard input.
        #[arg(long)]
        password_stdin: bool,
        /// What the account is for.
        #[arg(long)]
        description: Option<String>,
        /// After how long they may do nothing any more, for example 90d.
        #[arg(long, value_name = "TIME")]
        expires: Option<GoDuration>,
    },
    /// List the users.
    List,
    /// Show a user.
    Show {
        /// The name.
        name: String,
    },
    /// Say what an account is for.
    Describe {
        /// The name.
        name: String,
        /// What it is for.
        description: String,
    },
    /// Delete a user, with their robots, tokens and the grants to them. Repositories stay.
    Delete {
        /// The name.
        name: String,
    },
    /// Let a user do nothing for now.
    Disable {
        /// The name.
        name: String,
    },
    /// Let a user in again.
    Enable {
        /// The name.
        name: String,
    },
    /// Give a user another password. It ends what they have logged in with, but for access tokens.
    Password {
        /// The name.
        name: String,
        /// Read the password from the standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Make a user an administrator.
    Promote {
        /// The name.
        name: String,
    },
    /// Make a user none any more.
    Demote {
        /// The name.
        name: String,
    },
}

/// Carries it out.
pub(crate) fn run(command: UserCommand, common: &Common) -> Result<ExitCode> {
    let one = |name: &str| format!("{USERS}/{}", encode(name));
    let change = |name: &str, change: Value, done: &str| {
        common.done("PATCH", &one(name), Some(change), &format!("{name} {done}"))
    };
    match command {
        UserCommand::Create { name, admin, password_stdin, description, expires } => {
            let password = NewPassword::ask(password_stdin)?;
            let new = body([
                ("name", Some(json!(name))),
                ("password", Some(json!(password.value()))),
                ("admin", Some(json!(admin))),
                ("description", description.map(Value::from)),
                ("expires", from_now(expires)?),
            ]);
            let done = format!("the user {name} is there");
            set_password(common, ("POST", USERS), new, &password, &done)
        }
        UserCommand::List => common.list(
            USERS,
            &[
                ("NAME", "name"),
                ("ADMIN", "admin"),
                ("DISABLED", "disabled"),
                ("EXPIRES", "expires"),
                ("CREATED", "created"),
                ("DESCRIPTION", "description"),
            ],
        ),
        UserCommand::Show { name } => common.show(&one(&name)),
        UserCommand::Describe { name, description } => {
            change(&name, json!({ "description": description }), "is described")
        }
        UserCommand::Delete { name } => {
            common.done("DELETE", &one(&name), None, &format!("{name} is deleted"))
        }
        UserCommand::Disable { name } => change(&name, json!({ "disabled": true }), "is disabled"),
        UserCommand::Enable { name } => change(&name, json!({ "disabled": false }), "is enabled"),
        UserCommand::Promote { name } => {
            change(&name, json!({ "admin": true }), "is an administrator")
        }
        UserCommand::Demote { name } => {
            change(&name, json!({ "admin": false }), "is no administrator any more")
        }
        UserCommand::Password { name, password_stdin } => {
            let password = NewPassword::ask(password_stdin)?;
            let change = json!({ "password": password.value() });
            let done = format!("{name} has another password");
            set_password(common, ("PATCH", &one(&name)), change, &password, &done)
        }
    }
}

/// Has a password set, and shows it where nobody knows it yet.
fn set_password(
    common: &Common,
    (method, target): (&str, &str),
    body: Value,
    password: &NewPassword,
    done: &str,
) -> Result<ExitCode> {
    let NewPassword::Drawn(password) = password else {
        return common.done(method, target, Some(body), done);
    };
    let mut user = common.ask(method, target, Some(body))?;
    if common.is_json() {
        user["password"] = json!(password);
        return print_json(&user);
    }
    eprintln!("{done}; the password, which is not shown again:");
    common.secret(password)
}
