use std::fs;
use std::path::Path;
use std::sync::Arc;

use berth_client::{
    ClientOptions, CloudCredentials, Credentials, Identity, Password, RateLimit, RegistryClient,
    RegistryUrl,
};
use berth_config::{Cloud, Upstream as Settings};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::MirrorError;
use crate::budget::Budget;
use crate::pace::Pace;

/// A registry that content comes from.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) client: RegistryClient,
    name: String,
    budget: Budget,
    blobs: Arc<Semaphore>,
    pace: Option<Pace>,
}

/// What is left of what may be asked of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// The host of the upstream.
    pub upstream: String,
    /// Requests that its budget leaves, where it has one.
    pub requests_left: Option<u64>,
    /// Bytes that its budget leaves, where it has one.
    pub bytes_left: Option<u64>,
    /// What the upstream itself last said.
    pub rate_limit: Option<RateLimit>,
}

impl Upstream {
    /// The upstream of a configuration; what is wrong with it, in words.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let url: RegistryUrl = settings.url.parse().map_err(words)?;
        let name = url.authority();
        let client = RegistryClient::new(url, options(settings)?).map_err(words)?;
        let budget = Budget::new(&settings.budget);
        let at_a_time = usize::try_from(settings.budget.concurrency).unwrap_or(usize::MAX);
        let blobs = Arc::new(Semaphore::new(at_a_time.min(Semaphore::MAX_PERMITS)));
        let pace = settings.budget.bandwidth.map(|bandwidth| Pace::new(bandwidth.bytes()));
        Ok(Self { client, name, budget, blobs, pace })
    }

    /// What it is called in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Takes a request from its budget.
    pub(crate) fn take_request(&self) -> Result<(), MirrorError> {
        match self.budget.take_request() {
            true => Ok(()),
            false => Err(MirrorError::OverBudget { upstream: self.name.clone() }),
        }
    }

    /// Waits for its turn to fetch a blob, which lasts as long as what is given.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.blobs.clone().acquire_owned().await.ok()
    }

    /// Counts bytes that have come, and waits as long as they have come too fast.
    pub(crate) async fn count_bytes(&self, bytes: u64) {
        self.budget.count_bytes(bytes);
        if let Some(pace) = &self.pace {
            pace.keep(bytes).await;
        }
    }

    pub(crate) fn status(&self) -> UpstreamStatus {
        let left = self.budget.left();
        UpstreamStatus {
            upstream: self.name.clone(),
            requests_left: left.requests,
            bytes_left: left.bytes,
            rate_limit: self.client.rate_limit(),
        }
    }
}

fn options(settings: &Settings) -> Result<ClientOptions, String> {
    if let Some(cloud) = settings.identity {
        let cloud = match cloud {
            Cloud::Amazon => berth_client::Cloud::Amazon,
            Cloud::Azure => berth_client::Cloud::Azure,
            Cloud::Google => berth_client::Cloud::Google,
        };
        let credentials = CloudCredentials::new(cloud).map_err(words)?;
        return with_credentials(settings, Credentials::Cloud(credentials));
    }
    let credentials = match (&settings.username, &settings.password, &settings.helper) {
        (Some(username), Some(password), _) => Credentials::Password(Password {
            username: username.clone(),
            password: password.expose().to_owned(),
        }),
        (_, _, Some(helper)) => Credentials::helper(
            helper.command.to_string_lossy().into_owned(),
            helper.lifetime.get(),
        ),
        _ => Credentials::Anonymous,
    };
    with_credentials(settings, credentials)
}

fn with_credentials(
    settings: &Settings,
    credentials: Credentials,
) -> Result<ClientOptions, String> {
    let identity = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            Some(Identity(pem))
        }
        _ => None,
    };
    Ok(ClientOptions {
        credentials,
        authorities: settings.ca.as_deref().map(read).transpose()?,
        identity,
        realms: settings.realms.clone(),
        plain_credentials: settings.allowplainpassword,
        connect_timeout: settings.timeouts.connect.get(),
        answer_timeout: settings.timeouts.answer.get(),
        stall_timeout: settings.timeouts.stall.get(),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
