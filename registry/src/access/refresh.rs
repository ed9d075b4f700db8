//! What is known is kept up to date: changes by other replicas and by commands, files that were
//! replaced, keys that have signed for long enough.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::files::FileState;
use super::{AccessControl, AccessError, files};
use crate::Registry;

/// How long a change by somebody else stays unseen at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often keys are looked at.
const KEYS_INTERVAL: Duration = Duration::from_secs(60);

/// How many expired refresh tokens are forgotten at a time.
const PURGED: u32 = 1000;

impl Registry {
    /// Keeps what is known of callers up to date, until `stop`.
    pub(crate) async fn follow_access(self: Arc<Self>, stop: CancellationToken) {
        let Some(access) = self.access.clone() else { return };
        let mut keys_seen = Instant::now();
        let mut failing = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = access.changed.notified() => {}
                () = stop.cancelled() => return,
            }
            access.follow_htpasswd();
            let mut outcome = access.follow_policy().await;
            if keys_seen.elapsed() >= KEYS_INTERVAL && outcome.is_ok() {
                keys_seen = Instant::now();
                outcome = access.keep_keys().await;
            }
            match outcome {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    warn!(%error, "grants and keys stay as they are until the database answers");
                }
                Err(_) => {}
            }
        }
    }
}

impl AccessControl {
    async fn keep_keys(&self) -> Result<(), AccessError> {
        if !self.auth.load().issues_tokens() {
            return Ok(());
        }
        self.store.purge_refresh_tokens(PURGED).await?;
        self.rotate_keys(SystemTime::now()).await
    }

    /// Takes a changed password file over. One that cannot be used changes nothing.
    fn follow_htpasswd(&self) {
        let auth = self.auth.load();
        let Some(path) = auth.htpasswd.as_ref().map(|file| file.path.as_path()) else { return };
        let state = FileState::of(path);
        if self.htpasswd_state.swap(Arc::new(state)).as_ref() == &state {
            return;
        }
        match files::read_htpasswd(path) {
            Ok(file) => {
                info!(path = %path.display(), users = file.len(), "the password file was read again");
                self.htpasswd.store(Some(Arc::new(file)));
                self.epoch.fetch_add(1, Ordering::AcqRel);
            }
            Err(error) => error!("the password file was not read again: {error}"),
        }
    }
}
