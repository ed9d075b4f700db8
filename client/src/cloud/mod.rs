//! Credentials for the registries of clouds, got by what a machine of the cloud is known as: each has an exchange of
//! its own, the answer of which is good for a while.

mod amazon;
mod azure;
mod google;
mod signature;

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::sync::Mutex;

use crate::options::in_words;
use crate::transport::read_bounded;
use crate::{OptionsError, Password, RegistryUrl};

/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const LONGEST: usize = 256 * 1024;

/// How long before its end a password is not used any longer.
const MARGIN: Duration = Duration::from_secs(60);

/// A cloud whose registries know its machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Elastic Container Registry: `GetAuthorizationToken`, signed with the key of the environment, the container or
    /// the machine.
    Amazon,
    /// Azure Container Registry: a token of the managed identity, exchanged at the registry.
    Azure,
    /// Artifact Registry and Container Registry: a token of the service account of the machine.
    Google,
}

/// Credentials of a cloud's machine.
pub struct CloudCredentials {
    cloud: Cloud,
    http: Client,
    /// How the variables of the environment are asked for.
    variable: Variables,
    /// What was got last, and until when it is used. Whoever asks waits for the one who gets it.
    known: Mutex<Option<(Password, Instant)>>,
}

type Variables = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What an exchange gave, and for how long it is good.
struct Got {
    password: Password,
    lifetime: Duration,
}

/// A cloud gave no credentials.
#[derive(Clone, Debug, Error)]
#[error("the machine has no credentials for the registry: {reason}")]
pub(crate) struct CloudError {
    reason: String,
}

impl CloudCredentials {
    /// Credentials that are got when they are needed, by what the environment says as the cloud's own programs
    /// read it.
    ///
    /// # Errors
    /// When no connection can be made from here.
    pub fn new(cloud: Cloud) -> Result<Self, OptionsError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::with_variables(cloud, variable)
    }

    /// The same with these in place of the variables of the environment.
    ///
    /// # Errors
    /// When no connection can be made from here.
    pub fn with_variables(
        cloud: Cloud,
        variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, OptionsError> {
        // Who is asked leads nowhere else.
        let http = Client::builder().redirect(Policy::none()).build();
        let http = http.map_err(|error| OptionsError::Tls {
            registry: "the service of the cloud".to_owned(),
            reason: in_words(&error),
        })?;
        Ok(Self { cloud, http, variable: Box::new(variable), known: Mutex::default() })
    }

    pub(crate) async fn get(&self, registry: &RegistryUrl) -> Result<Password, CloudError> {
        let mut known = self.known.lock().await;
        if let Some((password, until)) = &*known
            && Instant::now() < *until
        {
            return Ok(password.clone());
        }
        let Got { password, lifetime } = match self.cloud {
            Cloud::Amazon => self.amazon(registry).await?,
            Cloud::Azure => self.azure(registry).await?,
            Cloud::Google => self.google().await?,
        };
        *known = Some((password.clone(), Instant::now() + lifetime.saturating_sub(MARGIN)));
        Ok(password)
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    /// The text of an answer of success. What a service says otherwise may be secret, and is not repeated.
    async fn text(&self, request: RequestBuilder) -> Result<String, CloudError> {
        let failed = |error: reqwest::Error| wrong(in_words(&error));
        let (client, request) = request.timeout(PATIENCE).build_split();
        let request = request.map_err(failed)?;
        let asked = without_query(request.url());
        let response = client.execute(request).await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(wrong(format!("{asked} answers {}", response.status())));
        }
        let body = read_bounded(&asked, response, LONGEST, PATIENCE).await;
        let body = body.map_err(|error| wrong(error.to_string()))?;
        String::from_utf8(body.into()).map_err(|_| wrong(format!("{asked} answers no text")))
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CloudError> {
        let text = self.text(request).await?;
        serde_json::from_str(&text)
            .map_err(|_| wrong("the service of the cloud answers what it never answers"))
    }
}

impl fmt::Debug for CloudCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudCredentials").field("cloud", &self.cloud).finish_non_exhaustive()
    }
}

fn wrong(reason: impl ToString) -> CloudError {
    CloudError { reason: reason.to_string() }
}

fn url(text: &str) -> Result<Url, CloudError> {
    Url::parse(text).map_err(|error| wrong(format!("{text} is no URL: {error}")))
}

fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}
