//! Issuers of tokens for workloads, their keys, and who their workloads are here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use berth_auth::token::{KeySet, TokenError};
use berth_auth::workload::{Claims, Rule};
use berth_config::WorkloadIssuer;
use berth_oci::access::AccountName;
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::sync::Mutex;
use tracing::{debug, error, warn};

use super::{AccessError, AuthenticationError, files};

/// How long an issuer may take to tell its keys.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long keys are used before they are asked for again.
const KEYS_LAST: Duration = Duration::from_secs(3600);

/// How long to wait at least between two questions: whoever makes key names up shall not have the
/// issuer asked each time.
const KEYS_PAUSE: Duration = Duration::from_secs(10);

/// The longest answer of an issuer, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// The issuers that are trusted.
#[derive(Debug)]
pub(super) struct Workloads {
    issuers: ArcSwap<Vec<Arc<Issuer>>>,
}

/// A workload that has shown a token.
#[derive(Debug)]
pub(super) struct Workload {
    /// The name of the rule that it meets.
    pub(super) rule: AccountName,
    /// Who it is in the words of the issuer, for logs.
    pub(super) subject: String,
}

#[derive(Debug)]
struct Issuer {
    name: String,
    audience: String,
    rules: Vec<Rule>,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    File(KeySet),
    Fetched {
        client: reqwest::Client,
        url: Option<String>,
        known: ArcSwapOption<Known>,
        /// Whoever has it asks the issuer, for all that wait.
        asking: Mutex<Option<Instant>>,
    },
}

#[derive(Debug)]
struct Known {
    keys: KeySet,
    since: Instant,
}

impl Workloads {
    pub(super) fn new(config: &[WorkloadIssuer]) -> Result<Self, AccessError> {
        let issuers = config.iter().map(|issuer| Issuer::new(issuer).map(Arc::new));
        Ok(Self { issuers: ArcSwap::from_pointee(issuers.collect::<Result<_, _>>()?) })
    }

    /// Puts others in their place, if they can be used.
    pub(super) fn reload(&self, config: &[WorkloadIssuer]) {
        match Self::new(config) {
            Ok(new) => self.issuers.store(new.issuers.load_full()),
            Err(error) => error!("the issuers of workloads stay as they are: {error}"),
        }
    }

    /// Whether a password looks like a token of one of them.
    pub(super) fn knows_issuer_of(&self, token: &str) -> bool {
        self.find(token).is_some()
    }

    /// Whether there is still a rule of this name.
    pub(super) fn has_rule(&self, name: &AccountName) -> bool {
        let issuers = self.issuers.load();
        issuers.iter().flat_map(|issuer| &issuer.rules).any(|rule| rule.name == *name)
    }

    fn find(&self, token: &str) -> Option<Arc<Issuer>> {
        let issuers = self.issuers.load();
        if issuers.is_empty() {
            return None;
        }
        let name = Claims::unverified_issuer(token)?;
        issuers.iter().find(|issuer| issuer.name == name).cloned()
    }

    /// Who a workload is by its token.
    pub(super) async fn verify(&self, token: &str) -> Result<Workload, AuthenticationError> {
        let issuer = self.find(token).ok_or(TokenError::Issuer)?;
        let id = Claims::key_id(token).ok_or(TokenError::UnknownKey)?;
        let keys = issuer.keys_with(&id).await?;
        let claims = Claims::verify(token, &issuer.name, &issuer.audience, &keys)?;
        match issuer.rules.iter().find(|rule| rule.is_met(&claims)) {
            Some(rule) => {
                Ok(Workload { rule: rule.name.clone(), subject: claims.subject().to_owned() })
            }
            None => {
                debug!(issuer = issuer.name, subject = claims.subject(), "no rule is met");
                Err(AuthenticationError::Wrong)
            }
        }
    }
}

impl Issuer {
    fn new(config: &WorkloadIssuer) -> Result<Self, AccessError> {
        let malformed =
            |what: &str| AccessError::Workloads(format!("issuer {}: {what}", config.issuer));
        let mut rules = Vec::new();
        for rule in &config.rules {
            let name = rule.name.parse().map_err(|_| malformed("a rule has a malformed name"))?;
            let claims = rule.claims.iter().map(|(name, text)| Ok((name.clone(), text.parse()?)));
            let claims = claims.collect::<Result<_, &str>>().map_err(malformed)?;
            rules.push(Rule { name, claims });
        }
        Ok(Self {
            name: config.issuer.clone(),
            audience: config.audience.clone(),
            rules,
            keys: Keys::new(config)?,
        })
    }

    async fn keys_with(&self, id: &str) -> Result<KeySet, AuthenticationError> {
        match &self.keys {
            Keys::File(keys) => Ok(keys.clone()),
            Keys::Fetched { client, url, known, asking } => {
                let fresh = |known: &ArcSwapOption<Known>| {
                    let known = known.load_full()?;
                    let is_fresh = known.since.elapsed() < KEYS_LAST && known.keys.has(id);
                    is_fresh.then(|| known.keys.clone())
                };
                if let Some(keys) = fresh(known) {
                    return Ok(keys);
                }
                let mut asked = asking.lock().await;
                if let Some(keys) = fresh(known) {
                    return Ok(keys);
                }
                if asked.is_some_and(|asked| asked.elapsed() < KEYS_PAUSE) {
                    let known = known.load_full();
                    return known.map(|known| known.keys.clone()).ok_or_else(|| self.silent());
                }
                *asked = Some(Instant::now());
                match fetch(client, &self.name, url.as_deref()).await {
                    Ok(keys) => {
                        let since = Instant::now();
                        known.store(Some(Arc::new(Known { keys: keys.clone(), since })));
                        Ok(keys)
                    }
                    Err(error) => {
                        warn!(issuer = self.name, error, "the keys of an issuer cannot be had");
                        // Those known before are good while the issuer cannot be asked.
                        let known = known.load_full();
                        known.map(|known| known.keys.clone()).ok_or_else(|| self.silent())
                    }
                }
            }
        }
    }

    fn silent(&self) -> AuthenticationError {
        AuthenticationError::Unavailable {
            cause: format!("the keys of the issuer {} cannot be had", self.name),
        }
    }
}

impl Keys {
    fn new(config: &WorkloadIssuer) -> Result<Self, AccessError> {
        if let Some(path) = &config.jwks {
            return Ok(Self::File(files::read_keys("auth.workloads.jwks", path)?));
        }
        let url = config.jwksurl.clone();
        let asked = url.as_deref().unwrap_or(&config.issuer);
        if !is_safe(asked) {
            return Err(AccessError::Workloads(format!(
                "issuer {}: its keys would come over plain HTTP from another machine, where anybody on the way can change them: use https",
                config.issuer
            )));
        }
        let unusable =
            |error: String| AccessError::Workloads(format!("issuer {}: {error}", config.issuer));
        let mut client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &config.ca {
            let pem = files::read("auth.workloads.ca", path)?;
            let authorities = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|error| unusable(error.to_string()))?;
            client = client.tls_certs_only(authorities);
        }
        let client = client.build().map_err(|error| unusable(error.to_string()))?;
        Ok(Self::Fetched { client, url, known: ArcSwapOption::empty(), asking: Mutex::new(None) })
    }
}

/// Whether nobody on the way can change what comes from there.
fn is_safe(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

/// What an issuer says of itself (OpenID Connect Discovery 1.0).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

async fn fetch(
    client: &reqwest::Client,
    issuer: &str,
    url: Option<&str>,
) -> Result<KeySet, String> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => {
            let at = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
            let document: Discovery = serde_json::from_str(&get(client, &at).await?)
                .map_err(|error| format!("{at}: {error}"))?;
            if document.issuer != issuer {
                return Err(format!("{at} is of another issuer, {}", document.issuer));
            }
            if !is_safe(&document.jwks_uri) {
                return Err(format!("{at} names keys that would come over plain HTTP"));
            }
            document.jwks_uri
        }
    };
    KeySet::parse(&get(client, &url).await?).map_err(|error| format!("{url}: {error}"))
}

async fn get(client: &reqwest::Client, url: &str) -> Result<String, String> {
    let response = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let response = response.map_err(|error| error.to_string())?;
    let mut body = response.bytes_stream();
    let mut text = Vec::new();
    while let Some(bytes) = body.next().await {
        text.extend_from_slice(&bytes.map_err(|error| error.to_string())?);
        if text.len() > LONGEST_ANSWER {
            return Err(format!("{url} is longer than 1 MiB"));
        }
    }
    String::from_utf8(text).map_err(|_| format!("{url} is no text"))
}
