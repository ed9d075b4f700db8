use std::mem::{size_of, take};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_metadata::NewEvent;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Notifications;
use crate::Registry;

/// The memory that events of reads take while they wait to be written. More are dropped and counted:
/// a read waits for nothing.
const MEMORY: usize = 8 << 20;

/// How many events one transaction writes.
const ROUND: usize = 1000;

/// How long events are gathered before they are written.
const GATHER: Duration = Duration::from_millis(100);

/// How long to wait after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long the last of them may take to be written when the registry stops.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// The events of reads that the database does not have yet.
#[derive(Debug, Default)]
pub(super) struct PullBuffer {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<NewEvent>,
    bytes: usize,
    dropped: u64,
}

impl PullBuffer {
    /// Takes an event; false when there is no room.
    fn push(&self, event: NewEvent) -> bool {
        let mut state = self.lock();
        let bytes = state.bytes + memory_of(&event);
        if bytes > MEMORY {
            state.dropped += 1;
            return false;
        }
        state.bytes = bytes;
        state.events.push(event);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// All events, and how many were dropped since the last time.
    fn take(&self) -> (Vec<NewEvent>, u64) {
        let State { events, dropped, .. } = take(&mut *self.lock());
        (events, dropped)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About what an event takes.
fn memory_of(new: &NewEvent) -> usize {
    let event = &new.event;
    let texts = event.origin.len() + event.descriptors.as_ref().map_or(0, |json| json.len());
    size_of::<NewEvent>() + texts + event.repository.as_str().len() + 256
}

impl Notifications {
    /// Takes note of a read.
    pub(super) fn note_pull(&self, event: NewEvent) {
        if !self.pulls.push(event) {
            self.metrics.unrecorded.inc();
        }
    }
}

impl Registry {
    /// Writes the events of reads, many at once, until `stop`, and then those that are left.
    pub(super) async fn write_pulls(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = self.notifications.pulls.filled.notified() => {}
                () = stop.cancelled() => break,
            }
            self.write_noted_pulls(stop).await;
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = stop.cancelled() => break,
            }
        }
        let last = self.write_noted_pulls(stop);
        if tokio::time::timeout(LAST_WRITE, last).await.is_err() {
            warn!("the last pulls were not recorded: the database did not answer in time");
        }
    }

    /// Writes what there is. While the database fails, the rest gathers in the buffer.
    async fn write_noted_pulls(&self, stop: &CancellationToken) {
        let (events, dropped) = self.notifications.pulls.take();
        if dropped > 0 {
            warn!(dropped, "pulls were not recorded: the database does not keep up");
        }
        for round in events.chunks(ROUND) {
            while let Err(error) = self.metadata.record_events(round.to_vec()).await {
                if stop.is_cancelled() {
                    let lost = round.len();
                    warn!(%error, lost, "pulls were not recorded");
                    return;
                }
                warn!(%error, "pulls are not recorded yet");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE_AFTER_FAILURE) => {}
                    () = stop.cancelled() => {}
                }
            }
            self.notifications.recorded(round);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use berth_metadata::{Event, EventAction};

    use super::*;

    fn pull() -> NewEvent {
        let event = Event {
            uuid: uuid::Uuid::new_v4(),
            action: EventAction::Pull,
            repository: "app".parse().unwrap(),
            digest: None,
            tag: None,
            media_type: None,
            size: None,
            from_repository: None,
            descriptors: Some(Arc::from("x".repeat(MEMORY / 10))),
            origin: Arc::from("{}"),
        };
        NewEvent { endpoints: Arc::from([]), event }
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted() {
        let buffer = PullBuffer::default();
        for round in 0..2 {
            for _ in 0..9 {
                assert!(buffer.push(pull()), "round {round}");
            }
            assert!(!buffer.push(pull()) && !buffer.push(pull()));
            let (events, dropped) = buffer.take();
            assert_eq!((events.len(), dropped), (9, 2));
        }
        assert_eq!(buffer.take().1, 0);
    }
}
