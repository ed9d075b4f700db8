use berth_metadata::Member;
use berth_oci::access::{AccountName, TeamName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Names, parse};
use super::page::{PageParameters, Paging};
use super::problem::Refusals;
use super::respond::{self, Answer};
use super::{Administration, Problem};

/// Some members of an organisation, to whom something is granted together.
#[derive(Serialize, ToSchema)]
pub(super) struct Team {
    /// The whole name, as grants have it.
    #[schema(value_type = String, example = "acme/developers")]
    name: TeamName,
}

impl From<TeamName> for Team {
    fn from(name: TeamName) -> Self {
        Self { name }
    }
}

/// A team to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTeam {
    /// Its own name, without the organisation's.
    #[schema(example = "developers")]
    name: String,
}

/// A member of a team.
#[derive(Serialize, ToSchema)]
pub(super) struct TeamMember {
    #[schema(value_type = String, example = "alice")]
    user: AccountName,
}

impl From<Member> for TeamMember {
    fn from(member: Member) -> Self {
        Self { user: member.user }
    }
}

fn team_name(organisation: &AccountName, team: &str) -> Result<TeamName, Problem> {
    parse("the team's name", &format!("{organisation}/{team}"))
}

/// The teams of an organisation. For its members.
#[utoipa::path(
    get, path = "/api/v1/organisations/{name}/teams", tag = "teams",
    params(("name" = String, Path, description = "The organisation."), PageParameters),
    responses((status = 200, description = "A page of teams.", body = [Team]), Refusals)
)]
pub(super) async fn list_teams(
    administration: Administration,
    Names(organisation): Names<AccountName>,
    paging: Paging,
) -> Answer {
    let after = paging.place::<TeamName>()?;
    let page = administration.teams(&organisation, after.as_ref(), paging.limit).await?;
    paging.render::<_, Team>(page, TeamName::to_string)
}

/// Makes a team. For the owners of the organisation.
#[utoipa::path(
    post, path = "/api/v1/organisations/{name}/teams", tag = "teams",
    params(("name" = String, Path, description = "The organisation.")),
    request_body = NewTeam,
    responses((status = 201, description = "The team.", body = Team), Refusals)
)]
pub(super) async fn create_team(
    administration: Administration,
    Names(organisation): Names<AccountName>,
    Json(new): Json<NewTeam>,
) -> Answer {
    let name = team_name(&organisation, &new.name)?;
    administration.create_team(&name).await?;
    respond::created(&Team { name })
}

/// Deletes a team, with the grants to it. For the owners of the organisation.
#[utoipa::path(
    delete, path = "/api/v1/organisations/{name}/teams/{team}", tag = "teams",
    params(
        ("name" = String, Path, description = "The organisation."),
        ("team" = String, Path, description = "The team's own name."),
    ),
    responses((status = 204, description = "The team is gone."), Refusals)
)]
pub(super) async fn delete_team(
    administration: Administration,
    Names((organisation, team)): Names<(AccountName, String)>,
) -> Answer {
    administration.delete_team(&team_name(&organisation, &team)?).await?;
    respond::done()
}

/// The members of a team. For the members of the organisation.
#[utoipa::path(
    get, path = "/api/v1/organisations/{name}/teams/{team}/members", tag = "teams",
    params(
        ("name" = String, Path, description = "The organisation."),
        ("team" = String, Path, description = "The team's own name."),
        PageParameters,
    ),
    responses((status = 200, description = "A page of members.", body = [TeamMember]), Refusals)
)]
pub(super) async fn list_team_members(
    administration: Administration,
    Names((organisation, team)): Names<(AccountName, String)>,
    paging: Paging,
) -> Answer {
    let team = team_name(&organisation, &team)?;
    let after = paging.place::<AccountName>()?;
    let page = administration.team_members(&team, after.as_ref(), paging.limit).await?;
    paging.render::<_, TeamMember>(page, |member| member.user.to_string())
}

/// Makes a user a member of a team, and of its organisation. For the owners of the organisation.
#[utoipa::path(
    put, path = "/api/v1/organisations/{name}/teams/{team}/members/{user}", tag = "teams",
    params(
        ("name" = String, Path, description = "The organisation."),
        ("team" = String, Path, description = "The team's own name."),
        ("user" = String, Path, description = "The user."),
    ),
    responses((status = 204, description = "The user is in the team."), Refusals)
)]
pub(super) async fn add_team_member(
    administration: Administration,
    Names((organisation, team, user)): Names<(AccountName, String, AccountName)>,
) -> Answer {
    administration.add_to_team(&team_name(&organisation, &team)?, &user).await?;
    respond::done()
}

/// Takes a user out of a team; they stay in the organisation. For the owners of the organisation.
#[utoipa::path(
    delete, path = "/api/v1/organisations/{name}/teams/{team}/members/{user}", tag = "teams",
    params(
        ("name" = String, Path, description = "The organisation."),
        ("team" = String, Path, description = "The team's own name."),
        ("user" = String, Path, description = "The user."),
    ),
    responses((status = 204, description = "The user is not in the team any more."), Refusals)
)]
pub(super) async fn remove_team_member(
    administration: Administration,
    Names((organisation, team, user)): Names<(AccountName, String, AccountName)>,
) -> Answer {
    administration.remove_from_team(&team_name(&organisation, &team)?, &user).await?;
    respond::done()
}
