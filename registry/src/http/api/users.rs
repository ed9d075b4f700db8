use berth_metadata::Account;
use berth_oci::access::AccountName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Names};
use super::page::{PageParameters, Paging};
use super::problem::Refusals;
use super::respond::{self, Answer};
use super::{Administration, time};
use crate::access::administration::{self, UserChange};

/// A person who uses the registry.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    #[schema(value_type = String, example = "alice")]
    name: AccountName,
    /// What the account is for.
    description: String,
    /// Whether they may do everything, everywhere.
    admin: bool,
    /// Whether they may do nothing for now.
    disabled: bool,
    /// Whether they log in with a password that is kept here.
    has_password: bool,
    /// From when on they may do nothing.
    #[schema(format = DateTime)]
    expires: Option<String>,
    #[schema(format = DateTime)]
    created: String,
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        Self {
            name: account.name,
            description: account.description,
            admin: account.is_admin,
            disabled: account.is_disabled,
            has_password: account.password.is_some(),
            expires: account.expires.map(time::text),
            created: time::text(account.created),
        }
    }
}

/// A user to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    #[schema(value_type = String, example = "alice")]
    name: AccountName,
    /// At least 8 characters. Without one they log in some other way.
    #[schema(format = Password)]
    password: Option<String>,
    /// Whether they may do everything, everywhere.
    #[serde(default)]
    admin: bool,
    /// What the account is for.
    #[serde(default)]
    description: String,
    /// From when on they may do nothing.
    #[schema(format = DateTime)]
    expires: Option<String>,
}

/// What to change of a user. What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedUser {
    /// Another password. It ends what they have logged in with, but for access tokens.
    #[schema(format = Password)]
    password: Option<String>,
    /// Whether they may do everything, everywhere.
    admin: Option<bool>,
    /// Whether they may do nothing for now.
    disabled: Option<bool>,
    /// What the account is for.
    description: Option<String>,
    /// From when on they may do nothing; `null` for never.
    #[serde(default, deserialize_with = "time::nullable")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Option<String>>,
}

/// The users. For administrators.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users",
    params(PageParameters),
    responses((status = 200, description = "A page of users.", body = [User]), Refusals)
)]
pub(super) async fn list_users(administration: Administration, paging: Paging) -> Answer {
    let after = paging.place::<AccountName>()?;
    let page = administration.users(after.as_ref(), paging.limit).await?;
    paging.render::<_, User>(page, |user| user.name.to_string())
}

/// Makes a user. For administrators.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users",
    request_body = NewUser,
    responses((status = 201, description = "The user.", body = User), Refusals)
)]
pub(super) async fn create_user(
    administration: Administration,
    Json(new): Json<NewUser>,
) -> Answer {
    let new = administration::NewUser {
        name: new.name,
        password: new.password.map(Into::into),
        is_admin: new.admin,
        description: new.description,
        expires: time::read_option("expires", new.expires)?,
    };
    respond::created(&User::from(administration.create_user(new).await?))
}

/// A user. For administrators, and for the user.
#[utoipa::path(
    get, path = "/api/v1/users/{name}", tag = "users",
    params(("name" = String, Path, description = "The user's name.")),
    responses((status = 200, description = "The user.", body = User), Refusals)
)]
pub(super) async fn show_user(
    administration: Administration,
    Names(name): Names<AccountName>,
) -> Answer {
    respond::ok(&User::from(administration.user(&name).await?))
}

/// Changes a user. Users may change their own description and, having logged in with it, their password;
/// everything else is for administrators.
#[utoipa::path(
    patch, path = "/api/v1/users/{name}", tag = "users",
    params(("name" = String, Path, description = "The user's name.")),
    request_body = ChangedUser,
    responses((status = 200, description = "The user as it is now.", body = User), Refusals)
)]
pub(super) async fn change_user(
    administration: Administration,
    Names(name): Names<AccountName>,
    Json(change): Json<ChangedUser>,
) -> Answer {
    let expires = change.expires.map(|expires| time::read_option("expires", expires));
    let change = UserChange {
        password: change.password.map(Into::into),
        is_admin: change.admin,
        is_disabled: change.disabled,
        description: change.description,
        expires: expires.transpose()?,
    };
    respond::ok(&User::from(administration.change_user(&name, change).await?))
}

/// Deletes a user with their robots, tokens, memberships and the grants to them. Repositories stay. For
/// administrators.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}", tag = "users",
    params(("name" = String, Path, description = "The user's name.")),
    responses((status = 204, description = "The user is gone."), Refusals)
)]
pub(super) async fn delete_user(
    administration: Administration,
    Names(name): Names<AccountName>,
) -> Answer {
    administration.delete_user(&name).await?;
    respond::done()
}
