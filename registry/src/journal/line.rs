use std::time::{Duration, SystemTime};

use berth_metadata::{OutboxEntry, Standing};
use berth_oci::{Digest, LinkChange, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// A change, as it stands in the journal. Times are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub(crate) enum Line {
    /// The repository can read the blob, whose bytes are at this place.
    LinkBlob { repository: RepositoryName, digest: Digest, size: u64, location: String, at: u64 },
    /// The repository can read the blob no longer.
    UnlinkBlob { repository: RepositoryName, digest: Digest },
    /// The repository has the manifest.
    PutManifest {
        repository: RepositoryName,
        digest: Digest,
        media_type: String,
        payload: String,
        at: u64,
    },
    /// The repository has the manifest no longer.
    DeleteManifest { repository: RepositoryName, digest: Digest },
    /// The tag points to the manifest.
    SetTag { repository: RepositoryName, tag: Tag, digest: Digest, at: u64 },
    /// The tag is gone.
    DeleteTag { repository: RepositoryName, tag: Tag },
}

impl Line {
    /// What an entry of the outbox tells; nothing of what has gone since, as a later entry says.
    pub(crate) fn of(entry: OutboxEntry) -> Option<Self> {
        let at = |standing: &Standing| micros(standing.written_at);
        Some(match entry.change {
            LinkChange::LinkBlob { repository, digest } => {
                let standing = entry.standing?;
                let at = at(&standing);
                let blob = standing.blob?;
                let (size, location) = (blob.size, blob.location.0);
                Self::LinkBlob { repository, digest, size, location, at }
            }
            LinkChange::UnlinkBlob { repository, digest } => {
                Self::UnlinkBlob { repository, digest }
            }
            LinkChange::PutManifest { repository, digest, payload } => {
                let standing = entry.standing?;
                let at = at(&standing);
                // A manifest is JSON.
                let payload = String::from_utf8(payload.into()).ok()?;
                Self::PutManifest {
                    repository,
                    digest,
                    media_type: standing.media_type?,
                    payload,
                    at,
                }
            }
            LinkChange::DeleteManifest { repository, digest } => {
                Self::DeleteManifest { repository, digest }
            }
            LinkChange::SetTag { repository, tag, digest } => {
                Self::SetTag { repository, tag, digest, at: at(&entry.standing?) }
            }
            LinkChange::DeleteTag { repository, tag } => Self::DeleteTag { repository, tag },
        })
    }

    /// What the line speaks of. Of two lines with the same one the later counts.
    pub(crate) fn subject(&self) -> Subject {
        match self {
            Self::LinkBlob { repository, digest, .. } | Self::UnlinkBlob { repository, digest } => {
                Subject::Link(repository.clone(), *digest)
            }
            Self::PutManifest { repository, digest, .. }
            | Self::DeleteManifest { repository, digest } => {
                Subject::Manifest(repository.clone(), *digest)
            }
            Self::SetTag { repository, tag, .. } | Self::DeleteTag { repository, tag } => {
                Subject::Tag(repository.clone(), tag.clone())
            }
        }
    }
}

/// What changes speak of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Link(RepositoryName, Digest),
    Manifest(RepositoryName, Digest),
    Tag(RepositoryName, Tag),
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The time of a line.
pub(crate) fn time(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use berth_metadata::OutboxId;
    use bytes::Bytes;

    use super::*;

    fn entry(change: LinkChange, standing: Option<Standing>) -> OutboxEntry {
        OutboxEntry { id: OutboxId(1), change, standing }
    }

    #[test]
    fn a_manifest_keeps_its_bytes_and_its_time() {
        let payload = "{\n\t\"annotations\": {\"é\": \"\\u0000\"}}";
        let digest = berth_oci::Hasher::digest(berth_oci::Algorithm::Sha256, payload.as_bytes());
        let repository: RepositoryName = "team/app".parse().unwrap();
        let written_at = time(1_764_158_400_123_456);
        let standing = Standing { written_at, blob: None, media_type: Some("a/b".to_owned()) };
        let payload = Bytes::from(payload);
        let change = LinkChange::PutManifest { repository, digest, payload: payload.clone() };
        let line = Line::of(entry(change, Some(standing))).unwrap();
        let text = serde_json::to_string(&line).unwrap();
        assert!(!text.contains('\n'), "{text}");
        let Line::PutManifest { payload: read, at, .. } = serde_json::from_str(&text).unwrap()
        else {
            panic!("{text}");
        };
        assert_eq!((read.as_bytes(), time(at)), (payload.as_ref(), written_at));
    }

    #[test]
    fn what_has_gone_since_leaves_no_line() {
        let digest = berth_oci::Hasher::digest(berth_oci::Algorithm::Sha256, b"");
        let repository: RepositoryName = "app".parse().unwrap();
        let tag: Tag = "v1".parse().unwrap();
        let set = LinkChange::SetTag { repository: repository.clone(), tag: tag.clone(), digest };
        assert_eq!(Line::of(entry(set, None)), None);
        let deleted = LinkChange::DeleteTag { repository, tag };
        assert!(Line::of(entry(deleted, None)).is_some());
    }
}
