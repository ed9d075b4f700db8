use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::HeaderValue;
use object_store::client::HttpRequest;
use tokio::sync::Mutex as AsyncMutex;
use tracing::debug;

use super::keystone::Login;
use crate::objects::{Authorize, ObjectError};

/// How long before its end a token is renewed; one of a short life, in its last quarter.
const MARGIN: Duration = Duration::from_secs(60);

const TOKEN: &str = "x-auth-token";

/// Keeps the token. Whoever needs one while there is none waits for one login of all.
#[derive(Debug)]
pub(super) struct Sessions {
    login: Login,
    current: Mutex<Option<Arc<Session>>>,
    /// Held by the one that logs in; the last login that failed.
    gate: AsyncMutex<Option<Failure>>,
}

/// A token and what it opens.
#[derive(Debug)]
pub(super) struct Session {
    token: HeaderValue,
    /// `https://HOST/v1/ACCOUNT`, without a slash at its end.
    store: String,
    renew_at: Option<Instant>,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    error: ObjectError,
}

impl Session {
    /// A session of a token that was asked for at `asked` and lives so long, if it ever ends.
    pub(super) fn new(
        mut token: HeaderValue,
        store: String,
        asked: Instant,
        lives: Option<Duration>,
    ) -> Self {
        token.set_sensitive(true);
        let renew_at = lives.and_then(|lives| asked.checked_add(lives - MARGIN.min(lives / 4)));
        Self { token, store, renew_at }
    }

    fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }
}

impl Sessions {
    pub(super) fn new(login: Login) -> Self {
        Self { login, current: Mutex::default(), gate: AsyncMutex::default() }
    }

    /// The account's URL. It is the same for all tokens, so one that has ended serves too.
    pub(super) async fn store(&self) -> Result<String, ObjectError> {
        let known = self.current().as_ref().map(|session| session.store.clone());
        match known {
            Some(store) => Ok(store),
            None => Ok(self.session().await?.store.clone()),
        }
    }

    /// The token was not taken.
    pub(super) fn forget(&self) {
        *self.current() = None;
    }

    async fn session(&self) -> Result<Arc<Session>, ObjectError> {
        let asked = Instant::now();
        if let Some(session) = self.fresh() {
            return Ok(session);
        }
        let mut failed = self.gate.lock().await;
        if let Some(session) = self.fresh() {
            return Ok(session);
        }
        // The login that this one has waited for would fail again in the same way.
        if let Some(failure) = failed.as_ref().filter(|failure| failure.at >= asked) {
            return Err(failure.error.clone());
        }
        match self.login.log_in().await {
            Ok(session) => {
                debug!(store = session.store, "logged in");
                let session = Arc::new(session);
                *self.current() = Some(Arc::clone(&session));
                Ok(session)
            }
            Err(error) => {
                *failed = Some(Failure { at: Instant::now(), error: error.clone() });
                Err(error)
            }
        }
    }

    fn fresh(&self) -> Option<Arc<Session>> {
        self.current().clone().filter(|session| session.is_fresh())
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Authorize for Arc<Sessions> {
    async fn authorize(&self, request: &mut HttpRequest) -> Result<(), ObjectError> {
        let token = self.session().await?.token.clone();
        request.headers_mut().insert(TOKEN, token);
        Ok(())
    }

    /// A token can end before its time: it was revoked, or the user's password was changed.
    async fn renew(&self, refused: &HttpRequest) -> bool {
        let refused = refused.headers().get(TOKEN);
        let mut current = self.current();
        // Another request may have brought a new one meanwhile.
        if current.as_ref().is_some_and(|session| Some(&session.token) == refused) {
            *current = None;
        }
        true
    }
}
