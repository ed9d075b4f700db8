use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};

use super::engine::{Context, Operation};
use super::session::Session;
use super::{collection, links, now, outbox, repositories};
use crate::encoding::{digest_bytes, duration, integer, size};
use crate::fault::Fault;
use crate::lifecycle::{self, Place};
use crate::{BlobLocation, BlobRecord, FinishedUpload, LinkedBlob, NewEvent, RecordedUpload};

/// Finds many at once. The answers stand in the order of the keys.
pub(super) async fn find_many(
    session: &mut Session,
    keys: &[(RepositoryName, Digest)],
) -> Result<Vec<Option<LinkedBlob>>, Fault> {
    let repositories: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
    let digests: Vec<Vec<u8>> = keys.iter().map(|(_, digest)| digest_bytes(digest)).collect();
    let rows: Vec<(i64, i64, String, i64)> = session
        .query_as(FIND_MANY)
        .bind(repositories)
        .bind(digests)
        .fetch_all(session.connection())
        .await?;
    let mut found = vec![None; keys.len()];
    for (place, bytes, location, left) in rows {
        let place = usize::try_from(place - 1).ok().filter(|place| *place < keys.len());
        let place = place.ok_or(Fault::Malformed("place"))?;
        let location = BlobLocation(location);
        let blob = BlobRecord { digest: keys[place].1, size: size(bytes)?, location };
        let leased_for = Duration::from_micros(u64::try_from(left).unwrap_or(0));
        found[place] = Some(LinkedBlob { blob, leased_for });
    }
    Ok(found)
}

/// `LATERAL` with a limit has the server look up one key after the other, by index.
pub(super) const FIND_MANY: &str = concat!(
    "
    SELECT q.place, b.size, b.location, b.leased_until - ",
    now!(),
    "
    FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS q (repository, digest, place)
    CROSS JOIN LATERAL (
        SELECT b.size, b.location, l.leased_until
        FROM repositories r
        JOIN blobs b ON b.digest = q.digest
        JOIN repository_blobs l ON l.repository_id = r.id AND l.blob_id = b.id
        WHERE r.name = q.repository
        LIMIT 1
    ) b"
);

pub(super) async fn location_prefixes_without_blob(
    session: &mut Session,
    prefixes: &[String],
) -> Result<Vec<String>, Fault> {
    let rows =
        session.query_scalar(WITHOUT_BLOB).bind(prefixes).fetch_all(session.connection()).await?;
    Ok(rows)
}

/// From the prefix up to what sorts behind all that begin so: a range of the index.
pub(super) const WITHOUT_BLOB: &str = "
    SELECT q.prefix FROM unnest($1::text[]) AS q (prefix)
    LEFT JOIN LATERAL (
        (
            SELECT true AS known FROM blobs
            WHERE location >= q.prefix AND location < q.prefix || chr(1114111) AND location <> ''
            LIMIT 1
        )
        UNION ALL
        (
            SELECT true AS known FROM garbage
            WHERE location >= q.prefix AND location < q.prefix || chr(1114111) AND location <> ''
            LIMIT 1
        )
        LIMIT 1
    ) b ON true
    WHERE b.known IS NULL";

/// See [`MetadataStore::finish_upload`](crate::MetadataStore::finish_upload).
pub(super) struct Finish(pub(super) FinishedUpload);

#[async_trait]
impl Operation for Finish {
    type Output = RecordedUpload;

    async fn apply(&self, context: &mut Context<'_>) -> Result<RecordedUpload, Fault> {
        let Self(FinishedUpload { id, repository, blob, lease, grace, seen, events }) = self;
        if let Some(id) = id {
            let ended = context
                .session
                .query("DELETE FROM uploads WHERE id = $1 AND repository = $2")
                .bind(id.as_bytes().as_slice())
                .bind(repository.as_str())
                .execute(context.session.connection())
                .await?;
            if ended.rows_affected() == 0 {
                return Ok(RecordedUpload::SessionGone);
            }
        }
        let (blob_id, is_moved) = store(context.session, blob, *grace).await?;
        // Where each upload has a place of its own, nobody can have removed the bytes.
        if blob.location.0.is_empty() {
            take_place(context.session, blob, *seen).await?;
        }
        let is_new = link(context, repository, blob_id, *lease).await?;
        if is_new || is_moved {
            record_link(context, repository, &blob.digest).await?;
        }
        context.events.extend_from_slice(events);
        Ok(RecordedUpload::Linked)
    }
}

/// Takes the bytes out of the garbage, if they are there. The blob's row is locked by now, so that
/// nobody can make garbage of it.
async fn take_place(
    session: &mut Session,
    blob: &BlobRecord,
    seen: Option<u64>,
) -> Result<(), Fault> {
    let found = collection::at_place(session, &blob.digest, &blob.location).await?;
    match lifecycle::place(found.map(|(_, garbage)| garbage), seen) {
        Place::Free => Ok(()),
        Place::Revived => match found {
            Some((id, _)) => collection::revive(session, id).await,
            None => Ok(()),
        },
        Place::Unsure => Err(Fault::PlaceUnsure),
    }
}

/// Records the blob, with the size and location that are the last to be known, and locks its row.
/// Bytes that it had in a place of their own until now are garbage. Answers its id, and whether it was known
/// otherwise.
async fn store(
    session: &mut Session,
    blob: &BlobRecord,
    grace: Duration,
) -> Result<(i64, bool), Fault> {
    let digest = digest_bytes(&blob.digest);
    loop {
        let stored: Option<i64> = session
            .query_scalar(STORE)
            .bind(digest.as_slice())
            .bind(integer(blob.size)?)
            .bind(blob.location.0.as_str())
            .fetch_optional(session.connection())
            .await?;
        if let Some(id) = stored {
            return Ok((id, false));
        }
        let known: Option<(i64, i64, String)> = session
            .query_as("SELECT id, size, location FROM blobs WHERE digest = $1 FOR UPDATE")
            .bind(digest.as_slice())
            .fetch_optional(session.connection())
            .await?;
        // Otherwise it has become garbage since.
        if let Some((id, bytes, location)) = known {
            let is_elsewhere = bytes != integer(blob.size)? || location != blob.location.0;
            if is_elsewhere {
                correct(session, id, blob, grace).await?;
            }
            return Ok((id, is_elsewhere));
        }
    }
}

const STORE: &str = concat!(
    "INSERT INTO blobs (digest, size, location, created_at) VALUES ($1, $2, $3, ",
    now!(),
    ") ON CONFLICT (digest) DO NOTHING RETURNING id"
);

async fn correct(
    session: &mut Session,
    id: i64,
    blob: &BlobRecord,
    grace: Duration,
) -> Result<(), Fault> {
    session
        .query(DISCARD_OLD_PLACE)
        .bind(id)
        .bind(blob.location.0.as_str())
        .bind(duration(grace))
        .execute(session.connection())
        .await?;
    session
        .query("UPDATE blobs SET size = $2, location = $3 WHERE id = $1")
        .bind(id)
        .bind(integer(blob.size)?)
        .bind(blob.location.0.as_str())
        .execute(session.connection())
        .await?;
    Ok(())
}

const DISCARD_OLD_PLACE: &str = concat!(
    "INSERT INTO garbage (digest, size, location, remove_at)
    SELECT digest, size, location, ",
    now!(),
    " + $3 FROM blobs WHERE id = $1 AND location <> '' AND location <> $2"
);

/// Links a known blob into the repository, or renews the lease of the link. Answers whether it is new.
async fn link(
    context: &mut Context<'_>,
    repository: &RepositoryName,
    blob_id: i64,
    lease: Duration,
) -> Result<bool, Fault> {
    let repository_id = repositories::make(context.session, repository.as_str()).await?;
    let is_new = context
        .session
        .query_scalar(LINK)
        .bind(repository_id)
        .bind(blob_id)
        .bind(duration(lease))
        .fetch_one(context.session.connection())
        .await?;
    Ok(is_new)
}

async fn record_link(
    context: &mut Context<'_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<(), Fault> {
    outbox::record(context, "link_blob", repository, Some(digest), None).await
}

/// Answers whether the link is new: only a row that was there before has been locked.
const LINK: &str = concat!(
    "INSERT INTO repository_blobs AS l (
        repository_id, blob_id, linked_at, leased_until, review_at
    ) SELECT $1, $2, t.now, t.now + $3, t.now + $3 FROM (SELECT ",
    now!(),
    " AS now) t
    ON CONFLICT (repository_id, blob_id)
    DO UPDATE SET leased_until = greatest(l.leased_until, excluded.leased_until),
        review_at = greatest(l.review_at, excluded.review_at)
    RETURNING xmax = 0"
);

/// See [`MetadataStore::mount_blob`](crate::MetadataStore::mount_blob).
pub(super) struct Mount {
    pub(super) target: RepositoryName,
    /// `None` for any.
    pub(super) source: Option<RepositoryName>,
    pub(super) digest: Digest,
    pub(super) lease: Duration,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for Mount {
    type Output = Option<BlobRecord>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Option<BlobRecord>, Fault> {
        let source = match &self.source {
            Some(source) => match repositories::find(context.session, source.as_str()).await? {
                Some(id) => Some(id),
                None => return Ok(None),
            },
            None => None,
        };
        let found: Option<(i64, i64, String)> = context
            .session
            .query_as(FIND_TO_MOUNT)
            .bind(digest_bytes(&self.digest))
            .bind(source)
            .fetch_optional(context.session.connection())
            .await?;
        let Some((blob_id, bytes, location)) = found else { return Ok(None) };
        if link(context, &self.target, blob_id, self.lease).await? {
            record_link(context, &self.target, &self.digest).await?;
        }
        let (location, size) = (BlobLocation(location), size(bytes)?);
        context.events.extend(self.events.iter().map(|event| event.of_size(size)));
        Ok(Some(BlobRecord { digest: self.digest, size, location }))
    }
}

/// The link stays until the new one stands.
pub(super) const FIND_TO_MOUNT: &str = "
    SELECT b.id, b.size, b.location
    FROM blobs b
    JOIN repository_blobs l ON l.blob_id = b.id
    WHERE b.digest = $1 AND ($2::bigint IS NULL OR l.repository_id = $2)
    LIMIT 1
    FOR KEY SHARE OF l";

/// See [`MetadataStore::unlink_blob`](crate::MetadataStore::unlink_blob).
pub(super) struct Unlink {
    pub(super) repository: RepositoryName,
    pub(super) digest: Digest,
    pub(super) grace: Duration,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for Unlink {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let unlinked: Option<i64> = context
            .session
            .query_scalar(UNLINK)
            .bind(self.repository.as_str())
            .bind(digest_bytes(&self.digest))
            .fetch_optional(context.session.connection())
            .await?;
        let Some(blob) = unlinked else { return Ok(false) };
        let digest = Some(&self.digest);
        outbox::record(context, "unlink_blob", &self.repository, digest, None).await?;
        links::release(context.session, vec![blob], self.grace).await?;
        context.events.extend_from_slice(&self.events);
        Ok(true)
    }
}

pub(super) const UNLINK: &str = "
    DELETE FROM repository_blobs
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
        AND blob_id = (SELECT id FROM blobs WHERE digest = $2)
    RETURNING blob_id";
