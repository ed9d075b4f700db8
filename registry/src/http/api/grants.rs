use berth_metadata::{GrantFilter, GrantId, StoredGrant};
use berth_oci::access::{AccountName, Effect, Grant, RepositoryPattern, Role, Subject};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Filters, Json, Names, parse};
use super::page::{PageParameters, Paging};
use super::problem::Refusals;
use super::respond::{self, Answer};
use super::{Administration, time};

/// Who may, or may not, do what with which repositories.
#[derive(Serialize, ToSchema)]
pub(super) struct GrantOfDatabase {
    id: i64,
    /// `allow` or `deny`. What one takes no other gives.
    #[schema(value_type = String, example = "allow")]
    effect: Effect,
    /// To whom: anyone, authenticated, user:NAME, robot:OWNER+NAME, organisation:NAME, team:ORGANISATION/NAME or
    /// workload:RULE.
    #[schema(value_type = String, example = "team:acme/developers")]
    subject: Subject,
    /// What: `reader`, `writer`, `maintainer` or `admin`.
    #[schema(value_type = String, example = "writer")]
    role: Role,
    /// With which repositories.
    #[schema(value_type = String, example = "acme/**")]
    repositories: RepositoryPattern,
    /// Who has granted it.
    by: String,
    #[schema(format = DateTime)]
    created: String,
}

impl From<StoredGrant> for GrantOfDatabase {
    fn from(stored: StoredGrant) -> Self {
        let Grant { effect, subject, role, repositories } = stored.grant;
        Self {
            id: stored.id.0,
            effect,
            subject,
            role,
            repositories,
            by: stored.by,
            created: time::text(stored.created),
        }
    }
}

/// A grant to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGrant {
    /// `allow`, unless it is said, or `deny`. What one takes no other gives.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "allow")]
    effect: Effect,
    /// To whom: anyone, authenticated, user:NAME, robot:OWNER+NAME, organisation:NAME, team:ORGANISATION/NAME or
    /// workload:RULE.
    #[schema(value_type = String, example = "team:acme/developers")]
    subject: Subject,
    /// What: `reader`, `writer`, `maintainer` or `admin`.
    #[schema(value_type = String, example = "writer")]
    role: Role,
    /// With which repositories: `*` is any text within a component, `**` any number of components.
    #[schema(value_type = String, example = "acme/**")]
    repositories: RepositoryPattern,
}

/// Which grants are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Those to a subject, as grants name it.
    #[param(value_type = Option<String>, example = "user:alice")]
    subject: Option<Subject>,
    /// Those of repositories below a name.
    #[param(value_type = Option<String>, example = "acme")]
    namespace: Option<AccountName>,
}

/// The grants: for administrators all, for others those below a name that they decide over, their own unless
/// they say another one.
#[utoipa::path(
    get, path = "/api/v1/grants", tag = "grants",
    params(Filter, PageParameters),
    responses((status = 200, description = "A page of grants.", body = [GrantOfDatabase]), Refusals)
)]
pub(super) async fn list_grants(
    administration: Administration,
    Filters(filter): Filters<Filter>,
    paging: Paging,
) -> Answer {
    let after = paging.place::<i64>()?.map(GrantId);
    let filter = GrantFilter { subject: filter.subject, namespace: filter.namespace };
    let page = administration.grants(filter, after, paging.limit).await?;
    paging.render::<_, GrantOfDatabase>(page, |grant| grant.id.0.to_string())
}

/// Makes a grant. One that is there already stays as it is. For administrators; below their own name for
/// users, and below an organisation's for its owners, to whom they can name.
#[utoipa::path(
    post, path = "/api/v1/grants", tag = "grants",
    request_body = NewGrant,
    responses((status = 201, description = "The grant.", body = GrantOfDatabase), Refusals)
)]
pub(super) async fn add_grant(administration: Administration, Json(new): Json<NewGrant>) -> Answer {
    let NewGrant { effect, subject, role, repositories } = new;
    let grant = Grant { effect, subject, role, repositories };
    respond::created(&GrantOfDatabase::from(administration.add_grant(grant).await?))
}

/// A grant. For whoever decides over its repositories.
#[utoipa::path(
    get, path = "/api/v1/grants/{id}", tag = "grants",
    params(("id" = i64, Path, description = "The grant's number.")),
    responses((status = 200, description = "The grant.", body = GrantOfDatabase), Refusals)
)]
pub(super) async fn show_grant(administration: Administration, Names(id): Names<String>) -> Answer {
    let id = GrantId(parse("the grant's number", &id)?);
    respond::ok(&GrantOfDatabase::from(administration.grant(id).await?))
}

/// Takes a grant away. For whoever decides over its repositories.
#[utoipa::path(
    delete, path = "/api/v1/grants/{id}", tag = "grants",
    params(("id" = i64, Path, description = "The grant's number.")),
    responses((status = 204, description = "The grant is gone."), Refusals)
)]
pub(super) async fn remove_grant(
    administration: Administration,
    Names(id): Names<String>,
) -> Answer {
    let id = GrantId(parse("the grant's number", &id)?);
    administration.remove_grant(id).await?;
    respond::done()
}
