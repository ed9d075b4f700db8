use std::time::Duration;

use berth_metadata::{Job, RecordedEvent};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::breaker::Breaker;
use super::sender::{self, Sender};
use super::{Endpoint, envelope};
use crate::{Registry, RegistryError};

/// How many events are read at a time.
const ROUND: u32 = 32;

/// How long to wait when the database cannot be asked.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long a request that is under way may go on when the registry stops. Its event is told again
/// if it takes longer.
const LAST_ANSWER: Duration = Duration::from_secs(3);

/// What an endpoint is given when its configuration says nothing, or zero, as in `registry:2`.
const DEFAULT_THRESHOLD: u32 = 10;
const DEFAULT_BACKOFF: Duration = Duration::from_secs(1);

/// How the attempt to tell of an event ended.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Yes,
    /// The endpoint was given time to recover, and the event may have been dropped meanwhile.
    LookAgain,
    Stopping,
}

impl Registry {
    /// Tells all endpoints of what happens, until `stop`. What they have not been told by then stays
    /// in the database.
    pub(crate) async fn notify(&self, stop: CancellationToken) {
        if self.notifications.is_off() {
            return;
        }
        tokio::join!(
            self.tell_endpoints(&stop),
            self.wake_endpoints(&stop),
            self.write_pulls(&stop),
            self.keep_event_limits(&stop),
        );
    }

    async fn tell_endpoints(&self, stop: &CancellationToken) {
        match sender::client() {
            Ok(client) => {
                let endpoints = self.notifications.endpoints.iter();
                join_all(endpoints.map(|one| self.tell(one, client.clone(), stop))).await;
            }
            Err(reason) => error!(
                reason,
                "events wait, and no endpoint is told: there is no HTTP client; are there root certificates on this machine?"
            ),
        }
    }

    /// Wakes all endpoints when there may be events.
    async fn wake_endpoints(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = self.metadata.events_filled() => {}
                () = stop.cancelled() => return,
            }
            for endpoint in &self.notifications.endpoints {
                endpoint.wake.notify_one();
            }
        }
    }

    /// Tells one endpoint. One process at a time does it, so that it hears of events in their order.
    async fn tell(&self, endpoint: &Endpoint, client: reqwest::Client, stop: &CancellationToken) {
        let name = &*endpoint.name;
        let sender = match Sender::new(client, &endpoint.config) {
            Ok(sender) => sender,
            Err(reason) => return error!(endpoint = name, reason, "it is not told of events"),
        };
        let threshold = Some(endpoint.config.threshold).filter(|threshold| *threshold > 0);
        let backoff = Some(endpoint.config.backoff.get()).filter(|backoff| !backoff.is_zero());
        let mut breaker = Breaker::new(
            threshold.unwrap_or(DEFAULT_THRESHOLD),
            backoff.unwrap_or(DEFAULT_BACKOFF),
        );
        loop {
            tokio::select! {
                () = endpoint.wake.notified() => {}
                () = stop.cancelled() => return,
            }
            let job = Job::Deliver(endpoint.name.clone());
            let work = self.tell_all(endpoint, &sender, &mut breaker, stop);
            if let Err(error) = self.as_job(job, Duration::ZERO, work).await {
                warn!(endpoint = name, %error, cause = error.cause(), "events wait: the database cannot be asked for them");
                endpoint.wake.notify_one();
                pause(PAUSE_AFTER_FAILURE, stop).await;
            }
        }
    }

    /// Tells an endpoint of all that it has not been told yet.
    async fn tell_all(
        &self,
        endpoint: &Endpoint,
        sender: &Sender,
        breaker: &mut Breaker,
        stop: &CancellationToken,
    ) -> Result<(), RegistryError> {
        loop {
            let events = self.metadata.events(&endpoint.name, ROUND).await?;
            if events.is_empty() {
                return Ok(());
            }
            for recorded in events {
                match self.tell_of(&recorded, endpoint, sender, breaker, stop).await? {
                    Told::Yes => self.metadata.events_done(&[recorded.id]).await?,
                    Told::LookAgain => break,
                    Told::Stopping => return Ok(()),
                }
            }
        }
    }

    /// Tells an endpoint of an event, trying again until it has taken it.
    async fn tell_of(
        &self,
        recorded: &RecordedEvent,
        endpoint: &Endpoint,
        sender: &Sender,
        breaker: &mut Breaker,
        stop: &CancellationToken,
    ) -> Result<Told, RegistryError> {
        let name = &*endpoint.name;
        let body = envelope::body(recorded).map_err(|error| RegistryError::Internal {
            cause: format!("the event {} is malformed: {error}", recorded.event.uuid),
        })?;
        let body = Bytes::from(body);
        while !stop.is_cancelled() {
            let sent = tokio::select! {
                biased;
                sent = sender.send(body.clone()) => sent,
                () = after(LAST_ANSWER, stop) => break,
            };
            match sent {
                Ok(()) => {
                    self.notifications.metrics.delivered(&endpoint.name);
                    let failures = breaker.succeeded();
                    if failures > 0 {
                        info!(endpoint = name, failures, "it takes events again");
                    }
                    return Ok(Told::Yes);
                }
                Err(reason) => {
                    self.notifications.metrics.failed(&endpoint.name);
                    let failures = breaker.failed();
                    if failures == 1 || breaker.has_just_opened() {
                        warn!(
                            endpoint = name,
                            reason,
                            failures,
                            "it does not take an event, which waits; see notifications.endpoints"
                        );
                    }
                }
            }
            if let Some(backoff) = breaker.pause() {
                pause(backoff, stop).await;
                return Ok(Told::LookAgain);
            }
        }
        Ok(Told::Stopping)
    }
}

/// Waits, but not beyond `stop`.
async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
    }
}

/// Ends so long after `stop`.
async fn after(time: Duration, stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(time).await;
}
