use std::cmp::Ordering;
use std::collections::VecDeque;

use super::side::Side;
use super::tables::{Row, TABLES, Table, Value};
use crate::MetadataError;

/// How many rows are read at a time.
const PAGE: usize = 2000;

/// Rows are written once there are so many of them, or so many bytes.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What a pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows that were written.
    pub written: u64,
    /// Rows that were deleted.
    pub deleted: u64,
}

/// Makes the target what the source is at this moment.
pub(super) async fn pass(
    source: &mut dyn Side,
    target: &mut dyn Side,
) -> Result<Changes, MetadataError> {
    source.hold_still().await?;
    let changes = pass_over_tables(source, target).await;
    source.let_go().await?;
    changes
}

async fn pass_over_tables(
    source: &mut dyn Side,
    target: &mut dyn Side,
) -> Result<Changes, MetadataError> {
    let mut changes = Changes::default();
    // What a source of a version before knows nothing of stays as the target was made with.
    let tables: Vec<_> = TABLES.iter().filter(|table| source.has(table)).collect();
    // What refers goes before what it refers to, and comes after it.
    for table in tables.iter().rev() {
        changes.deleted += delete_strangers(table, source, target).await?;
    }
    for table in tables {
        changes.written += write_missing(table, source, target).await?;
    }
    target.settle().await?;
    Ok(changes)
}

/// Deletes the rows that the source does not have, or has for something else.
async fn delete_strangers(
    table: &'static Table,
    source: &mut dyn Side,
    target: &mut dyn Side,
) -> Result<u64, MetadataError> {
    let (mut here, mut there) = (Walk::new(table), Walk::new(table));
    let mut strangers = Vec::new();
    let mut deleted = 0;
    while let Some(row) = there.next(target).await? {
        let known = here.find(source, table.key_of(&row)).await?;
        if known.is_none_or(|known| !table.same_subject(&known, &row)) {
            strangers.push(row);
        }
        if strangers.len() >= BATCH_ROWS {
            deleted += strangers.len() as u64;
            target.delete(table, std::mem::take(&mut strangers)).await?;
        }
    }
    deleted += strangers.len() as u64;
    target.delete(table, strangers).await?;
    Ok(deleted)
}

/// Writes the rows that the target does not have, or has otherwise.
async fn write_missing(
    table: &'static Table,
    source: &mut dyn Side,
    target: &mut dyn Side,
) -> Result<u64, MetadataError> {
    let (mut here, mut there) = (Walk::new(table), Walk::new(table));
    let mut missing = Vec::new();
    let mut bytes = 0;
    let mut written = 0;
    while let Some(mut row) = here.next(source).await? {
        if there.find(target, table.key_of(&row)).await?.is_some_and(|known| known == row) {
            continue;
        }
        if table.payload.is_some() {
            let payload = source.payload(table, table.key_of(&row)).await?;
            let payload = payload.ok_or(MetadataError::Malformed { what: "manifest" })?;
            bytes += payload.len();
            row.push(Value::Bytes(payload));
        }
        missing.push(row);
        if missing.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            written += missing.len() as u64;
            bytes = 0;
            target.write(table, std::mem::take(&mut missing)).await?;
        }
    }
    written += missing.len() as u64;
    target.write(table, missing).await?;
    Ok(written)
}

/// A walk through the rows of a table in the order of their keys.
pub(super) struct Walk {
    table: &'static Table,
    rows: VecDeque<Row>,
    /// The key of the last row that was read.
    last: Option<Vec<Value>>,
    at_end: bool,
}

impl Walk {
    pub(super) fn new(table: &'static Table) -> Self {
        Self { table, rows: VecDeque::new(), last: None, at_end: false }
    }

    /// The next row.
    pub(super) async fn next(&mut self, side: &mut dyn Side) -> Result<Option<Row>, MetadataError> {
        self.fill(side).await?;
        Ok(self.rows.pop_front())
    }

    /// The row with this key, which no key before it was greater than.
    async fn find(
        &mut self,
        side: &mut dyn Side,
        key: &[Value],
    ) -> Result<Option<Row>, MetadataError> {
        loop {
            self.fill(side).await?;
            let Some(row) = self.rows.front() else { return Ok(None) };
            match self.table.key_of(row).cmp(key) {
                Ordering::Less => drop(self.rows.pop_front()),
                Ordering::Equal => return Ok(self.rows.pop_front()),
                Ordering::Greater => return Ok(None),
            }
        }
    }

    async fn fill(&mut self, side: &mut dyn Side) -> Result<(), MetadataError> {
        if !self.rows.is_empty() || self.at_end {
            return Ok(());
        }
        let rows = side.rows(self.table, self.last.as_deref(), PAGE).await?;
        self.at_end = rows.len() < PAGE;
        if let Some(row) = rows.last() {
            self.last = Some(self.table.key_of(row).to_vec());
        }
        self.rows = rows.into();
        Ok(())
    }
}
