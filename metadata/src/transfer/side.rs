use async_trait::async_trait;

use super::tables::{Row, Table, Value};
use crate::MetadataError;

/// One of the two databases, as rows.
#[async_trait]
pub(super) trait Side: Send {
    /// What messages call it.
    fn name(&self) -> String;

    /// Whether its schema has the table: a source may be of a version before.
    fn has(&self, table: &Table) -> bool;

    /// Shows the same moment from now on, whatever is changed meanwhile.
    async fn hold_still(&mut self) -> Result<(), MetadataError>;

    /// Shows the present again.
    async fn let_go(&mut self) -> Result<(), MetadataError>;

    /// Keeps all others from it.
    async fn take(&mut self) -> Result<(), MetadataError>;

    /// Rows without their payload, in the order of their keys: the first ones, or those behind
    /// `behind`.
    async fn rows(
        &mut self,
        table: &'static Table,
        behind: Option<&[Value]>,
        limit: usize,
    ) -> Result<Vec<Row>, MetadataError>;

    /// The payload of the row with this key.
    async fn payload(
        &mut self,
        table: &'static Table,
        key: &[Value],
    ) -> Result<Option<Vec<u8>>, MetadataError>;

    /// Writes rows, with their payloads where the table has any, over those of the same keys.
    async fn write(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), MetadataError>;

    /// Deletes rows, and what refers to them.
    async fn delete(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), MetadataError>;

    /// Does what is due after rows were written with the keys that they had elsewhere.
    async fn settle(&mut self) -> Result<(), MetadataError>;

    /// Whether there is no repository, no session, no account and no grant.
    async fn is_empty(&mut self) -> Result<bool, MetadataError>;

    /// A value of the settings.
    async fn setting(&mut self, name: &'static str) -> Result<Option<String>, MetadataError>;

    /// Sets or removes a value of the settings.
    async fn set(&mut self, name: &'static str, value: Option<&str>) -> Result<(), MetadataError>;
}
