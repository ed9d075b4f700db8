//! Who is asking, and whether they may: the state behind it, and the services over it.
//!
//! [`AccessControl`] holds what decisions follow from, read from the configuration, the database and
//! files, and kept up to date by a task ([`refresh`]). A request's credentials become a [`Caller`]
//! once ([`authenticate`](AccessControl::authenticate)), who is then asked what they may do.

pub(crate) mod administration;
mod authenticate;
mod caller;
mod error;
mod files;
mod keys;
mod login;
mod refresh;
mod remembered;
mod rules;
mod token_service;
mod workloads;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use berth_auth::password::Passwords;
use berth_auth::token::{OwnKeys, TrustedServer};
use berth_auth::{Htpasswd, Policy, Throttle};
use berth_config::{Auth, Config};
use berth_metadata::AccountStore;
use tokio::sync::Notify;

pub(crate) use authenticate::Shown;
pub(crate) use caller::Caller;
pub use error::AccessError;
pub(crate) use error::AuthenticationError;
pub(crate) use token_service::{Asked, Grant, IssueError, Issued};

use files::FileState;
use remembered::Remembered;
use rules::Basis;
use workloads::Workloads;

/// What is known of who may use the registry.
#[derive(Debug)]
pub struct AccessControl {
    store: Arc<dyn AccountStore>,
    auth: ArcSwap<Auth>,
    policy: ArcSwap<Policy>,
    /// Grows with each change of anything that a remembered caller follows from.
    epoch: AtomicU64,
    /// What the policy in force was read from.
    basis: ArcSwapOption<Basis>,
    /// One reads the policy at a time, so that what is in force is never older than what was.
    reading: tokio::sync::Mutex<()>,
    htpasswd: ArcSwapOption<Htpasswd>,
    htpasswd_state: ArcSwap<FileState>,
    foreign: Option<TrustedServer>,
    keys: ArcSwapOption<OwnKeys>,
    passwords: Passwords,
    throttle: Throttle,
    remembered: Remembered,
    workloads: Workloads,
    /// Wakes the task that reads all of it again.
    changed: Notify,
}

impl AccessControl {
    /// Reads all that the configuration names. A password file that is not there is made; its
    /// password stands in the log, once.
    ///
    /// # Errors
    /// Says which file or setting cannot be used, and why.
    pub async fn open(
        config: &Config,
        store: Arc<dyn AccountStore>,
    ) -> Result<Option<Self>, AccessError> {
        let auth = &config.auth;
        if !auth.is_enabled() {
            return Ok(None);
        }
        let (htpasswd, state) = match &auth.htpasswd {
            Some(file) => {
                // Before it is read, so that no change goes unseen.
                let state = FileState::of(&file.path);
                (Some(Arc::new(files::open_htpasswd(&file.path)?)), state)
            }
            None => (None, FileState::default()),
        };
        let foreign = auth.token.as_ref().map(files::trusted_server).transpose()?;
        let access = Self {
            store,
            auth: ArcSwap::from_pointee(auth.clone()),
            policy: ArcSwap::from_pointee(Policy::default()),
            epoch: AtomicU64::new(0),
            basis: ArcSwapOption::empty(),
            reading: tokio::sync::Mutex::new(()),
            htpasswd: ArcSwapOption::new(htpasswd),
            htpasswd_state: ArcSwap::from_pointee(state),
            foreign,
            keys: ArcSwapOption::empty(),
            passwords: Passwords::new(auth.attempts.parallel as usize)
                .map_err(AccessError::Threads)?,
            throttle: Throttle::default(),
            remembered: Remembered::new(),
            workloads: Workloads::new(&auth.workloads)?,
            changed: Notify::new(),
        };
        access.follow_policy().await?;
        if auth.issues_tokens() {
            access.rotate_keys(SystemTime::now()).await?;
        }
        Ok(Some(access))
    }

    /// Checks the files that the configuration names, and changes nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open) would fail.
    pub fn check(config: &Config) -> Result<(), AccessError> {
        if let Some(file) = config.auth.htpasswd.as_ref().filter(|file| file.path.exists()) {
            files::read_htpasswd(&file.path)?;
        }
        config.auth.token.as_ref().map(files::trusted_server).transpose()?;
        Workloads::new(&config.auth.workloads)?;
        Ok(())
    }

    /// Where accounts, grants and tokens are.
    pub(crate) fn store(&self) -> &Arc<dyn AccountStore> {
        &self.store
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> arc_swap::Guard<Arc<Policy>> {
        self.policy.load()
    }

    /// Has everything read again: something was changed.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }
}

/// Draws a password that nobody can guess.
///
/// # Errors
/// When the system has no random numbers to give.
pub fn draw_password() -> Result<String, berth_auth::secret::NoRandom> {
    berth_auth::secret::draw("").map(|password| password.expose().to_owned())
}

/// Where a request comes from, as far as guessing is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source(pub(crate) Option<IpAddr>);

impl Source {
    fn text(self) -> String {
        self.0.map_or_else(|| "local".to_owned(), |ip| ip.to_string())
    }
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// Microseconds since 1970.
fn micros(time: SystemTime) -> u64 {
    let passed = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)
}
