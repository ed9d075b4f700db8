use async_trait::async_trait;
use berth_oci::{Digest, LinkChange, RepositoryName};
use bytes::Bytes;
use sqlx::SqliteConnection;

use super::writer::{Context, Operation};
use crate::encoding;
use crate::fault::Fault;
use crate::rows::{self, OutboxRow, Recorded, outbox_sql::LIST};
use crate::{OutboxEntry, OutboxId};

/// A list ends early once it carries this many bytes of manifests.
const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

/// The oldest entries.
///
/// A manifest's bytes are taken from its row. Where that has gone since, the entry is left out: a
/// later one tells of the deletion.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<OutboxEntry>, Fault> {
    let rows: Vec<OutboxRow> =
        sqlx::query_as(LIST).bind(i64::from(limit)).fetch_all(&mut *connection).await?;
    let mut entries = Vec::with_capacity(rows.len());
    let mut carried = 0;
    for row in rows {
        if carried >= MAX_PAYLOAD {
            break;
        }
        let (id, standing) = (OutboxId(row.0), rows::standing(&row)?);
        if let Some(change) = change(connection, row).await? {
            if let LinkChange::PutManifest { payload, .. } = &change {
                carried += payload.len();
            }
            entries.push(OutboxEntry { id, change, standing });
        }
    }
    Ok(entries)
}

async fn change(
    connection: &mut SqliteConnection,
    row: OutboxRow,
) -> Result<Option<LinkChange>, Fault> {
    let recorded = Recorded::of(row)?;
    let payload = match recorded.manifest() {
        Some((repository, digest)) => payload(connection, repository, digest).await?,
        None => None,
    };
    recorded.change(payload)
}

async fn payload(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Bytes>, Fault> {
    let row: Option<(Vec<u8>,)> = sqlx::query_as(
        "SELECT m.payload
        FROM repositories r
        JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
        WHERE r.name = $1",
    )
    .bind(repository.as_str())
    .bind(encoding::digest_bytes(digest))
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(payload,)| Bytes::from(payload)))
}

pub(super) async fn is_empty(connection: &mut SqliteConnection) -> Result<bool, Fault> {
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT id FROM outbox LIMIT 1").fetch_optional(connection).await?;
    Ok(row.is_none())
}

/// See [`MetadataStore::outbox_done`](crate::MetadataStore::outbox_done). With one writer the ids
/// stand in the order of the commits: what is before the last entry of a list was in that list, or
/// was left out of it for good.
pub(super) struct Done(pub(super) OutboxId);

#[async_trait]
impl Operation for Done {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        sqlx::query(DONE).bind(self.0.0).execute(&mut *context.connection).await?;
        Ok(())
    }
}

pub(super) const DONE: &str = "DELETE FROM outbox WHERE id <= $1";
