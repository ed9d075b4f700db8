//! What retention policies ask, and what they have deleted.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_oci::{Digest, Tag};

use crate::Keep;
use crate::encoding::{micros, time};
use crate::fault::Fault;

/// A tag, with the times that a retention policy judges it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagUse {
    /// The tag.
    pub tag: Tag,
    /// When it was pushed last, the same manifest again included.
    pub pushed_at: SystemTime,
    /// When the manifest that it points to was read last, by whatever name; `None` as long as nobody
    /// has noted that.
    pub pulled_at: Option<SystemTime>,
}

/// Which untagged manifests are looked for, and how long they are kept.
#[derive(Clone, Debug)]
pub struct UntaggedLook {
    /// Where to begin: behind this one.
    pub after: Option<Digest>,
    /// How many manifests are looked at.
    pub limit: u32,
    /// How long a manifest must have been without a tag.
    pub age: Duration,
    /// How long that is kept which a deletion takes away.
    pub keep: Keep,
    /// Whether nothing is deleted.
    pub dry_run: bool,
}

/// A page of untagged manifests whose time is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiredManifests {
    /// The manifests.
    pub manifests: Vec<Digest>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Digest>,
}

/// Which tags of a repository may not be deleted.
#[derive(Clone, Default)]
pub struct ProtectedTags(Option<IsProtected>);

type IsProtected = Arc<dyn Fn(&Tag) -> bool + Send + Sync>;

impl ProtectedTags {
    /// Those that `is_protected` says.
    pub fn new(is_protected: impl Fn(&Tag) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_protected)))
    }

    /// Whether none is.
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The first of some tags that is protected.
    pub(crate) fn first(&self, tags: &[Tag]) -> Option<Tag> {
        let is_protected = self.0.as_ref()?;
        tags.iter().find(|tag| is_protected(tag)).cloned()
    }
}

impl fmt::Debug for ProtectedTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "ProtectedTags(some)" } else { "ProtectedTags(none)" })
    }
}

/// Tag, when it was pushed, when its manifest was pulled.
pub(crate) type TagUseRow = (String, i64, i64);

pub(crate) fn tag_use(row: TagUseRow) -> Result<TagUse, Fault> {
    let (tag, pushed, pulled) = row;
    Ok(TagUse {
        tag: tag.parse().map_err(|_| Fault::Malformed("tag"))?,
        pushed_at: time(pushed)?,
        pulled_at: if pulled == 0 { None } else { Some(time(pulled)?) },
    })
}

/// The times that a tag must still have to be deleted, as they stand in columns.
pub(crate) fn seen(tag: &TagUse) -> (i64, i64) {
    (micros(tag.pushed_at), tag.pulled_at.map(micros).unwrap_or_default())
}

/// Whether nothing stands for the manifest `m`, in the SQL of both engines: no tag points to it, no
/// index of its repository names it, and its subject, if it has one, is not there. What most have, a
/// tag, is looked for first: without a look at their rows. From what is named to who names it, whatever a
/// planner thinks: there are few of these.
macro_rules! stands_alone {
    () => {
        "NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)
        AND NOT EXISTS (
            SELECT 1 FROM manifest_manifests p
            WHERE p.digest = m.digest AND m.repository_id = (
                SELECT i.repository_id FROM manifests i WHERE i.id = p.manifest_id
            )
        )
        AND NOT EXISTS (
            SELECT 1 FROM manifests s
            WHERE s.repository_id = m.repository_id AND s.digest = m.subject
        )"
    };
}
pub(crate) use stands_alone;

/// Since when the manifest `m` has had no tag, in the SQL of an engine whose function `$greatest`
/// gives the greatest of its arguments: at the earliest since that is noted.
macro_rules! untagged_since {
    ($greatest:literal) => {
        concat!(
            $greatest,
            "(
                m.created_at,
                coalesce((SELECT x.untagged_at FROM manifest_times x WHERE x.manifest_id = m.id), 0),
                coalesce((SELECT CAST(w.value AS bigint) FROM settings w
                    WHERE w.name = 'tags_watched_since'), 0)
            )"
        )
    };
}
pub(crate) use untagged_since;
