use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Registry;

/// The work that goes on beside requests: the link files of the storage tree, the purging of
/// abandoned uploads, and a regular look at the storage's health.
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
        let (followed, kept, watched) = (registry.clone(), registry.clone(), registry.clone());
        let stops = (stop.clone(), stop.clone(), stop.clone());
        tasks.spawn(async move { followed.follow_outbox(stops.0).await });
        tasks.spawn(async move { kept.keep_house(stops.1).await });
        tasks.spawn(async move { watched.watch_storage(stops.2).await });
        Self { stop, tasks }
    }

    /// Ends the work in good order: the link files are brought up to date first.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
