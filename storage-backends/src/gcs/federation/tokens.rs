use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::gcp::GcpCredential;
use tokio::sync::Mutex as AsyncMutex;
use tracing::warn;

use super::document::{Document, Origin};
use super::exchange::Exchange;
use crate::objects::{Anonymous, ObjectError, Rest};
use crate::transport::Transport;

/// How long before its end a token is renewed; one of a short life, in its last quarter.
const MARGIN: Duration = Duration::from_secs(300);

/// How long a token that could not be renewed is used before that is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// A token and how long it is used.
#[derive(Clone, Debug)]
pub(super) struct Token {
    credential: Arc<GcpCredential>,
    renew_at: Option<Instant>,
    ends_at: Option<Instant>,
}

impl Token {
    /// A token that was asked for at `asked` and lives so long, if it ever ends.
    pub(super) fn new(bearer: String, asked: Instant, lives: Option<Duration>) -> Self {
        let renew_at = lives.and_then(|lives| asked.checked_add(lives - MARGIN.min(lives / 4)));
        let ends_at = lives.and_then(|lives| asked.checked_add(lives));
        Self { credential: Arc::new(GcpCredential { bearer }), renew_at, ends_at }
    }

    pub(super) fn bearer(&self) -> &str {
        &self.credential.bearer
    }

    fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }

    fn is_valid(&self) -> bool {
        self.ends_at.is_none_or(|at| Instant::now() < at)
    }
}

/// Keeps the token and renews it in time. Whoever needs one while there is none waits for one
/// exchange of all; while there is one that is still good, nobody waits but who renews it.
#[derive(Debug)]
pub(in crate::gcs) struct Tokens {
    exchange: Exchange,
    current: Mutex<Option<Token>>,
    /// Held by the one that exchanges; the last exchange that failed.
    gate: AsyncMutex<Option<Failure>>,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    error: ObjectError,
}

impl Tokens {
    pub(in crate::gcs) fn new(
        origin: Origin,
        document: Document,
        transport: &Transport,
    ) -> object_store::Result<Self> {
        let rest = Rest::new(Anonymous, transport)?;
        let exchange = Exchange { rest, document, origin };
        Ok(Self { exchange, current: Mutex::default(), gate: AsyncMutex::default() })
    }

    async fn token(&self) -> Result<Token, ObjectError> {
        let asked = Instant::now();
        let kept = self.current().filter(Token::is_valid);
        if let Some(token) = kept.as_ref().filter(|token| token.is_fresh()) {
            return Ok(token.clone());
        }
        let mut failed = match (self.gate.try_lock(), &kept) {
            (Ok(gate), _) => gate,
            (Err(_), Some(token)) => return Ok(token.clone()),
            (Err(_), None) => self.gate.lock().await,
        };
        if let Some(token) = self.current().filter(Token::is_fresh) {
            return Ok(token);
        }
        // The exchange that this one has waited for would fail again in the same way.
        if let Some(failure) = failed.as_ref().filter(|failure| failure.at >= asked) {
            return Err(failure.error.clone());
        }
        match (self.exchange.token().await, kept) {
            (Ok(token), _) => {
                *failed = None;
                self.keep(token.clone());
                Ok(token)
            }
            (Err(error), Some(mut token)) => {
                warn!(%error, "the token for the object store cannot be renewed; the one before is used until it ends");
                token.renew_at = Instant::now().checked_add(PAUSE);
                self.keep(token.clone());
                Ok(token)
            }
            (Err(error), None) => {
                *failed = Some(Failure { at: Instant::now(), error: error.clone() });
                Err(error)
            }
        }
    }

    fn current(&self) -> Option<Token> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, token: Token) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }
}

#[async_trait]
impl CredentialProvider for Tokens {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let token = self.token().await;
        token
            .map(|token| token.credential)
            .map_err(|error| object_store::Error::Generic { store: "GCS", source: error.into() })
    }
}
