use std::collections::HashSet;
use std::mem::take;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_config::Policy;
use berth_oci::{Digest, RepositoryName};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Registry;

/// How many manifests can have been read and not be written: some 5 MiB. Of more, reads are not noted
/// until these are written.
const MOST: usize = 32 * 1024;

/// How long reads are gathered before they are written. A manifest that is read all the time is written
/// once in this time.
const GATHER: Duration = Duration::from_secs(30);

/// How many one transaction writes.
const ROUND: usize = 1000;

/// How long to wait after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Which manifests were read and are not written yet, where a retention policy or a mirror asks for it.
#[derive(Debug, Default)]
pub(crate) struct PullLog {
    is_wanted: AtomicBool,
    /// A mirror lets go of what was pulled least lately.
    by_mirrors: AtomicBool,
    pulled: Mutex<HashSet<(RepositoryName, Digest)>>,
    filled: Notify,
}

impl PullLog {
    /// Notes reads from now on if the policy asks for it.
    pub(crate) fn follow(&self, policy: &Policy) {
        self.is_wanted.store(policy.retention.needs_pulls(), Ordering::Relaxed);
    }

    /// Notes reads from now on whatever the policy asks for.
    pub(crate) fn note_for_mirrors(&self) {
        self.by_mirrors.store(true, Ordering::Relaxed);
    }

    /// Notes a read. Waits for nothing.
    pub(crate) fn note(&self, repository: &RepositoryName, digest: &Digest) {
        if !self.is_wanted.load(Ordering::Relaxed) && !self.by_mirrors.load(Ordering::Relaxed) {
            return;
        }
        let mut pulled = self.lock();
        if pulled.len() >= MOST {
            return;
        }
        pulled.insert((repository.clone(), *digest));
        if pulled.len() == MOST / 2 {
            drop(pulled);
            self.filled.notify_one();
        }
    }

    fn take(&self) -> Vec<(RepositoryName, Digest)> {
        take(&mut *self.lock()).into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(RepositoryName, Digest)>> {
        self.pulled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Writes when manifests were read, many at once, until `stop`, and then what is left.
    pub(crate) async fn write_pull_times(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = self.pull_log.filled.notified() => {}
                () = stop.cancelled() => {}
            }
            self.write_noted_pull_times(&stop).await;
        }
    }

    /// Writes what there is. While the database fails, the rest gathers.
    pub(crate) async fn write_noted_pull_times(&self, stop: &CancellationToken) {
        let mut pulled = self.pull_log.take();
        let config = self.config();
        pulled.retain(|(name, _)| {
            config.policy.retention.rule_for(name.as_str()).is_some()
                || self.mirror.is_bounded(name)
        });
        for round in pulled.chunks(ROUND) {
            while let Err(error) = self.metadata.record_pulls(round.to_vec()).await {
                warn!(%error, "times of pulls are not recorded yet");
                if stop.is_cancelled() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(PAUSE_AFTER_FAILURE) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use berth_config::Config;
    use berth_oci::{Algorithm, Hasher};

    use super::*;

    fn policy(keep: &str) -> Policy {
        let yaml =
            format!("policy: {{retention: {{rules: [{{repositories: ['**'], keep: [{keep}]}}]}}}}");
        Config::parse(&yaml, []).unwrap().config.policy
    }

    fn digest(number: usize) -> Digest {
        Hasher::digest(Algorithm::Sha256, number.to_string().as_bytes())
    }

    #[test]
    fn nothing_is_noted_where_nobody_asks() {
        let log = PullLog::default();
        let name = "app".parse().unwrap();
        log.note(&name, &digest(1));
        log.follow(&policy("{pushedwithin: 1h}"));
        log.note(&name, &digest(1));
        assert!(log.take().is_empty());

        log.follow(&policy("{pulledwithin: 1h}"));
        for _ in 0..3 {
            log.note(&name, &digest(1));
        }
        assert_eq!(log.take(), [(name, digest(1))]);
        assert!(log.take().is_empty());
    }

    #[test]
    fn what_is_gathered_has_a_bound() {
        let log = PullLog::default();
        log.follow(&policy("{newestpulled: 1}"));
        let name = "app".parse().unwrap();
        for number in 0..MOST + 10 {
            log.note(&name, &digest(number));
        }
        assert_eq!(log.take().len(), MOST);
        log.note(&name, &digest(0));
        assert_eq!(log.take().len(), 1);
    }
}
