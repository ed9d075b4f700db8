use axum::extract::State;
use berth_auth::Who;
use berth_auth::token::Way;
use berth_oci::access::{RepositoryPattern, Role, Subject};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

use super::respond::{self, Answer};
use crate::Registry;
use crate::access::administration::Asker;

/// Who asks, and what with.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct Me {
    #[schema(value_type = String, example = "alice")]
    name: String,
    /// `operator`, `user`, `robot`, `workload`, or `other` for who has no account here.
    #[schema(value_type = String)]
    kind: &'static str,
    /// How they have shown who they are: `operator`, `password`, `password-file`, `token`,
    /// `certificate`, or `workload`.
    #[schema(value_type = String)]
    way: &'static str,
    /// Whether they may do everything, everywhere.
    admin: bool,
    /// Whether these credentials may decide about accounts and grants, as far as their owner may.
    decides: bool,
    /// The most that these credentials may do.
    #[schema(value_type = Option<String>, example = "writer")]
    role: Option<Role>,
    /// The only repositories that these credentials are for.
    #[schema(value_type = Option<String>, example = "acme/**")]
    repositories: Option<RepositoryPattern>,
    /// The organisations that they belong to.
    organisations: Vec<OwnOrganisation>,
    /// The teams that they are in.
    teams: Vec<String>,
}

/// An organisation that somebody belongs to.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnOrganisation {
    name: String,
    /// `owner` or `member`.
    #[schema(value_type = String)]
    role: &'static str,
}

/// Who asks, and what they are.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "me",
    responses((status = 200, description = "Whoever has made the request.", body = Me))
)]
pub(super) async fn show_me(State(registry): State<Arc<Registry>>, asker: Asker) -> Answer {
    let Asker::Caller(caller) = &asker else {
        return respond::ok(&Me {
            name: asker.name().to_owned(),
            kind: "operator",
            way: "operator",
            admin: true,
            decides: true,
            ..Default::default()
        });
    };
    let holder = &caller.holder;
    let mut me = Me {
        name: caller.name.to_string(),
        kind: match &holder.who {
            Who::Account(name) if name.is_robot() => "robot",
            Who::Account(_) => "user",
            Who::Workload(_) => "workload",
            Who::Anonymous | Who::Stranger => "other",
        },
        way: match caller.way {
            _ if caller.access_token.is_some() => "token",
            Way::Account => "password",
            Way::Htpasswd => "password-file",
            Way::Certificate => "certificate",
            Way::Workload => "workload",
            Way::Anonymous => "none",
        },
        admin: holder.is_admin,
        decides: caller.administers().is_some(),
        role: holder.limit.role,
        repositories: holder.limit.repositories.clone(),
        ..Default::default()
    };
    if let (Some(access), Some(name)) = (&registry.access, caller.account()) {
        let policy = access.policy();
        let memberships = policy.memberships();
        for subject in memberships.of(name) {
            match subject {
                Subject::Organisation(organisation) => me.organisations.push(OwnOrganisation {
                    name: organisation.to_string(),
                    role: match memberships.is_owner(name, organisation.as_str()) {
                        true => "owner",
                        false => "member",
                    },
                }),
                Subject::Team(team) => me.teams.push(team.to_string()),
                _ => {}
            }
        }
    }
    me.organisations.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    me.teams.sort_unstable();
    respond::ok(&me)
}
