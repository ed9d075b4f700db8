use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use super::files::Stamp;
use super::{Tls, TlsError};
use crate::Registry;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// The task that takes over a new certificate. It ends when this is dropped.
#[derive(Debug)]
pub struct TlsWatch {
    look: Arc<Notify>,
    task: JoinHandle<()>,
}

impl TlsWatch {
    /// Begins to watch the files.
    pub fn start(tls: Arc<Tls>, registry: &Arc<Registry>) -> Self {
        let look = Arc::new(Notify::new());
        let watcher = Watcher::new(tls, registry.clone());
        let task = tokio::spawn(watch(watcher, look.clone()));
        Self { look, task }
    }

    /// Reads the files now, whether they seem to have changed or not.
    pub fn reload(&self) {
        self.look.notify_one();
    }
}

impl Drop for TlsWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(mut watcher: Watcher, look: Arc<Notify>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            _ = interval.tick() => false,
            () = look.notified() => true,
        };
        // The files may be on a server that does not answer.
        let looked = tokio::task::spawn_blocking(move || {
            watcher.look(asked);
            watcher
        });
        match looked.await {
            Ok(back) => watcher = back,
            Err(error) => {
                error!(%error, "the certificate is not watched any more");
                return;
            }
        }
    }
}

/// What is known of the files.
struct Watcher {
    tls: Arc<Tls>,
    registry: Arc<Registry>,
    /// As they were when they could not be used, last.
    refused: Option<Refused>,
}

struct Refused {
    stamp: Stamp,
    told: bool,
}

impl Watcher {
    fn new(tls: Arc<Tls>, registry: Arc<Registry>) -> Self {
        tell_expiry(&tls, &registry);
        Self { tls, registry, refused: None }
    }

    fn look(&mut self, asked: bool) {
        let stamp = self.tls.files.stamp();
        let told =
            self.refused.as_ref().is_some_and(|refused| refused.told && refused.stamp == stamp);
        if !asked && (stamp == self.tls.current.load().stamp || told) {
            return;
        }
        match self.tls.replace() {
            Ok(()) => self.replaced(),
            Err(error) => self.refuse(stamp, asked, &error),
        }
    }

    fn replaced(&mut self) {
        tell_expiry(&self.tls, &self.registry);
        self.registry.metrics.tls.reloaded("replaced");
        info!(names = self.tls.names(), "the certificate was read again and is in service");
        for notice in self.tls.notices() {
            warn!("{notice}");
        }
        self.refused = None;
    }

    /// Certificate and key are replaced one after the other: what does not fit together is told
    /// when it is so at two looks.
    fn refuse(&mut self, stamp: Stamp, asked: bool, error: &TlsError) {
        let again = self.refused.as_ref().is_some_and(|refused| refused.stamp == stamp);
        let told = asked || again;
        if told {
            self.registry.metrics.tls.reloaded("refused");
            error!("the new certificate is not used, the one before stays in service: {error}");
        }
        self.refused = Some(Refused { stamp, told });
    }
}

fn tell_expiry(tls: &Tls, registry: &Registry) {
    registry.metrics.tls.expires(tls.current.load().certificate.not_after);
}
