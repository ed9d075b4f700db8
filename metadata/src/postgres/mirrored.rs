use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName, Tag};

use super::engine::{Context, Operation};
use super::now;
use super::session::Session;
use crate::encoding::{self, digest_bytes, duration};
use crate::fault::Fault;
use crate::{FetchKey, FoundTag, MirroredTag};

pub(super) async fn find(
    session: &mut Session,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<MirroredTag>, Fault> {
    let row: Option<(Vec<u8>, i64, String)> = session
        .query_as(FIND)
        .bind(repository.as_str())
        .bind(tag.as_str())
        .fetch_optional(session.connection())
        .await?;
    let Some((digest, age, upstream)) = row else { return Ok(None) };
    let age = Duration::from_micros(u64::try_from(age).unwrap_or(0));
    Ok(Some(MirroredTag { digest: encoding::digest(&digest)?, age, upstream }))
}

pub(super) const FIND: &str = concat!(
    "SELECT t.digest, ",
    now!(),
    " - t.checked_at, t.upstream
    FROM repositories r
    JOIN mirrored_tags t ON t.repository_id = r.id AND t.name = $2
    WHERE r.name = $1"
);

pub(super) async fn knows_blob(session: &mut Session, digest: &Digest) -> Result<bool, Fault> {
    let known: Option<bool> = session
        .query_scalar(KNOWS_BLOB)
        .bind(digest_bytes(digest))
        .fetch_optional(session.connection())
        .await?;
    Ok(known.is_some())
}

pub(super) const KNOWS_BLOB: &str = "SELECT true FROM blobs WHERE digest = $1";

/// Notes that a tag came from an upstream. Whoever points tags has locked its row already.
pub(super) const NOTE: &str = concat!(
    "INSERT INTO mirrored_tags (repository_id, name, digest, checked_at, upstream)
    VALUES ($1, $2, $3, ",
    now!(),
    ", $4)
    ON CONFLICT (repository_id, name) DO UPDATE SET
        digest = excluded.digest, checked_at = excluded.checked_at, upstream = excluded.upstream"
);

/// Notes that a tag that was found, and is set by now, came from an upstream, and was not looked at there since.
pub(super) async fn note_unchecked(
    session: &mut Session,
    found: &FoundTag,
    upstream: &str,
) -> Result<(), Fault> {
    session
        .query(NOTE_UNCHECKED)
        .bind(found.repository.as_str())
        .bind(found.tag.as_str())
        .bind(digest_bytes(&found.digest))
        .bind(upstream)
        .execute(session.connection())
        .await?;
    Ok(())
}

const NOTE_UNCHECKED: &str = "
    INSERT INTO mirrored_tags (repository_id, name, digest, checked_at, upstream)
    SELECT r.id, $2, $3, 0, $4 FROM repositories r WHERE r.name = $1
    ON CONFLICT (repository_id, name) DO UPDATE SET
        digest = excluded.digest, checked_at = excluded.checked_at, upstream = excluded.upstream";

/// See [`MetadataStore::mirrored_tag_checked`](crate::MetadataStore::mirrored_tag_checked).
pub(super) struct Checked {
    pub(super) repository: RepositoryName,
    pub(super) tag: Tag,
    pub(super) digest: Digest,
}

#[async_trait]
impl Operation for Checked {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        context
            .session
            .query(CHECKED)
            .bind(self.repository.as_str())
            .bind(self.tag.as_str())
            .bind(digest_bytes(&self.digest))
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

pub(super) const CHECKED: &str = concat!(
    "UPDATE mirrored_tags SET checked_at = ",
    now!(),
    " WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) AND name = $2
        AND digest = $3"
);

/// See [`MetadataStore::hold_fetch`](crate::MetadataStore::hold_fetch).
pub(super) struct Hold {
    pub(super) key: FetchKey,
    pub(super) lease: Duration,
}

#[async_trait]
impl Operation for Hold {
    type Output = bool;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let held = context
            .session
            .query(HOLD)
            .bind(self.key.to_string())
            .bind(context.process.as_bytes().as_slice())
            .bind(duration(self.lease))
            .execute(context.session.connection())
            .await?;
        Ok(held.rows_affected() > 0)
    }
}

const HOLD: &str = concat!(
    "INSERT INTO fetches AS f (what, holder, held_until) VALUES ($1, $2, ",
    now!(),
    " + $3)
    ON CONFLICT (what) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
    WHERE f.holder = $2 OR f.held_until < ",
    now!()
);

/// See [`MetadataStore::release_fetch`](crate::MetadataStore::release_fetch).
pub(super) struct Release(pub(super) FetchKey);

#[async_trait]
impl Operation for Release {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        context
            .session
            .query("DELETE FROM fetches WHERE what = $1 AND holder = $2")
            .bind(self.0.to_string())
            .bind(context.process.as_bytes().as_slice())
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}
