use berth_metadata::Account;
use berth_oci::access::{AccountName, RepositoryPattern, Role};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Filters, Json, Names};
use super::page::{PageParameters, Paging};
use super::problem::Refusals;
use super::respond::{self, Answer};
use super::tokens::Drawn;
use super::{Administration, time};
use crate::access::administration::{self, RobotChange};

/// A program that uses the registry: it has access tokens, and no password.
#[derive(Serialize, ToSchema)]
pub(super) struct Robot {
    #[schema(value_type = String, example = "acme+deploy")]
    name: AccountName,
    /// What it is for.
    description: String,
    /// Whether it may do nothing for now.
    disabled: bool,
    #[schema(format = DateTime)]
    created: String,
}

impl From<Account> for Robot {
    fn from(account: Account) -> Self {
        Self {
            name: account.name,
            description: account.description,
            disabled: account.is_disabled,
            created: time::text(account.created),
        }
    }
}

/// A robot to make, with its first token. It may do nothing before something is granted to it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRobot {
    /// Its owner's name, `+`, and its own.
    #[schema(value_type = String, example = "acme+deploy")]
    name: AccountName,
    /// What it is for.
    #[serde(default)]
    description: String,
    /// The most that its token may do, whatever is granted to the robot.
    #[schema(value_type = Option<String>, example = "writer")]
    role: Option<Role>,
    /// The only repositories that its token is for.
    #[schema(value_type = Option<String>, example = "acme/**")]
    repositories: Option<RepositoryPattern>,
    /// When its token ends.
    #[schema(format = DateTime)]
    expires: Option<String>,
}

/// What to change of a robot. What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedRobot {
    /// Whether it may do nothing for now.
    disabled: Option<bool>,
    /// What it is for.
    description: Option<String>,
}

/// A robot that was made, and its token.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeRobot {
    #[serde(flatten)]
    robot: Robot,
    token: Drawn,
}

/// Which robots are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RobotFilter {
    /// Whose: a user's or an organisation's.
    #[param(value_type = Option<String>, example = "acme")]
    owner: Option<AccountName>,
}

/// The robots of an owner. Without an owner: for administrators all, for others their own.
#[utoipa::path(
    get, path = "/api/v1/robots", tag = "robots",
    params(RobotFilter, PageParameters),
    responses((status = 200, description = "A page of robots.", body = [Robot]), Refusals)
)]
pub(super) async fn list_robots(
    administration: Administration,
    Filters(filter): Filters<RobotFilter>,
    paging: Paging,
) -> Answer {
    let after = paging.place::<AccountName>()?;
    let page = administration.robots(filter.owner.as_ref(), after.as_ref(), paging.limit).await?;
    paging.render::<_, Robot>(page, |robot| robot.name.to_string())
}

/// Makes a robot and its first token, whose secret is told this once. For the owner, or the owners of the
/// organisation.
#[utoipa::path(
    post, path = "/api/v1/robots", tag = "robots",
    request_body = NewRobot,
    responses((status = 201, description = "The robot and its token.", body = MadeRobot), Refusals)
)]
pub(super) async fn create_robot(
    administration: Administration,
    Json(new): Json<NewRobot>,
) -> Answer {
    let new = administration::NewRobot {
        name: new.name,
        description: new.description,
        role: new.role,
        repositories: new.repositories,
        expires: time::read_option("expires", new.expires)?,
    };
    let (robot, token) = administration.create_robot(new).await?;
    respond::created(&MadeRobot { robot: robot.into(), token: token.into() })
}

/// A robot. For its owner, or the owners of the organisation.
#[utoipa::path(
    get, path = "/api/v1/robots/{name}", tag = "robots",
    params(("name" = String, Path, description = "The robot's whole name.")),
    responses((status = 200, description = "The robot.", body = Robot), Refusals)
)]
pub(super) async fn show_robot(
    administration: Administration,
    Names(name): Names<AccountName>,
) -> Answer {
    respond::ok(&Robot::from(administration.robot(&name).await?))
}

/// Changes a robot. For its owner, or the owners of the organisation.
#[utoipa::path(
    patch, path = "/api/v1/robots/{name}", tag = "robots",
    params(("name" = String, Path, description = "The robot's whole name.")),
    request_body = ChangedRobot,
    responses((status = 200, description = "The robot as it is now.", body = Robot), Refusals)
)]
pub(super) async fn change_robot(
    administration: Administration,
    Names(name): Names<AccountName>,
    Json(change): Json<ChangedRobot>,
) -> Answer {
    let change = RobotChange { is_disabled: change.disabled, description: change.description };
    respond::ok(&Robot::from(administration.change_robot(&name, change).await?))
}

/// Deletes a robot, with its tokens and the grants to it. For its owner, or the owners of the organisation.
#[utoipa::path(
    delete, path = "/api/v1/robots/{name}", tag = "robots",
    params(("name" = String, Path, description = "The robot's whole name.")),
    responses((status = 204, description = "The robot is gone."), Refusals)
)]
pub(super) async fn delete_robot(
    administration: Administration,
    Names(name): Names<AccountName>,
) -> Answer {
    administration.delete_robot(&name).await?;
    respond::done()
}
