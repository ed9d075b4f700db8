//! The token service: what a client is for becomes a token, for as much of it as it may.

use std::time::{Duration, SystemTime};

use berth_auth::token::{IssuedToken, Way};
use berth_auth::{AccessEntry, AccessList, Holder, Password, Scope, secret};
use berth_metadata::{AccessTokenId, NewRefreshToken, RefreshUse, SecretHash};
use berth_oci::access::Access;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::authenticate::Login;
use super::{AccessControl, AuthenticationError, Caller, Source, micros, seconds};

/// How many scopes a token can be asked for at a time.
const MOST_SCOPES: usize = 100;

/// What a client asks of the token service.
#[derive(Debug)]
pub(crate) struct Asked {
    /// How it shows who it is.
    pub(crate) grant: Grant,
    /// For which registry the token shall be.
    pub(crate) service: Option<String>,
    /// For what.
    pub(crate) scopes: Vec<String>,
    /// Which program it is.
    pub(crate) client: String,
    /// Whether it wants a refresh token.
    pub(crate) wants_refresh: bool,
    /// Where it asks from.
    pub(crate) source: Source,
}

/// How a client shows who it is.
#[derive(Debug)]
pub(crate) enum Grant {
    /// As with any request.
    Caller(Caller),
    /// By a name and a password.
    Password {
        /// The name.
        name: String,
        /// The password.
        password: Password,
    },
    /// By a refresh token.
    Refresh(Password),
    /// By a token of an issuer of workloads (RFC 8693).
    Exchange(Password),
}

/// What it gets.
#[derive(Debug)]
pub(crate) struct Issued {
    /// The token.
    pub(crate) token: String,
    /// For how long it is good.
    pub(crate) lifetime: Duration,
    /// When it was issued.
    pub(crate) issued: SystemTime,
    /// A refresh token, where one was wanted.
    pub(crate) refresh: Option<Password>,
    /// What it is for.
    pub(crate) access: AccessList,
    /// Who has it.
    pub(crate) caller: Caller,
}

/// Why it gets none.
#[derive(Debug, Error)]
pub(crate) enum IssueError {
    /// It is not who it says.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// A refresh token is worth nothing.
    #[error("the refresh token is not good any more; log in again")]
    Refresh,
    /// The token would be for another registry.
    #[error("tokens are issued for the service {0} alone")]
    Service(String),
    /// It asks for too much at a time.
    #[error("a token can be for 100 scopes at most, each of the form repository:NAME:pull,push")]
    Scope,
    /// Nothing can be signed.
    #[error("no tokens can be issued now; try again later")]
    Unavailable {
        /// What happened, for the log alone.
        cause: String,
    },
}

/// What a refresh token stands for, as it is kept with it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    holder: Holder,
    way: Way,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    access_token: Option<i64>,
}

impl AccessControl {
    /// Issues a token.
    pub(crate) async fn issue(&self, asked: Asked) -> Result<Issued, IssueError> {
        let config = self.auth.load_full();
        let service = &config.tokens.service;
        if asked.service.as_ref().is_some_and(|wanted| wanted != service) {
            return Err(IssueError::Service(service.clone()));
        }
        let scopes = read_scopes(&asked.scopes)?;
        let (caller, renewed) = match asked.grant {
            Grant::Caller(caller) => (caller, None),
            Grant::Password { name, password } => {
                (self.login(&name, &password, asked.source).await?, None)
            }
            Grant::Exchange(token) => (self.workload(&token).await?, None),
            Grant::Refresh(token) => self.renew(&token, &asked.client).await?,
        };
        let access = self.granted(&caller, &scopes);
        let issued = SystemTime::now();
        let token = self.sign(&caller, &access, issued)?;
        let refresh = match renewed {
            Some(next) => Some(next),
            None if asked.wants_refresh => self.refresh_token(&caller, asked.client).await?,
            None => None,
        };
        let lifetime = config.tokens.lifetime.get();
        Ok(Issued { token, lifetime, issued, refresh, access, caller })
    }

    /// What of it the caller may do. What they may not is left out, and no word is said of it.
    fn granted(&self, caller: &Caller, scopes: &[Scope]) -> AccessList {
        let policy = self.policy();
        let entry = |scope: &Scope| match scope {
            Scope::Repository { name, actions } => {
                let may = |access: &Access| caller.may(&policy, *access, name.as_str());
                let granted = actions.iter().filter(may).collect();
                Some(AccessEntry::of_repository(name, granted))
            }
            Scope::Catalog => Some(AccessEntry::of_catalog()),
            Scope::Unknown => None,
        };
        AccessList(scopes.iter().filter_map(entry).filter(|e| !e.actions.is_empty()).collect())
    }

    fn sign(
        &self,
        caller: &Caller,
        access: &AccessList,
        now: SystemTime,
    ) -> Result<String, IssueError> {
        let config = self.auth.load();
        let unavailable = |cause: String| IssueError::Unavailable { cause };
        let keys = self.keys().ok_or_else(|| unavailable("there is no signing key".to_owned()))?;
        let issued = seconds(now);
        let token = IssuedToken {
            issuer: config.tokens.issuer.clone(),
            subject: caller.name.to_string(),
            service: config.tokens.service.clone(),
            expires: issued + config.tokens.lifetime.get().as_secs().max(1),
            not_before: issued,
            issued,
            issued_micros: micros(now),
            id: Uuid::new_v4().to_string(),
            access: access.clone(),
            holder: caller.holder.clone(),
            way: caller.way,
            access_token: caller.access_token.map(|id| id.0),
        };
        keys.sign(&token).map_err(|error| unavailable(error.to_string()))
    }

    /// A refresh token for whoever has shown who they are by something that lasts.
    async fn refresh_token(
        &self,
        caller: &Caller,
        client: String,
    ) -> Result<Option<Password>, IssueError> {
        if caller.is_anonymous() || caller.way == Way::Workload {
            return Ok(None);
        }
        let unavailable = |cause: String| IssueError::Unavailable { cause };
        let token =
            secret::draw(secret::REFRESH_TOKEN).map_err(|error| unavailable(error.to_string()))?;
        let kept = Kept {
            holder: caller.holder.clone(),
            way: caller.way,
            access_token: caller.access_token.map(|id| id.0),
        };
        let account = match caller.account() {
            Some(name) => self.find_account(name.as_str()).await?.map(|account| account.name),
            None => None,
        };
        let new = NewRefreshToken {
            hash: SecretHash(secret::hash(&token)),
            subject: caller.name.to_string(),
            account,
            access_token: caller.access_token,
            client,
            details: serde_json::to_string(&kept).map_err(|e| unavailable(e.to_string()))?,
            expires: SystemTime::now() + self.auth.load().tokens.refresh.get(),
        };
        self.store
            .create_refresh_token(&new)
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        Ok(Some(token))
    }

    /// Whoever has logged in with this refresh token before, and the token that takes its place,
    /// where they are good for one use.
    async fn renew(
        &self,
        token: &Password,
        client: &str,
    ) -> Result<(Caller, Option<Password>), IssueError> {
        let unavailable = |cause: String| IssueError::Unavailable { cause };
        let next = match self.auth.load().tokens.rotaterefresh {
            true => Some(
                secret::draw(secret::REFRESH_TOKEN)
                    .map_err(|error| unavailable(error.to_string()))?,
            ),
            false => None,
        };
        let next_hash = next.as_ref().map(|next| SecretHash(secret::hash(next)));
        let used = self
            .store
            .use_refresh_token(&SecretHash(secret::hash(token)), next_hash.as_ref())
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        let RefreshUse::Good { subject, client: known, details, created } = used else {
            return Err(IssueError::Refresh);
        };
        if known != client {
            return Err(IssueError::Refresh);
        }
        let kept: Kept =
            serde_json::from_str(&details).map_err(|error| unavailable(error.to_string()))?;
        let login = Login {
            subject,
            holder: kept.holder,
            way: kept.way,
            access_token: kept.access_token.map(AccessTokenId),
            since: created,
        };
        let caller = self.still(login).await.map_err(|error| match error {
            AuthenticationError::Token(_) => IssueError::Refresh,
            other => other.into(),
        })?;
        Ok((caller, next))
    }
}

fn read_scopes(texts: &[String]) -> Result<Vec<Scope>, IssueError> {
    let texts: Vec<_> = texts.iter().flat_map(|text| text.split_ascii_whitespace()).collect();
    if texts.len() > MOST_SCOPES {
        return Err(IssueError::Scope);
    }
    texts.into_iter().map(|text| text.parse().map_err(|_| IssueError::Scope)).collect()
}
