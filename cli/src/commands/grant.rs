use std::process::ExitCode;

use anyhow::Result;
use berth_oci::access::Grant;
use clap::Subcommand;
use serde_json::json;

use super::administer::{Common, encode};

const GRANTS: &str = "/api/v1/grants";

/// `berth grant …`.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Say who may do what: 'allow SUBJECT ROLE REPOSITORIES'.
    ///
    /// SUBJECT is anyone, authenticated, user:NAME, robot:OWNER+NAME, organisation:NAME,
    /// team:ORGANISATION/NAME or workload:RULE; ROLE is reader, writer, maintainer or admin;
    /// REPOSITORIES is a pattern such as 'acme/**'. With deny in place of allow it is taken.
    Add {
        /// The grant, as one argument or as several.
        #[arg(required = true, value_name = "GRANT")]
        words: Vec<String>,
    },
    /// List the grants of the database.
    List {
        /// Those to a subject.
        #[arg(long)]
        subject: Option<String>,
        /// Those of the repositories below a name.
        #[arg(long, value_name = "NAME")]
        namespace: Option<String>,
    },
    /// Take a grant away.
    Remove {
        /// Its number.
        id: i64,
    },
}

/// Carries it out.
pub(crate) fn run(command: GrantCommand, common: &Common) -> Result<ExitCode> {
    match command {
        GrantCommand::Add { words } => {
            let grant: Grant = words.join(" ").parse()?;
            let Grant { effect, subject, role, repositories } = &grant;
            let new = json!({
                "effect": effect,
                "subject": subject,
                "role": role,
                "repositories": repositories,
            });
            common.done("POST", GRANTS, Some(new), &format!("in force: {grant}"))
        }
        GrantCommand::List { subject, namespace } => {
            let filters = [("subject", subject), ("namespace", namespace)];
            let query: Vec<_> = filters
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))))
                .collect();
            common.list(
                &format!("{GRANTS}?{}", query.join("&")),
                &[
                    ("ID", "id"),
                    ("EFFECT", "effect"),
                    ("SUBJECT", "subject"),
                    ("ROLE", "role"),
                    ("REPOSITORIES", "repositories"),
                    ("BY", "by"),
                    ("CREATED", "created"),
                ],
            )
        }
        GrantCommand::Remove { id } => {
            common.done("DELETE", &format!("{GRANTS}/{id}"), None, &format!("grant {id} is gone"))
        }
    }
}
