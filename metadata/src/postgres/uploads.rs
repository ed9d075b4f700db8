use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{RepositoryName, UploadId};

use super::engine::{Context, Operation};
use super::now;
use super::session::Session;
use crate::encoding::{algorithm_code, duration, integer, micros};
use crate::fault::Fault;
use crate::rows::{UploadRow, upload};
use crate::{HeldUpload, NewUpload, Upload, UploadProgress};

/// What [`upload`] reads.
macro_rules! columns {
    () => {
        " id, repository, algorithm, received, hash_state, handle, started_at, updated_at "
    };
}

pub(super) async fn find(
    session: &mut Session,
    repository: &RepositoryName,
    id: UploadId,
) -> Result<Option<Upload>, Fault> {
    let row = session
        .query_as(FIND)
        .bind(id.as_bytes().as_slice())
        .bind(repository.as_str())
        .fetch_optional(session.connection())
        .await?;
    row.map(upload).transpose()
}

pub(super) const FIND: &str =
    concat!("SELECT", columns!(), "FROM uploads WHERE id = $1 AND repository = $2");

pub(super) async fn exists(session: &mut Session, id: UploadId) -> Result<bool, Fault> {
    let exists = session
        .query_scalar("SELECT EXISTS (SELECT 1 FROM uploads WHERE id = $1)")
        .bind(id.as_bytes().as_slice())
        .fetch_one(session.connection())
        .await?;
    Ok(exists)
}

pub(super) async fn stale(
    session: &mut Session,
    before: SystemTime,
    limit: u32,
) -> Result<Vec<Upload>, Fault> {
    let rows: Vec<UploadRow> = session
        .query_as(STALE)
        .bind(micros(before))
        .bind(i64::from(limit))
        .fetch_all(session.connection())
        .await?;
    rows.into_iter().map(upload).collect()
}

/// Those that nobody holds and that have not moved since `$1`.
macro_rules! stale {
    () => {
        concat!(
            "FROM uploads WHERE updated_at < $1 AND held_until < ",
            now!(),
            "
        ORDER BY updated_at, id LIMIT $2"
        )
    };
}

pub(super) const STALE: &str = concat!("SELECT", columns!(), stale!());

/// See [`MetadataStore::take_stale_uploads`](crate::MetadataStore::take_stale_uploads).
pub(super) struct TakeStale {
    pub(super) before: SystemTime,
    pub(super) limit: u32,
}

#[async_trait]
impl Operation for TakeStale {
    type Output = Vec<Upload>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Vec<Upload>, Fault> {
        let rows: Vec<UploadRow> = context
            .session
            .query_as(TAKE_STALE)
            .bind(micros(self.before))
            .bind(i64::from(self.limit))
            .fetch_all(context.session.connection())
            .await?;
        let mut taken = rows.into_iter().map(upload).collect::<Result<Vec<_>, _>>()?;
        taken.sort_by_key(|upload| (upload.updated_at, upload.id));
        Ok(taken)
    }
}

/// A queue: what another process is taking at the moment is passed over.
pub(super) const TAKE_STALE: &str = concat!(
    "DELETE FROM uploads WHERE id = ANY (ARRAY(SELECT id ",
    stale!(),
    " FOR UPDATE SKIP LOCKED)) RETURNING",
    columns!()
);

/// See [`MetadataStore::create_upload`](crate::MetadataStore::create_upload).
pub(super) struct Create(pub(super) NewUpload);

#[async_trait]
impl Operation for Create {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let Self(upload) = self;
        context
            .session
            .query(CREATE)
            .bind(upload.id.as_bytes().as_slice())
            .bind(upload.repository.as_str())
            .bind(i64::from(algorithm_code(upload.algorithm)))
            .bind(upload.hash_state.as_slice())
            .bind(upload.handle.as_str())
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

const CREATE: &str = concat!(
    "INSERT INTO uploads (
        id, repository, algorithm, received, hash_state, handle, started_at, updated_at
    ) SELECT $1, $2, $3, 0, $4, $5, t.now, t.now FROM (SELECT ",
    now!(),
    " AS now) t"
);

/// See [`MetadataStore::advance_upload`](crate::MetadataStore::advance_upload).
pub(super) struct Advance(pub(super) UploadProgress);

#[async_trait]
impl Operation for Advance {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let Self(progress) = self;
        let moved = context
            .session
            .query(ADVANCE)
            .bind(progress.id.as_bytes().as_slice())
            .bind(integer(progress.from_offset)?)
            .bind(integer(progress.offset)?)
            .bind(progress.hash_state.as_slice())
            .bind(progress.handle.as_str())
            .bind(context.process.as_bytes().as_slice())
            .execute(context.session.connection())
            .await?;
        Ok(moved.rows_affected() > 0)
    }
}

/// Whoever has lost the session to another process has no say in it.
const ADVANCE: &str = concat!(
    "UPDATE uploads
    SET received = $3, hash_state = $4, handle = $5, holder = NULL, held_until = 0, updated_at = ",
    now!(),
    " WHERE id = $1 AND received = $2 AND (holder IS NULL OR holder = $6)"
);

/// See [`MetadataStore::hold_upload`](crate::MetadataStore::hold_upload).
pub(super) struct HoldUpload {
    pub(super) repository: RepositoryName,
    pub(super) id: UploadId,
    pub(super) lease: Duration,
}

#[async_trait]
impl Operation for HoldUpload {
    type Output = HeldUpload;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<HeldUpload, Fault> {
        let held = context
            .session
            .query_as(HOLD)
            .bind(self.id.as_bytes().as_slice())
            .bind(self.repository.as_str())
            .bind(context.process.as_bytes().as_slice())
            .bind(duration(self.lease))
            .fetch_optional(context.session.connection())
            .await?;
        if let Some(row) = held {
            return Ok(HeldUpload::Held(upload(row)?));
        }
        let session = find(context.session, &self.repository, self.id).await?;
        Ok(session.map_or(HeldUpload::Unknown, |_| HeldUpload::Busy))
    }
}

const HOLD: &str = concat!(
    "UPDATE uploads SET holder = $3, held_until = ",
    now!(),
    " + $4 WHERE id = $1 AND repository = $2
    AND (holder IS NULL OR holder = $3 OR held_until < ",
    now!(),
    ") RETURNING",
    columns!()
);

/// See [`MetadataStore::renew_upload`](crate::MetadataStore::renew_upload).
pub(super) struct Renew {
    pub(super) id: UploadId,
    pub(super) lease: Duration,
}

#[async_trait]
impl Operation for Renew {
    type Output = bool;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let renewed = context
            .session
            .query(RENEW)
            .bind(self.id.as_bytes().as_slice())
            .bind(context.process.as_bytes().as_slice())
            .bind(duration(self.lease))
            .execute(context.session.connection())
            .await?;
        Ok(renewed.rows_affected() > 0)
    }
}

const RENEW: &str =
    concat!("UPDATE uploads SET held_until = ", now!(), " + $3 WHERE id = $1 AND holder = $2");

/// See [`MetadataStore::release_upload`](crate::MetadataStore::release_upload).
pub(super) struct Release(pub(super) UploadId);

#[async_trait]
impl Operation for Release {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        context
            .session
            .query(RELEASE)
            .bind(self.0.as_bytes().as_slice())
            .bind(context.process.as_bytes().as_slice())
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

const RELEASE: &str =
    "UPDATE uploads SET holder = NULL, held_until = 0 WHERE id = $1 AND holder = $2";

/// See [`MetadataStore::delete_upload`](crate::MetadataStore::delete_upload).
pub(super) struct Delete {
    pub(super) repository: RepositoryName,
    pub(super) id: UploadId,
}

#[async_trait]
impl Operation for Delete {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let deleted = context
            .session
            .query("DELETE FROM uploads WHERE id = $1 AND repository = $2")
            .bind(self.id.as_bytes().as_slice())
            .bind(self.repository.as_str())
            .execute(context.session.connection())
            .await?;
        Ok(deleted.rows_affected() > 0)
    }
}
