use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Registry;

type Work = BoxFuture<'static, ()>;

/// The work that goes on beside requests: the link files of the storage tree, the purging of
/// abandoned uploads, the collection of garbage, the look at stored bytes, backups, the bounds of mirrors, the retention policies and the times of pulls that
/// they ask for, a regular look at the storage's health, the telling of events, and what is known of
/// those who may use the registry, and the audit log.
#[derive(Debug)]
pub struct BackgroundTasks {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl BackgroundTasks {
    /// Starts the work.
    pub fn start(registry: &Arc<Registry>) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut spawn = |work: fn(Arc<Registry>, CancellationToken) -> Work| {
            tasks.spawn(work(registry.clone(), stop.clone()));
        };
        spawn(|registry, stop| Box::pin(async move { registry.follow_outbox(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.keep_house(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.keep_collecting(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.keep_retaining(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.keep_scrubbing(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.keep_backing_up(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.keep_evicting(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.write_pull_times(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.watch_storage(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.notify(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.follow_access(stop).await }));
        spawn(|registry, stop| Box::pin(async move { registry.write_audit(stop).await }));
        Self { stop, tasks }
    }

    /// Ends the work in good order: the link files are brought up to date first.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
