//! Tokens of a registry's token service, kept as long as they are good and shared by all who ask.
//!
//! The protocol is that of distribution's token authentication: a GET with the password, or a POST with
//! a refresh token (`grant_type=refresh_token`).

use std::time::{Duration, Instant};

use http::HeaderValue;
use quick_cache::sync::Cache;
use reqwest::{Client, Url};
use serde::Deserialize;

use crate::ClientError;
use crate::credentials::Password;
use crate::transport::{Answered, read_bounded};

/// How many tokens are kept: one for each repository that is being asked for.
const KEPT: usize = 1024;

/// How long a token is good that does not say it.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// The longest answer of a token service, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// Tokens by what they are for.
#[derive(Debug)]
pub(crate) struct Tokens(Cache<Wanted, Token>);

/// What a token is for, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    pub(crate) realm: Url,
    pub(crate) service: Option<String>,
    pub(crate) scope: Option<String>,
}

/// A token, ready to be shown.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) header: HeaderValue,
    good_until: Instant,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        Self(Cache::new(KEPT))
    }

    /// A token that is good: the one that is there, or one that is fetched once for all that wait.
    pub(crate) async fn get(
        &self,
        wanted: &Wanted,
        fetch: impl Future<Output = Result<Token, ClientError>>,
    ) -> Result<Token, ClientError> {
        self.0.remove_if(wanted, |token| token.good_until <= Instant::now());
        self.0.get_or_insert_async(wanted, fetch).await
    }

    /// Forgets a token that was refused, unless another one has taken its place.
    pub(crate) fn forget(&self, wanted: &Wanted, refused: &Token) {
        self.0.remove_if(wanted, |token| token.header == refused.header);
    }
}

/// What a token service answers.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Asks the token service.
pub(crate) async fn fetch(
    client: &Client,
    registry: &str,
    wanted: &Wanted,
    password: Option<&Password>,
    limit: Duration,
) -> Result<Token, ClientError> {
    let asked = Instant::now();
    let request = match password {
        Some(password) if password.is_identity_token() => exchange(client, wanted, password),
        _ => {
            let request = client.get(with_query(wanted));
            match password {
                Some(Password { username, password }) => {
                    request.basic_auth(username, Some(password))
                }
                None => request,
            }
        }
    };
    let answer = Answered::of(registry, limit, request.send()).await?.accept("token").await?;
    let body = read_bounded(registry, answer, LONGEST_ANSWER, limit).await?;
    let nonsense = |reason: &str| ClientError::Nonsense {
        registry: registry.to_owned(),
        reason: format!("its token service {}: {reason}", wanted.realm.host_str().unwrap_or("")),
    };
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| nonsense("what it answered is no token"))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| nonsense("there is no token in its answer"))?;
    let mut header = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| nonsense("its token cannot be sent"))?;
    header.set_sensitive(true);
    let lifetime = answer.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
    // A tenth less, for clocks that differ and for the request that it is shown in.
    Ok(Token { header, good_until: asked + lifetime - lifetime / 10 })
}

fn with_query(wanted: &Wanted) -> Url {
    let mut url = wanted.realm.clone();
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = &wanted.service {
            query.append_pair("service", service);
        }
        for scope in wanted.scope.iter().flat_map(|scopes| scopes.split(' ')) {
            query.append_pair("scope", scope);
        }
    }
    url
}

fn exchange(client: &Client, wanted: &Wanted, password: &Password) -> reqwest::RequestBuilder {
    let mut form = wanted.realm.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "berth")
        .append_pair("service", wanted.service.as_deref().unwrap_or_default())
        .append_pair("scope", wanted.scope.as_deref().unwrap_or_default())
        .append_pair("refresh_token", &password.password);
    let body = form.query().unwrap_or_default().to_owned();
    client
        .post(wanted.realm.clone())
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body)
}
