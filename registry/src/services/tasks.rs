use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Registry;

/// The work that goes on beside requests: the link files of the storage tree, and the purging of
/// abandoned uploads.
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
        let (outbox, house) = (registry.clone(), registry.clone());
        let (stop_outbox, stop_house) = (stop.clone(), stop.clone());
        tasks.spawn(async move { outbox.follow_outbox(stop_outbox).await });
        tasks.spawn(async move { house.keep_house(stop_house).await });
        Self { stop, tasks }
    }

    /// Ends the work in good order: the link files are brought up to date first.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
