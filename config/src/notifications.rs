//! The `notifications` section.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::{GoDuration, Secret};

/// Webhooks on pushes, pulls, mounts and deletes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notifications {
    /// What events tell, and how long they wait for an endpoint that does not answer.
    pub events: Events,
    /// Who is told of events.
    pub endpoints: Vec<NotificationEndpoint>,
}

impl Notifications {
    /// The endpoints that are told of events.
    pub fn enabled(&self) -> impl Iterator<Item = &NotificationEndpoint> {
        self.endpoints.iter().filter(|endpoint| !endpoint.disabled)
    }
}

/// What events tell, and how long they wait for an endpoint that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// Whether the event of a manifest names the descriptors of what the manifest is made of.
    pub includereferences: bool,
    /// How long an event waits for its endpoint. Then it is dropped, with a warning in the log.
    #[schemars(extend("x-berth-reload" = true))]
    pub keep: GoDuration,
    /// How many events wait for one endpoint. Beyond that the oldest are dropped, with a warning in the log.
    #[schemars(extend("x-berth-reload" = true))]
    pub maxpending: u32,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            includereferences: false,
            keep: GoDuration::from_secs(7 * 24 * 60 * 60),
            maxpending: 1_000_000,
        }
    }
}

/// A URL that events are posted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationEndpoint {
    /// What the endpoint is called in the log, in metrics and in the database. An endpoint with another name is
    /// another endpoint: it is told of events from its first start on.
    pub name: String,
    /// Whether it is left alone.
    pub disabled: bool,
    /// Where events are posted to, with `http` or `https`. What is secret in it belongs before an `@` or behind a `?`:
    /// neither is shown.
    #[serde(serialize_with = "without_secrets")]
    pub url: String,
    /// Headers sent along, as `name: [value, ...]`: `Authorization`, for one.
    pub headers: BTreeMap<String, Vec<Secret>>,
    /// How long the endpoint may take to answer. `0s` means a second.
    pub timeout: GoDuration,
    /// Failures in a row after which it is given time to recover. `0` means 10.
    pub threshold: u32,
    /// How long it is given, before the next try. `0s` means a second.
    pub backoff: GoDuration,
    /// Media types of content that it is not told of. The same as `ignore.mediatypes`.
    pub ignoredmediatypes: Vec<String>,
    /// What it is not told of.
    pub ignore: Ignore,
}

impl Default for NotificationEndpoint {
    fn default() -> Self {
        Self {
            name: String::new(),
            disabled: false,
            url: String::new(),
            headers: BTreeMap::new(),
            timeout: GoDuration::from_secs(1),
            threshold: 10,
            backoff: GoDuration::from_secs(1),
            ignoredmediatypes: Vec::new(),
            ignore: Ignore::default(),
        }
    }
}

impl NotificationEndpoint {
    /// Whether it wants to know of something that was done to content of this media type.
    pub fn wants(&self, action: NotifiedAction, media_type: Option<&str>) -> bool {
        let mut ignored = self.ignore.mediatypes.iter().chain(&self.ignoredmediatypes);
        !self.ignore.actions.contains(&action)
            && !ignored.any(|ignored| Some(ignored.as_str()) == media_type)
    }
}

/// What an endpoint is not told of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ignore {
    /// Media types of content.
    pub mediatypes: Vec<String>,
    /// What was done.
    pub actions: Vec<NotifiedAction>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotifiedAction {
    /// A blob or a manifest was stored.
    Push,
    /// A blob or a manifest was read.
    Pull,
    /// A blob was linked from another repository.
    Mount,
    /// A blob, a manifest or a tag was deleted.
    Delete,
}

/// A URL may carry a password before its host, or a token in its query.
fn without_secrets<S: Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    const HIDDEN: &str = "<redacted>";
    let (url, query) = match url.split_once('?') {
        Some((url, _)) => (url, format!("?{HIDDEN}")),
        None => (url, String::new()),
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    match authority.rsplit_once('@') {
        Some((_, host)) => {
            serializer.collect_str(&format!("{scheme}://{HIDDEN}@{host}{path}{query}"))
        }
        None => serializer.collect_str(&format!("{url}{query}")),
    }
}
