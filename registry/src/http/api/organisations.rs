use berth_metadata::{Account, Member, OrganisationRole};
use berth_oci::access::AccountName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Names};
use super::page::{PageParameters, Paging};
use super::problem::Refusals;
use super::respond::{self, Answer};
use super::{Administration, time};

/// Something that people belong to, and that repositories are below the name of.
#[derive(Serialize, ToSchema)]
pub(super) struct Organisation {
    #[schema(value_type = String, example = "acme")]
    name: AccountName,
    /// What it is for.
    description: String,
    #[schema(format = DateTime)]
    created: String,
}

impl From<Account> for Organisation {
    fn from(account: Account) -> Self {
        Self {
            name: account.name,
            description: account.description,
            created: time::text(account.created),
        }
    }
}

/// An organisation to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrganisation {
    #[schema(value_type = String, example = "acme")]
    name: AccountName,
    /// What it is for.
    #[serde(default)]
    description: String,
    /// Users who decide over it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    owners: Vec<AccountName>,
}

/// What to change of an organisation. What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedOrganisation {
    /// What it is for.
    description: Option<String>,
}

/// What a member may do with an organisation.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum MemberRole {
    /// Belongs to it.
    Member,
    /// Decides over it, and may do everything with its repositories.
    Owner,
}

impl From<OrganisationRole> for MemberRole {
    fn from(role: OrganisationRole) -> Self {
        match role {
            OrganisationRole::Member => Self::Member,
            OrganisationRole::Owner => Self::Owner,
        }
    }
}

/// A member of an organisation.
#[derive(Serialize, ToSchema)]
pub(super) struct OrganisationMember {
    #[schema(value_type = String, example = "alice")]
    user: AccountName,
    role: MemberRole,
}

impl From<Member> for OrganisationMember {
    fn from(member: Member) -> Self {
        Self { user: member.user, role: member.role.into() }
    }
}

/// What a member is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Membership {
    role: MemberRole,
}

/// The organisations: for administrators all, for others those that they belong to.
#[utoipa::path(
    get, path = "/api/v1/organisations", tag = "organisations",
    params(PageParameters),
    responses((status = 200, description = "A page of organisations.", body = [Organisation]), Refusals)
)]
pub(super) async fn list_organisations(administration: Administration, paging: Paging) -> Answer {
    let after = paging.place::<AccountName>()?;
    let page = administration.organisations(after.as_ref(), paging.limit).await?;
    paging.render::<_, Organisation>(page, |organisation| organisation.name.to_string())
}

/// Makes an organisation. For administrators.
#[utoipa::path(
    post, path = "/api/v1/organisations", tag = "organisations",
    request_body = NewOrganisation,
    responses((status = 201, description = "The organisation.", body = Organisation), Refusals)
)]
pub(super) async fn create_organisation(
    administration: Administration,
    Json(new): Json<NewOrganisation>,
) -> Answer {
    let NewOrganisation { name, description, owners } = new;
    let made = administration.create_organisation(name, description, &owners).await?;
    respond::created(&Organisation::from(made))
}

/// An organisation. For its members.
#[utoipa::path(
    get, path = "/api/v1/organisations/{name}", tag = "organisations",
    params(("name" = String, Path, description = "The organisation.")),
    responses((status = 200, description = "The organisation.", body = Organisation), Refusals)
)]
pub(super) async fn show_organisation(
    administration: Administration,
    Names(name): Names<AccountName>,
) -> Answer {
    respond::ok(&Organisation::from(administration.organisation(&name).await?))
}

/// Changes an organisation. For its owners.
#[utoipa::path(
    patch, path = "/api/v1/organisations/{name}", tag = "organisations",
    params(("name" = String, Path, description = "The organisation.")),
    request_body = ChangedOrganisation,
    responses((status = 200, description = "The organisation as it is now.", body = Organisation), Refusals)
)]
pub(super) async fn change_organisation(
    administration: Administration,
    Names(name): Names<AccountName>,
    Json(change): Json<ChangedOrganisation>,
) -> Answer {
    let changed = administration.describe_organisation(&name, change.description).await?;
    respond::ok(&Organisation::from(changed))
}

/// Deletes an organisation with its teams, robots, and the grants to any of them. Repositories stay. For
/// administrators.
#[utoipa::path(
    delete, path = "/api/v1/organisations/{name}", tag = "organisations",
    params(("name" = String, Path, description = "The organisation.")),
    responses((status = 204, description = "The organisation is gone."), Refusals)
)]
pub(super) async fn delete_organisation(
    administration: Administration,
    Names(name): Names<AccountName>,
) -> Answer {
    administration.delete_organisation(&name).await?;
    respond::done()
}

/// The members of an organisation. For its members.
#[utoipa::path(
    get, path = "/api/v1/organisations/{name}/members", tag = "organisations",
    params(("name" = String, Path, description = "The organisation."), PageParameters),
    responses((status = 200, description = "A page of members.", body = [OrganisationMember]), Refusals)
)]
pub(super) async fn list_members(
    administration: Administration,
    Names(name): Names<AccountName>,
    paging: Paging,
) -> Answer {
    let after = paging.place::<AccountName>()?;
    let page = administration.members(&name, after.as_ref(), paging.limit).await?;
    paging.render::<_, OrganisationMember>(page, |member| member.user.to_string())
}

/// Makes a user a member of an organisation, or changes what they are there. For its owners.
#[utoipa::path(
    put, path = "/api/v1/organisations/{name}/members/{user}", tag = "organisations",
    params(
        ("name" = String, Path, description = "The organisation."),
        ("user" = String, Path, description = "The user."),
    ),
    request_body = Membership,
    responses((status = 204, description = "The user is a member."), Refusals)
)]
pub(super) async fn set_member(
    administration: Administration,
    Names((name, user)): Names<(AccountName, AccountName)>,
    Json(membership): Json<Membership>,
) -> Answer {
    let role = match membership.role {
        MemberRole::Member => OrganisationRole::Member,
        MemberRole::Owner => OrganisationRole::Owner,
    };
    administration.set_member(&name, &user, role).await?;
    respond::done()
}

/// Takes a user out of an organisation and its teams. For its owners, and for the user.
#[utoipa::path(
    delete, path = "/api/v1/organisations/{name}/members/{user}", tag = "organisations",
    params(
        ("name" = String, Path, description = "The organisation."),
        ("user" = String, Path, description = "The user."),
    ),
    responses((status = 204, description = "The user is no member any more."), Refusals)
)]
pub(super) async fn remove_member(
    administration: Administration,
    Names((name, user)): Names<(AccountName, AccountName)>,
) -> Answer {
    administration.remove_member(&name, &user).await?;
    respond::done()
}
