use berth_metadata::{AccessToken, AccessTokenId};
use berth_oci::access::{AccountName, RepositoryPattern, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Names, parse};
use super::page::{PageParameters, Paging};
use super::problem::Refusals;
use super::respond::{self, Answer};
use super::{Administration, time};
use crate::access::administration::{self, DrawnToken};

/// An access token, with which a user or a robot logs in in place of a password.
#[derive(Serialize, ToSchema)]
pub(super) struct Token {
    id: i64,
    /// What its owner calls it.
    name: String,
    /// The most that it may do, whatever its owner may.
    #[schema(value_type = Option<String>, example = "writer")]
    role: Option<Role>,
    /// The only repositories that it is for.
    #[schema(value_type = Option<String>, example = "acme/**")]
    repositories: Option<RepositoryPattern>,
    /// From when on it is worth nothing.
    #[schema(format = DateTime)]
    expires: Option<String>,
    #[schema(format = DateTime)]
    created: String,
    /// When it was used last.
    #[schema(format = DateTime)]
    used: Option<String>,
}

impl From<AccessToken> for Token {
    fn from(token: AccessToken) -> Self {
        Self {
            id: token.id.0,
            name: token.name,
            role: token.role,
            repositories: token.repositories,
            expires: token.expires.map(time::text),
            created: time::text(token.created),
            used: token.used.map(time::text),
        }
    }
}

/// An access token with its secret, which is told this once.
#[derive(Serialize, ToSchema)]
pub(super) struct Drawn {
    #[serde(flatten)]
    token: Token,
    /// What to log in with, in place of a password.
    #[schema(format = Password, example = "berth_pat_…")]
    secret: String,
}

impl From<DrawnToken> for Drawn {
    fn from(drawn: DrawnToken) -> Self {
        Self { token: drawn.token.into(), secret: drawn.secret.expose().to_owned() }
    }
}

/// An access token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// What its owner calls it.
    #[schema(example = "laptop")]
    name: String,
    /// The most that it may do, whatever its owner may.
    #[schema(value_type = Option<String>, example = "reader")]
    role: Option<Role>,
    /// The only repositories that it is for.
    #[schema(value_type = Option<String>, example = "acme/**")]
    repositories: Option<RepositoryPattern>,
    /// From when on it is worth nothing.
    #[schema(format = DateTime)]
    expires: Option<String>,
}

/// How a token goes on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// From when on it is worth nothing; never, unless it is said.
    #[schema(format = DateTime)]
    expires: Option<String>,
}

/// The access tokens of a user or a robot. For whoever decides over the account.
#[utoipa::path(
    get, path = "/api/v1/accounts/{name}/tokens", tag = "tokens",
    params(("name" = String, Path, description = "The user or the robot."), PageParameters),
    responses((status = 200, description = "A page of tokens.", body = [Token]), Refusals)
)]
pub(super) async fn list_tokens(
    administration: Administration,
    Names(account): Names<AccountName>,
    paging: Paging,
) -> Answer {
    let after = paging.place::<i64>()?.map(AccessTokenId);
    let page = administration.tokens(&account, after, paging.limit).await?;
    paging.render::<_, Token>(page, |token| token.id.0.to_string())
}

/// Makes an access token. For whoever decides over the account.
#[utoipa::path(
    post, path = "/api/v1/accounts/{name}/tokens", tag = "tokens",
    params(("name" = String, Path, description = "The user or the robot.")),
    request_body = NewToken,
    responses((status = 201, description = "The token and its secret.", body = Drawn), Refusals)
)]
pub(super) async fn create_token(
    administration: Administration,
    Names(account): Names<AccountName>,
    Json(new): Json<NewToken>,
) -> Answer {
    let new = administration::NewToken {
        name: new.name,
        role: new.role,
        repositories: new.repositories,
        expires: time::read_option("expires", new.expires)?,
    };
    respond::created(&Drawn::from(administration.create_token(&account, new).await?))
}

/// An access token. For whoever decides over the account.
#[utoipa::path(
    get, path = "/api/v1/accounts/{name}/tokens/{id}", tag = "tokens",
    params(
        ("name" = String, Path, description = "The user or the robot."),
        ("id" = i64, Path, description = "The token's number."),
    ),
    responses((status = 200, description = "The token.", body = Token), Refusals)
)]
pub(super) async fn show_token(
    administration: Administration,
    Names((account, id)): Names<(AccountName, String)>,
) -> Answer {
    let id = AccessTokenId(parse("the token's number", &id)?);
    respond::ok(&Token::from(administration.token(&account, id).await?))
}

/// Takes an access token away, with what was logged in with it. For whoever decides over the account.
#[utoipa::path(
    delete, path = "/api/v1/accounts/{name}/tokens/{id}", tag = "tokens",
    params(
        ("name" = String, Path, description = "The user or the robot."),
        ("id" = i64, Path, description = "The token's number."),
    ),
    responses((status = 204, description = "The token is worth nothing any more."), Refusals)
)]
pub(super) async fn delete_token(
    administration: Administration,
    Names((account, id)): Names<(AccountName, String)>,
) -> Answer {
    let id = AccessTokenId(parse("the token's number", &id)?);
    administration.delete_token(&account, id).await?;
    respond::done()
}

/// Gives an access token another secret; the old one is worth nothing from then on. For whoever decides
/// over the account.
#[utoipa::path(
    post, path = "/api/v1/accounts/{name}/tokens/{id}/rotate", tag = "tokens",
    params(
        ("name" = String, Path, description = "The user or the robot."),
        ("id" = i64, Path, description = "The token's number."),
    ),
    request_body = Rotation,
    responses((status = 200, description = "The token and its secret.", body = Drawn), Refusals)
)]
pub(super) async fn rotate_token(
    administration: Administration,
    Names((account, id)): Names<(AccountName, String)>,
    Json(rotation): Json<Rotation>,
) -> Answer {
    let id = AccessTokenId(parse("the token's number", &id)?);
    let expires = time::read_option("expires", rotation.expires)?;
    respond::ok(&Drawn::from(administration.rotate_token(&account, id, expires).await?))
}

/// Takes all access tokens of an account away, and ends all that it has logged in with. For whoever decides
/// over the account.
#[utoipa::path(
    post, path = "/api/v1/accounts/{name}/revoke", tag = "tokens",
    params(("name" = String, Path, description = "The user or the robot.")),
    responses((status = 204, description = "No token of the account is worth anything any more."), Refusals)
)]
pub(super) async fn revoke_tokens(
    administration: Administration,
    Names(account): Names<AccountName>,
) -> Answer {
    administration.revoke(&account).await?;
    respond::done()
}
