use async_trait::async_trait;
use berth_oci::{Digest, LinkChange, RepositoryName, Tag};
use bytes::Bytes;

use super::engine::{Context, Operation};
use super::session::Session;
use crate::encoding::digest_bytes;
use crate::fault::Fault;
use crate::rows::{self, OutboxRow, Recorded, outbox_sql::LIST};
use crate::{OutboxEntry, OutboxId};

/// A list ends early once it carries this many bytes of manifests.
const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

/// Records a change, if changes are recorded. The row of what is changed has to be locked by then:
/// so the entries of one name stand in the order of their commits.
pub(super) async fn record(
    context: &mut Context<'_>,
    kind: &'static str,
    repository: &RepositoryName,
    digest: Option<&Digest>,
    tag: Option<&Tag>,
) -> Result<(), Fault> {
    if !context.record_links {
        return Ok(());
    }
    context
        .session
        .query("INSERT INTO outbox (kind, repository, digest, tag) VALUES ($1, $2, $3, $4)")
        .bind(kind)
        .bind(repository.as_str())
        .bind(digest.map(digest_bytes))
        .bind(tag.map(Tag::as_str))
        .execute(context.session.connection())
        .await?;
    Ok(())
}

/// The oldest entries.
///
/// A manifest's bytes are taken from its row. Where that has gone since, the entry is left out: a
/// later one tells of the deletion.
pub(super) async fn list(session: &mut Session, limit: u32) -> Result<Vec<OutboxEntry>, Fault> {
    let rows: Vec<OutboxRow> =
        session.query_as(LIST).bind(i64::from(limit)).fetch_all(session.connection()).await?;
    let mut entries = Vec::with_capacity(rows.len());
    let mut carried = 0;
    for row in rows {
        if carried >= MAX_PAYLOAD {
            break;
        }
        let (id, standing) = (OutboxId(row.0), rows::standing(&row)?);
        if let Some(change) = change(session, row).await? {
            if let LinkChange::PutManifest { payload, .. } = &change {
                carried += payload.len();
            }
            entries.push(OutboxEntry { id, change, standing });
        }
    }
    Ok(entries)
}

async fn change(session: &mut Session, row: OutboxRow) -> Result<Option<LinkChange>, Fault> {
    let recorded = Recorded::of(row)?;
    let payload = match recorded.manifest() {
        Some((repository, digest)) => payload(session, repository, digest).await?,
        None => None,
    };
    recorded.change(payload)
}

async fn payload(
    session: &mut Session,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Bytes>, Fault> {
    let payload: Option<Vec<u8>> = session
        .query_scalar(
            "SELECT m.payload
            FROM repositories r
            JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
            WHERE r.name = $1",
        )
        .bind(repository.as_str())
        .bind(digest_bytes(digest))
        .fetch_optional(session.connection())
        .await?;
    Ok(payload.map(Bytes::from))
}

pub(super) async fn is_empty(session: &mut Session) -> Result<bool, Fault> {
    let is_empty = session
        .query_scalar("SELECT NOT EXISTS (SELECT 1 FROM outbox)")
        .fetch_one(session.connection())
        .await?;
    Ok(is_empty)
}

/// See [`MetadataStore::outbox_done`](crate::MetadataStore::outbox_done).
pub(super) struct Done(pub(super) Vec<i64>);

#[async_trait]
impl Operation for Done {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let through = self.0.iter().max().copied().unwrap_or_default();
        context
            .session
            .query(DONE)
            .bind(self.0.as_slice())
            .bind(through)
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

/// What a list held, and what it left out for good. An entry with a lesser id may still come: its
/// transaction took the number and has not ended.
const DONE: &str = "
    DELETE FROM outbox o
    WHERE o.id = ANY($1) OR (
        o.id < $2 AND o.kind = 'put_manifest' AND NOT EXISTS (
            SELECT 1 FROM repositories r
            JOIN manifests m ON m.repository_id = r.id AND m.digest = o.digest
            WHERE r.name = o.repository
        )
    )";
