use std::sync::Arc;

use berth_metadata::{EventAction, RecordedEvent};
use berth_oci::{Digest, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::origin::Description;

/// The media type that `registry:2` sends events with.
pub(super) const MEDIA_TYPE: &str = "application/vnd.docker.distribution.events.v1+json";

/// What is posted: one event, as `registry:2` does, in its order of members.
#[derive(Debug, Serialize)]
struct Envelope<'e> {
    events: [Event<'e>; 1],
}

#[derive(Debug, Serialize)]
struct Event<'e> {
    id: String,
    timestamp: jiff::Timestamp,
    action: &'static str,
    target: Target<'e>,
    request: Request,
    actor: Actor,
    source: Source,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'e str>,
    #[serde(skip_serializing_if = "is_nothing")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    /// The size under the name that the first receivers know.
    #[serde(skip_serializing_if = "is_nothing")]
    length: Option<u64>,
    repository: &'e RepositoryName,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_repository: Option<&'e RepositoryName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'e Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<&'e RawValue>,
}

/// `registry:2` leaves out a size of nothing.
fn is_nothing(size: &Option<u64>) -> bool {
    size.unwrap_or_default() == 0
}

/// The request that made an event.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    pub(super) id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) addr: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) host: String,
    pub(super) method: String,
    pub(super) useragent: String,
}

/// Who made the request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Actor {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
}

/// The process that took the request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Source {
    pub(super) addr: String,
    #[serde(rename = "instanceID")]
    pub(super) instance_id: String,
}

/// The body of the request that tells of an event.
pub(super) fn body(recorded: &RecordedEvent) -> Result<Vec<u8>, serde_json::Error> {
    let event = &recorded.event;
    let Description { request, actor, source, base_url } = serde_json::from_str(&event.origin)?;
    let is_blob = event.media_type.as_deref() == Some(super::recorder::BLOB);
    // What is gone has no address.
    let is_there = event.action != EventAction::Delete;
    let url = event.digest.filter(|_| is_there).map(|digest| {
        let kind = if is_blob { "blobs" } else { "manifests" };
        format!("{base_url}/v2/{}/{kind}/{digest}", event.repository)
    });
    let references: Option<&RawValue> =
        event.descriptors.as_ref().map(|json: &Arc<str>| serde_json::from_str(json)).transpose()?;
    let event = Event {
        id: event.uuid.to_string(),
        timestamp: jiff::Timestamp::try_from(recorded.at).unwrap_or_default(),
        action: event.action.name(),
        target: Target {
            media_type: event.media_type.as_deref(),
            size: event.size,
            digest: event.digest,
            length: event.size,
            repository: &event.repository,
            from_repository: event.from_repository.as_ref(),
            url,
            tag: event.tag.as_ref(),
            references,
        },
        request,
        actor,
        source,
    };
    serde_json::to_vec(&Envelope { events: [event] })
}
