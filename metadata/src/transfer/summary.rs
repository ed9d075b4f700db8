use berth_oci::{Digest, Hasher};

use super::pass::Walk;
use super::side::Side;
use super::tables::{Row, TABLES, Table, Value};
use crate::MetadataError;
use crate::encoding;

/// What two databases that are the same hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The tables and how many rows each has.
    pub rows: Vec<(&'static str, u64)>,
}

/// Compares the two databases row by row, and the bytes of every manifest in the target with the
/// manifest's digest.
pub(super) async fn verify(
    source: &mut dyn Side,
    target: &mut dyn Side,
) -> Result<Summary, MetadataError> {
    let mut summary = Summary::default();
    for table in TABLES {
        let rows = match source.has(table) {
            true => compare(table, source, target).await?,
            // A version before; see `pass`.
            false => 0,
        };
        summary.rows.push((table.name, rows));
    }
    Ok(summary)
}

async fn compare(
    table: &'static Table,
    source: &mut dyn Side,
    target: &mut dyn Side,
) -> Result<u64, MetadataError> {
    let (mut here, mut there) = (Walk::new(table), Walk::new(table));
    let mut count = 0;
    loop {
        let (row, copy) = (here.next(source).await?, there.next(target).await?);
        let differs = |what| Err(MetadataError::Differs { table: table.name, row: count, what });
        let row = match (row, copy) {
            (None, None) => return Ok(count),
            (Some(_), None) => return differs("the copy has no such row"),
            (None, Some(_)) => return differs("the copy has a row more"),
            (Some(row), Some(copy)) if row != copy => return differs("the rows are not the same"),
            (Some(row), Some(_)) => row,
        };
        if table.payload.is_some() && !payload_is_whole(table, &row, target).await? {
            return differs("the bytes are not those of the digest");
        }
        count += 1;
    }
}

async fn payload_is_whole(
    table: &'static Table,
    row: &Row,
    target: &mut dyn Side,
) -> Result<bool, MetadataError> {
    let payload = target.payload(table, table.key_of(row)).await?.unwrap_or_default();
    let Some(digest) = digest_of(table, row) else { return Ok(false) };
    Ok(Hasher::digest(digest.algorithm(), &payload) == digest)
}

fn digest_of(table: &Table, row: &Row) -> Option<Digest> {
    let place = table.columns.iter().position(|(name, _)| *name == "digest")?;
    let Value::Bytes(bytes) = row.get(place)? else { return None };
    encoding::digest(bytes).ok()
}
