mod task;

use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_config::{Config, Policy};
use berth_metadata::Job;
use berth_oci::RepositoryName;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use self::task::Task;
use super::collection::Pace;
use crate::control::Told;
use crate::{Registry, RegistryError};

/// How often the configuration is looked at: whether a run is due.
const LOOK: Duration = Duration::from_secs(60);

/// What a run of the retention policies did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// Repositories that a rule names.
    pub repositories: u64,
    /// Tags that stay.
    pub kept_tags: u64,
    /// Tags that were deleted.
    pub deleted_tags: u64,
    /// Untagged manifests that were deleted.
    pub deleted_manifests: u64,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

/// A run that somebody asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetentionRun {
    /// The policy, by the configuration of whoever asks.
    pub policy: Box<Policy>,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
    /// The only repository to look at.
    pub repository: Option<RepositoryName>,
}

impl Registry {
    /// Deletes what no retention policy keeps, at the configured interval, until `stop`.
    pub(super) async fn keep_retaining(&self, stop: CancellationToken) {
        let mut last: Option<Instant> = None;
        loop {
            let config = self.config();
            let retention = &config.policy.retention;
            let interval = retention.interval.get();
            let is_due = last.is_none_or(|last| last.elapsed() >= interval);
            if is_due && !retention.rules.is_empty() && !self.is_read_only() {
                self.retain_in_turn(&config, &stop).await;
                last = Some(Instant::now());
            }
            tokio::select! {
                () = tokio::time::sleep(interval.min(LOOK)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One run, unless another process made one lately.
    async fn retain_in_turn(&self, config: &Config, stop: &CancellationToken) {
        let run = async {
            let task = Task {
                registry: self,
                policy: &config.policy,
                in_force: &config.policy,
                dry_run: config.policy.retention.dryrun,
                pace: Pace::Gentle,
                stop,
                tell: None,
                now: self.metadata.now().await?,
                done: Retained::default(),
            };
            let Retained { kept_tags, deleted_tags, deleted_manifests, dry_run, .. } =
                task.over_all().await?;
            match (deleted_tags, deleted_manifests) {
                (0, 0) => debug!(kept_tags, "the retention policy keeps everything"),
                _ => info!(
                    kept_tags,
                    deleted_tags,
                    deleted_manifests,
                    dry_run,
                    "the retention policy was carried out"
                ),
            }
            Ok(())
        };
        let interval = config.policy.retention.interval.get();
        if let Err(error) = self.as_job(Job::Retain, interval, run).await {
            self.metrics.retention.errors.inc();
            warn!(%error, cause = error.cause(), "the retention policy could not be carried out; the next run goes on");
        }
    }

    /// One run for somebody who waits for it.
    pub(crate) async fn retain_as_asked(
        &self,
        run: RetentionRun,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Retained, RegistryError> {
        let RetentionRun { policy, dry_run, repository } = run;
        let dry_run = dry_run || policy.retention.dryrun;
        if !dry_run {
            self.refuse_when_read_only()?;
        }
        let stop = CancellationToken::new();
        self.write_noted_pull_times(&stop).await;
        let in_force: Arc<Config> = self.config();
        let task = Task {
            registry: self,
            policy: &policy,
            in_force: &in_force.policy,
            dry_run,
            pace: Pace::Brisk,
            stop: &stop,
            tell: Some(tell),
            now: self.metadata.now().await?,
            done: Retained::default(),
        };
        let done = match &repository {
            Some(name) => task.over_one(name).await?,
            None => task.over_all().await?,
        };
        if !dry_run {
            self.settle_links().await?;
        }
        Ok(done)
    }
}
