//! Whether a request may be answered: who made it, and what it needs.
//!
//! What a caller may not do is refused by the name of the repository alone, before anything is
//! looked up: a repository that is not there and one that is not for them look the same.

use berth_auth::{Challenge, ChallengeError};
use berth_config::Config;
use berth_oci::access::{Access, Actions};
use berth_oci::{ErrorCode, RepositoryName};
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::action::{Action, StartUpload};
use super::{ActionError, ApiError, ConnectionInfo, face, forwarded};
use crate::Registry;
use crate::access::{AccessControl, AuthenticationError, Caller, Shown, Source};
use crate::rates::{Pass, TooMuch};

/// Where tokens are issued, below the prefix of the API.
pub(super) const TOKEN_PATH: &str = "/token";

/// Lets a request in, or says what it lacks.
pub(super) async fn admit(
    registry: &Registry,
    config: &Config,
    action: &Result<Action, ActionError>,
    head: &Parts,
    connection: &ConnectionInfo,
) -> Result<Caller, ApiError> {
    let Some(access) = &registry.access else { return Ok(Caller::unrestricted()) };
    let challenger = Challenger { config, head };
    let caller = identify(access, config, head, connection)
        .await
        .map_err(|error| challenger.unknown(error, action.as_ref().ok()))?;
    let shows_nothing = caller.is_anonymous() && !head.headers.contains_key(AUTHORIZATION);
    let action = match action {
        // Whether a path makes sense is told to those alone who say who they are.
        Err(_) if shows_nothing => return Err(challenger.anonymous(None)),
        Err(_) => return Ok(caller),
        Ok(action) => action,
    };
    let is_allowed = match need(action) {
        Need::Credentials => !shows_nothing,
        Need::Listing => caller.may_list() && !shows_nothing,
        Need::Repository(repository, actions) => {
            let policy = access.policy();
            actions.iter().all(|access| caller.may(&policy, access, repository.as_str()))
        }
    };
    match is_allowed {
        true => match lacks_source(access, &caller, action) {
            Some(source) => Err(challenger.lacks(action, source)),
            None => Ok(caller),
        },
        false if shows_nothing => Err(challenger.anonymous(Some(action))),
        false => Err(challenger.denied(&caller, action)),
    }
}

/// The repository that a blob is to be mounted from, where the caller may read it and has not asked for that with
/// the token that they show. From elsewhere nothing is mounted, and the blob is uploaded.
fn lacks_source<'a>(
    access: &AccessControl,
    caller: &Caller,
    action: &'a Action,
) -> Option<&'a RepositoryName> {
    let source = source(action)?;
    caller.may_with_another_token(&access.policy(), Access::Pull, source.as_str()).then_some(source)
}

/// Where an action mounts from, if that is another repository than the one that it mounts into.
fn source(action: &Action) -> Option<&RepositoryName> {
    match action {
        Action::StartUpload(into, StartUpload::Mount { from: Some(Ok(from)), .. }) => {
            (from != into).then_some(from)
        }
        _ => None,
    }
}

/// Who made a request.
pub(super) async fn identify(
    access: &AccessControl,
    config: &Config,
    head: &Parts,
    connection: &ConnectionInfo,
) -> Result<Caller, AuthenticationError> {
    let shown = Shown {
        authorization: head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes),
        certificate: connection.certificate.as_deref(),
        source: Source(forwarded::client(&head.headers, connection, config)),
    };
    access.authenticate(shown).await
}

/// What an action needs.
enum Need<'a> {
    /// That somebody says who they are.
    Credentials,
    /// That they may list repositories.
    Listing,
    /// That they may do something with a repository.
    Repository(&'a RepositoryName, Actions),
}

fn need(action: &Action) -> Need<'_> {
    let pull = Actions::from(Access::Pull);
    match action {
        Action::Ping => Need::Credentials,
        Action::Catalog(_) => Need::Listing,
        Action::Tags(repository, _)
        | Action::Referrers { repository, .. }
        | Action::ReadManifest(repository, _)
        | Action::ReadBlob(repository, _) => Need::Repository(repository, pull),
        // Whoever pushes looks first what is there, and cancels what they began.
        Action::PutManifest(repository, ..)
        | Action::StartUpload(repository, _)
        | Action::Upload(repository, ..) => {
            Need::Repository(repository, pull.union(Access::Push.into()))
        }
        Action::DeleteManifest(repository, _)
        | Action::DeleteBlob(repository, _)
        | Action::DeleteRepository(repository) => {
            Need::Repository(repository, Access::Delete.into())
        }
    }
}

/// What a token must be for, for an action, as token servers are asked for it.
fn scope(action: &Action) -> Option<String> {
    match need(action) {
        Need::Credentials => None,
        Need::Listing => Some("registry:catalog:*".to_owned()),
        Need::Repository(repository, actions) => {
            let scope = format!("repository:{repository}:{actions}");
            Some(match source(action) {
                Some(from) => format!("{scope} repository:{from}:pull"),
                None => scope,
            })
        }
    }
}

/// Counts a request, and refuses what is more than its caller, or all callers of its repository, may
/// take.
pub(super) fn count(
    registry: &Registry,
    config: &Config,
    action: &Action,
    caller: &Caller,
    head: &Parts,
    connection: &ConnectionInfo,
) -> Result<Pass, ApiError> {
    let name = || match caller.is_anonymous() {
        true => address(head, connection, config),
        false => account(caller),
    };
    let repository = action.repository().map(RepositoryName::as_str);
    let limits = &config.http.limits;
    registry.consumption.admit(limits, name, repository, action.is_upload()).map_err(too_much)
}

/// Counts a request of administration by who made it.
pub(super) fn count_administrator(
    registry: &Registry,
    config: &Config,
    caller: &Caller,
) -> Result<(), ApiError> {
    let counted = registry.consumption.admit(&config.http.limits, || account(caller), None, false);
    counted.map(|_| ()).map_err(too_much)
}

fn account(caller: &Caller) -> String {
    format!("account {}", caller.name)
}

/// Counts a request whose caller is not known yet, by its address.
pub(super) fn count_nameless(
    registry: &Registry,
    config: &Config,
    head: &Parts,
    connection: &ConnectionInfo,
) -> Result<(), ApiError> {
    let name = || address(head, connection, config);
    let counted = registry.consumption.admit(&config.http.limits, name, None, false);
    counted.map(|_| ()).map_err(too_much)
}

fn address(head: &Parts, connection: &ConnectionInfo, config: &Config) -> String {
    let address = forwarded::client(&head.headers, connection, config);
    address.map_or_else(|| "local".to_owned(), |address| address.to_string())
}

fn too_much(TooMuch(wait): TooMuch) -> ApiError {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let message = format!("too many requests; try again in {seconds} seconds");
    refusal(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message)
        .with_header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

/// Says what a request lacks, and where to get it.
pub(super) struct Challenger<'a> {
    pub(super) config: &'a Config,
    pub(super) head: &'a Parts,
}

impl Challenger<'_> {
    /// The request says nothing of who made it.
    pub(super) fn anonymous(&self, action: Option<&Action>) -> ApiError {
        let challenge = self.challenge(action, None);
        let message = "authentication is required: log in first (`docker login`)";
        refusal(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
            .with_header(WWW_AUTHENTICATE, challenge)
    }

    /// The request is not from who it says.
    pub(super) fn unknown(&self, error: AuthenticationError, action: Option<&Action>) -> ApiError {
        let error_of_token = match &error {
            AuthenticationError::Token(_) => Some(ChallengeError::InvalidToken),
            _ => None,
        };
        match error {
            AuthenticationError::TooMany { wait } => {
                let seconds = wait.as_secs().max(1);
                refusal(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, &error)
                    .with_header(RETRY_AFTER, HeaderValue::from(seconds))
            }
            AuthenticationError::Unavailable { ref cause } => {
                let cause = cause.clone();
                let refusal =
                    refusal(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, &error);
                ApiError { cause: Some(cause), ..refusal }
                    .with_header(RETRY_AFTER, HeaderValue::from(5))
            }
            error => refusal(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, &error)
                .with_header(WWW_AUTHENTICATE, self.challenge(action, error_of_token)),
        }
    }

    /// The caller may not do that.
    fn denied(&self, caller: &Caller, action: &Action) -> ApiError {
        let name = match caller.is_anonymous() {
            true => "who has not logged in",
            false => &caller.name,
        };
        let message = match need(action) {
            Need::Credentials | Need::Listing => {
                format!("{name} may not list the repositories")
            }
            Need::Repository(repository, actions) => {
                format!("{name} may not {} {repository}", in_words(actions))
            }
        };
        // A client with a token gets another one, for more; for one with a password that is all.
        match self.shows_token() {
            true => refusal(StatusCode::UNAUTHORIZED, ErrorCode::Denied, message).with_header(
                WWW_AUTHENTICATE,
                self.challenge(Some(action), Some(ChallengeError::InsufficientScope)),
            ),
            false => refusal(StatusCode::FORBIDDEN, ErrorCode::Denied, message),
        }
    }

    /// The caller may do that, with another token.
    fn lacks(&self, action: &Action, source: &RepositoryName) -> ApiError {
        let message = format!("the token is not for pulls from {source}");
        let challenge = self.challenge(Some(action), Some(ChallengeError::InsufficientScope));
        refusal(StatusCode::UNAUTHORIZED, ErrorCode::Denied, message)
            .with_header(WWW_AUTHENTICATE, challenge)
    }

    fn shows_token(&self) -> bool {
        let header = self.head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        header.is_some_and(|value| {
            value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
        })
    }

    fn challenge(&self, action: Option<&Action>, error: Option<ChallengeError>) -> HeaderValue {
        let auth = &self.config.auth;
        let scope = action.and_then(scope);
        let challenge = match (&auth.token, auth.issues_tokens()) {
            (Some(server), _) => Challenge::Bearer {
                realm: match server.autoredirect {
                    true => format!("{}{}", self.origin(), server.autoredirectpath),
                    false => server.realm.clone(),
                },
                service: server.service.clone(),
                scope,
                error,
            },
            (None, true) => Challenge::Bearer {
                realm: format!("{}{}{TOKEN_PATH}", self.origin(), self.config.http.path_prefix()),
                service: auth.tokens.service.clone(),
                scope,
                error,
            },
            (None, false) => self.basic(),
        };
        value_of(&challenge)
    }

    /// Asks for a name and a password.
    pub(super) fn password(&self) -> HeaderValue {
        value_of(&self.basic())
    }

    fn basic(&self) -> Challenge {
        let file = self.config.auth.htpasswd.as_ref().map(|file| file.realm.clone());
        Challenge::Basic { realm: file.unwrap_or_else(|| "Berth".to_owned()) }
    }

    fn origin(&self) -> String {
        face::origin(&self.head.headers, face::host(self.head), self.config)
    }
}

fn value_of(challenge: &Challenge) -> HeaderValue {
    // A challenge holds nothing that no header can hold.
    HeaderValue::try_from(challenge.to_string())
        .unwrap_or_else(|_| HeaderValue::from_static("Basic realm=\"Berth\""))
}

fn refusal(status: StatusCode, code: ErrorCode, message: impl ToString) -> ApiError {
    ApiError::new(status, code, message)
}

fn in_words(actions: Actions) -> &'static str {
    if actions.contains(Access::Delete) {
        "delete from"
    } else if actions.contains(Access::Push) {
        "push to"
    } else {
        "pull from"
    }
}
