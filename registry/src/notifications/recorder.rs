use std::sync::Arc;

use berth_config::NotifiedAction;
use berth_metadata::{BlobRecord, Event, EventAction, ManifestRecord, NewEvent};
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Notifications, Origin};

/// The media type that events tell of every blob: none is kept with it.
pub(super) const BLOB: &str = "application/octet-stream";

/// Longer lists of descriptors are left out, so that no manifest makes events of megabytes.
const MAX_DESCRIPTORS: usize = 256 * 1024;

/// What an event says of a piece of a manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    media_type: String,
    size: u64,
    digest: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<Value>,
}

/// The members of a manifest that hold descriptors of what it is made of.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pieces {
    config: Option<Piece>,
    layers: Vec<Piece>,
    blobs: Vec<Piece>,
    manifests: Vec<Piece>,
}

/// What is told of a manifest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToldManifest<'m> {
    pub(crate) repository: &'m RepositoryName,
    pub(crate) digest: Digest,
    pub(crate) media_type: &'m str,
    pub(crate) payload: &'m [u8],
}

impl Notifications {
    /// The event of a blob that is stored.
    pub(crate) fn pushed_blob(
        &self,
        origin: &Origin,
        repository: &RepositoryName,
        digest: Digest,
        size: u64,
    ) -> Vec<NewEvent> {
        let event = self.event(origin, EventAction::Push, repository, Some(BLOB));
        let fill = |event| Event { digest: Some(digest), size: Some(size), ..event };
        event.map(|new| with(new, fill)).into_iter().collect()
    }

    /// The events of a manifest that is stored: one for each tag, or one without.
    pub(crate) fn pushed_manifest(
        &self,
        origin: &Origin,
        manifest: ToldManifest<'_>,
        tags: &[Tag],
    ) -> Vec<NewEvent> {
        let Some(event) = self.manifest(origin, EventAction::Push, manifest) else {
            return Vec::new();
        };
        if tags.is_empty() {
            return vec![event];
        }
        let of_tag = |tag: &Tag| {
            let fill = |event| Event { uuid: Uuid::new_v4(), tag: Some(tag.clone()), ..event };
            with(event.clone(), fill)
        };
        tags.iter().map(of_tag).collect()
    }

    /// The event of a blob that is linked from another repository.
    pub(crate) fn mounted_blob(
        &self,
        origin: &Origin,
        repository: &RepositoryName,
        from: Option<&RepositoryName>,
        digest: Digest,
    ) -> Vec<NewEvent> {
        let event = self.event(origin, EventAction::Mount, repository, Some(BLOB));
        let from_repository = from.cloned();
        let fill = |event| Event { digest: Some(digest), from_repository, ..event };
        event.map(|new| with(new, fill)).into_iter().collect()
    }

    /// The event of a blob, or a manifest, that is deleted.
    pub(crate) fn deleted(
        &self,
        origin: &Origin,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Vec<NewEvent> {
        let event = self.event(origin, EventAction::Delete, repository, None);
        let fill = |event| Event { digest: Some(digest), ..event };
        event.map(|new| with(new, fill)).into_iter().collect()
    }

    /// The event of any manifest that is deleted. Which, and where, is filled in by the database.
    pub(crate) fn deleted_content(&self, origin: &Origin) -> Vec<NewEvent> {
        let Ok(anywhere) = "any".parse::<RepositoryName>() else { return Vec::new() };
        self.event(origin, EventAction::Delete, &anywhere, None).into_iter().collect()
    }

    /// The event of a tag that is deleted.
    pub(crate) fn deleted_tag(
        &self,
        origin: &Origin,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Vec<NewEvent> {
        let event = self.event(origin, EventAction::Delete, repository, None);
        let fill = |event| Event { tag: Some(tag.clone()), ..event };
        event.map(|new| with(new, fill)).into_iter().collect()
    }

    /// The event of what a policy deletes in a repository, for the store to fill in what that was.
    pub(crate) fn deleted_by_policy(&self, repository: &RepositoryName) -> Vec<NewEvent> {
        let origin = self.policy_origin();
        self.event(&origin, EventAction::Delete, repository, None).into_iter().collect()
    }

    /// Takes note of a manifest that is read. Waits for nothing.
    pub(crate) fn pulled_manifest(
        &self,
        origin: &Origin,
        repository: &RepositoryName,
        reference: &Reference,
        record: &ManifestRecord,
    ) {
        let told = ToldManifest {
            repository,
            digest: record.digest,
            media_type: &record.media_type,
            payload: &record.payload,
        };
        let Some(event) = self.manifest(origin, EventAction::Pull, told) else { return };
        let tag = match reference {
            Reference::Tag(tag) => Some(tag.clone()),
            Reference::Digest(_) => None,
        };
        self.note_pull(with(event, |event| Event { tag, ..event }));
    }

    /// Takes note of a blob that is read. Waits for nothing.
    pub(crate) fn pulled_blob(
        &self,
        origin: &Origin,
        repository: &RepositoryName,
        record: &BlobRecord,
    ) {
        let Some(event) = self.event(origin, EventAction::Pull, repository, Some(BLOB)) else {
            return;
        };
        let (digest, size) = (Some(record.digest), Some(record.size));
        self.note_pull(with(event, |event| Event { digest, size, ..event }));
    }

    /// Counts events that the database has.
    pub(crate) fn recorded(&self, events: &[NewEvent]) {
        for new in events {
            self.metrics.recorded(new.event.action.name());
        }
    }

    fn manifest(
        &self,
        origin: &Origin,
        action: EventAction,
        manifest: ToldManifest<'_>,
    ) -> Option<NewEvent> {
        let event = self.event(origin, action, manifest.repository, Some(manifest.media_type))?;
        let descriptors = match self.include_references {
            true => descriptors(manifest.payload),
            false => None,
        };
        let fill = |event| Event {
            digest: Some(manifest.digest),
            size: Some(manifest.payload.len() as u64),
            descriptors,
            ..event
        };
        Some(with(event, fill))
    }

    /// An event for all that want to know of it; `None` when nobody does.
    fn event(
        &self,
        origin: &Origin,
        action: EventAction,
        repository: &RepositoryName,
        media_type: Option<&str>,
    ) -> Option<NewEvent> {
        let origin = origin.text()?;
        let notified = notified(action);
        let wanting = self.endpoints.iter().filter(|one| one.config.wants(notified, media_type));
        let endpoints: Arc<[_]> = wanting.map(|one| Arc::clone(&one.name)).collect();
        let event = Event {
            uuid: Uuid::new_v4(),
            action,
            repository: repository.clone(),
            digest: None,
            tag: None,
            media_type: media_type.map(str::to_owned),
            size: None,
            from_repository: None,
            descriptors: None,
            origin: Arc::clone(origin),
        };
        (!endpoints.is_empty()).then_some(NewEvent { endpoints, event })
    }
}

fn with(new: NewEvent, fill: impl FnOnce(Event) -> Event) -> NewEvent {
    NewEvent { endpoints: new.endpoints, event: fill(new.event) }
}

fn notified(action: EventAction) -> NotifiedAction {
    match action {
        EventAction::Push => NotifiedAction::Push,
        EventAction::Pull => NotifiedAction::Pull,
        EventAction::Mount => NotifiedAction::Mount,
        EventAction::Delete => NotifiedAction::Delete,
    }
}

/// The descriptors of what a manifest is made of, as JSON.
fn descriptors(payload: &[u8]) -> Option<Arc<str>> {
    let pieces: Pieces = serde_json::from_slice(payload).ok()?;
    let Pieces { config, layers, blobs, manifests } = pieces;
    let all: Vec<Piece> = config.into_iter().chain(layers).chain(blobs).chain(manifests).collect();
    let json = serde_json::to_string(&all).ok()?;
    (json.len() <= MAX_DESCRIPTORS).then(|| Arc::from(json))
}
