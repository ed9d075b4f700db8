//! Telling others what happens in the registry.
//!
//! - `origin` describes the request that an event comes from.
//! - `recorder` makes the events of what is done, for those endpoints that want them. The services
//!   hand them to the database with the change itself: one transaction.
//! - `pulls` gathers the events of reads, which wait for no database, and writes them many at once.
//! - `delivery` tells each endpoint of its events, one after the other, over `sender`; `breaker` is
//!   its patience, `envelope` what goes over the wire.
//! - `limits` drops what waits too long for an endpoint that does not answer.

mod breaker;
mod delivery;
mod envelope;
mod limits;
mod origin;
mod pulls;
mod recorder;
mod sender;

use std::sync::Arc;

use berth_config::{Config, NotificationEndpoint};
use tokio::sync::Notify;
use uuid::Uuid;

use self::envelope::Source;
pub(crate) use self::origin::Origin;
use self::pulls::PullBuffer;
pub(crate) use self::recorder::ToldManifest;
use crate::observe::EventMetrics;

/// Who is told of what happens here, and what is on its way to them.
#[derive(Debug)]
pub(crate) struct Notifications {
    endpoints: Vec<Endpoint>,
    /// Whether the event of a manifest names what the manifest is made of.
    include_references: bool,
    /// What events say of this process.
    source: Source,
    pulls: PullBuffer,
    metrics: EventMetrics,
}

/// Somebody who is told of events.
#[derive(Debug)]
struct Endpoint {
    name: Arc<str>,
    config: NotificationEndpoint,
    /// There may be events for it.
    wake: Notify,
}

impl Notifications {
    /// For the endpoints of a configuration. Where there are none nothing is ever recorded.
    pub(crate) fn new(config: &Config, metrics: EventMetrics) -> Self {
        let endpoint = |config: &NotificationEndpoint| Endpoint {
            name: Arc::from(config.name.as_str()),
            config: config.clone(),
            wake: Notify::new(),
        };
        Self {
            endpoints: config.notifications.enabled().map(endpoint).collect(),
            include_references: config.notifications.events.includereferences,
            source: Source {
                addr: origin::node_address(&config.http.addr),
                instance_id: Uuid::new_v4().to_string(),
            },
            pulls: PullBuffer::default(),
            metrics,
        }
    }

    /// Whether nobody wants to know anything.
    fn is_off(&self) -> bool {
        self.endpoints.is_empty()
    }
}
