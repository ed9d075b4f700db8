//! What happened in the registry, as whoever wants to know is told of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_oci::{Digest, RepositoryName, Tag};
use serde::Serialize;
use uuid::Uuid;

use crate::encoding::{digest_hex, integer, size, time};
use crate::fault::Fault;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventAction {
    /// A blob or a manifest was stored.
    Push,
    /// A blob or a manifest was read.
    Pull,
    /// A blob was linked from another repository.
    Mount,
    /// A blob, a manifest or a tag was deleted.
    Delete,
}

impl EventAction {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Mount => "mount",
            Self::Delete => "delete",
        }
    }

    fn parse(name: &str) -> Result<Self, Fault> {
        [Self::Push, Self::Pull, Self::Mount, Self::Delete]
            .into_iter()
            .find(|action| action.name() == name)
            .ok_or(Fault::Malformed("event"))
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name, by which a receiver knows an event that it is told twice.
    pub uuid: Uuid,
    /// What was done.
    pub action: EventAction,
    /// Where.
    pub repository: RepositoryName,
    /// To which content; `None` when a tag alone was deleted.
    pub digest: Option<Digest>,
    /// The tag that it was done by, or to.
    pub tag: Option<Tag>,
    /// The media type of the content.
    pub media_type: Option<String>,
    /// The size of the content. That of a mounted blob is filled in by the store.
    pub size: Option<u64>,
    /// The repository that a mount took its blob from.
    pub from_repository: Option<RepositoryName>,
    /// The descriptors that a manifest names, as a JSON array.
    pub descriptors: Option<Arc<str>>,
    /// The request that made it, as a JSON object.
    pub origin: Arc<str>,
}

/// An event to record, in the transaction of the change that it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The names of the endpoints that are to be told.
    pub endpoints: Arc<[Arc<str>]>,
    /// What they are told.
    pub event: Event,
}

impl NewEvent {
    /// The event of a tag that was deleted together with the manifest of this event.
    pub(crate) fn of_deleted_tag(&self, tag: &Tag) -> Self {
        let event = Event {
            uuid: Uuid::new_v4(),
            digest: None,
            tag: Some(tag.clone()),
            media_type: None,
            size: None,
            ..self.event.clone()
        };
        Self { endpoints: Arc::clone(&self.endpoints), event }
    }

    /// The event of a manifest that was deleted by whoever knew only in which repository it would be.
    pub(crate) fn of_deleted_manifest(&self, digest: Digest) -> Self {
        let event =
            Event { uuid: Uuid::new_v4(), digest: Some(digest), tag: None, ..self.event.clone() };
        Self { endpoints: Arc::clone(&self.endpoints), event }
    }

    /// The event of a mount, now that the size of the blob is known.
    pub(crate) fn of_size(&self, size: u64) -> Self {
        let event = Event { size: Some(size), ..self.event.clone() };
        Self { endpoints: Arc::clone(&self.endpoints), event }
    }
}

/// The events of a deleted manifest: those of itself, and those of the tags that went with it.
pub(crate) fn of_deletion(events: &[NewEvent], tags: &[Tag]) -> Vec<NewEvent> {
    let of_tags = tags.iter().flat_map(|tag| events.iter().map(|event| event.of_deleted_tag(tag)));
    events.iter().cloned().chain(of_tags).collect()
}

/// The events of tags that were deleted alone.
pub(crate) fn of_deleted_tag(events: &[NewEvent], tag: &Tag) -> Vec<NewEvent> {
    events.iter().map(|event| event.of_deleted_tag(tag)).collect()
}

/// The events of a manifest that was deleted because its time was over.
pub(crate) fn of_deleted_manifest(events: &[NewEvent], digest: Digest) -> Vec<NewEvent> {
    events.iter().map(|event| event.of_deleted_manifest(digest)).collect()
}

/// The place of an event among those of its endpoint; later events have greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId(pub i64);

/// An event that an endpoint has still to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place.
    pub id: EventId,
    /// When it was recorded, by the clock that stamps everything that is stored.
    pub at: SystemTime,
    /// What happened.
    pub event: Event,
}

/// How many events an endpoint has still to be told, or was never told.
pub type EventCount = (String, u64);

/// Events as a JSON array of rows, one for each endpoint, which one statement writes however many
/// there are: endpoint, uuid, action, repository, digest, tag, media type, size, source of a mount,
/// descriptors, origin. Bytes are hexadecimal.
pub(crate) fn rows(events: &[NewEvent]) -> Result<String, Fault> {
    let mut rows = Vec::with_capacity(events.len());
    for NewEvent { endpoints, event } in events {
        for endpoint in endpoints.iter() {
            rows.push(Row::of(endpoint, event)?);
        }
    }
    serde_json::to_string(&rows).map_err(|_| Fault::Malformed("list of events"))
}

/// A row as the statement reads it, by place.
#[derive(Serialize)]
struct Row<'a>(
    &'a str,
    String,
    &'static str,
    &'a str,
    Option<String>,
    Option<&'a str>,
    Option<&'a str>,
    Option<i64>,
    Option<&'a str>,
    Option<&'a str>,
    &'a str,
);

impl<'a> Row<'a> {
    fn of(endpoint: &'a str, event: &'a Event) -> Result<Self, Fault> {
        Ok(Self(
            endpoint,
            event.uuid.simple().to_string(),
            event.action.name(),
            event.repository.as_str(),
            event.digest.as_ref().map(digest_hex),
            event.tag.as_ref().map(Tag::as_str),
            event.media_type.as_deref(),
            event.size.map(integer).transpose()?,
            event.from_repository.as_ref().map(RepositoryName::as_str),
            event.descriptors.as_deref(),
            &event.origin,
        ))
    }
}

/// Id, uuid, time, action, repository, digest, tag, media type, size, source of a mount,
/// descriptors, origin.
pub(crate) type EventRow = (
    i64,
    Vec<u8>,
    i64,
    String,
    String,
    Option<Vec<u8>>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<String>,
    String,
);

/// What [`recorded`] reads.
macro_rules! columns {
    () => {
        "id, uuid, happened_at, action, repository, digest, tag, media_type, size, \
         from_repository, descriptors, origin"
    };
}
pub(crate) use columns;

pub(crate) fn recorded(row: EventRow) -> Result<RecordedEvent, Fault> {
    let (id, uuid, at, action, repository, digest, tag, media_type, bytes, from, names, origin) =
        row;
    let name =
        |text: String| text.parse().map_err(|_| Fault::Malformed("repository name of an event"));
    let tag = tag.map(|tag| tag.parse()).transpose();
    let event = Event {
        uuid: Uuid::from_slice(&uuid).map_err(|_| Fault::Malformed("event"))?,
        action: EventAction::parse(&action)?,
        repository: name(repository)?,
        digest: digest.as_deref().map(crate::encoding::digest).transpose()?,
        tag: tag.map_err(|_| Fault::Malformed("tag of an event"))?,
        media_type,
        size: bytes.map(size).transpose()?,
        from_repository: from.map(name).transpose()?,
        descriptors: names.map(Arc::from),
        origin: Arc::from(origin),
    };
    Ok(RecordedEvent { id: EventId(id), at: time(at)?, event })
}

/// How many events of each endpoint there are in the answer of a statement.
pub(crate) fn counts(rows: Vec<(String, i64)>) -> Result<Vec<EventCount>, Fault> {
    rows.into_iter().map(|(endpoint, count)| Ok((endpoint, size(count)?))).collect()
}

/// One for each row that was deleted, as [`counts`].
pub(crate) fn count_each(endpoints: Vec<String>) -> Vec<EventCount> {
    let mut counts = std::collections::BTreeMap::new();
    for endpoint in endpoints {
        *counts.entry(endpoint).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// How often the events are looked at: another process may have recorded some.
pub(crate) const POLL: Duration = Duration::from_secs(2);
