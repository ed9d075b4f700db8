//! Copies a database into another one, of this engine or the other.
//!
//! A pass makes the target what the source is, whatever it was before: it walks both in the order
//! of their keys and writes only what differs. So the first pass may run while the source is in
//! use, the last one, when it is not, has little left to do, and a pass that was interrupted is
//! simply made again.
//!
//! A database that is being filled, and one that has moved away, say so in their settings and are
//! not served.

mod pass;
mod postgres;
mod side;
mod sqlite;
mod summary;
mod tables;

use std::path::PathBuf;

pub use pass::Changes;
use side::Side;
pub use summary::Summary;

use crate::{MetadataError, PostgresOptions};

/// One end of a [`Transfer`].
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// The embedded database in this file.
    Sqlite(PathBuf),
    /// A database in PostgreSQL.
    Postgres(PostgresOptions),
}

/// The copying of a database into another one.
pub struct Transfer {
    source: Box<dyn Side>,
    target: Box<dyn Side>,
}

/// What the settings of a target say while it is not whole.
const INCOMING: &str = "another database is being copied into it; let `berth metadata migrate` end";

impl Transfer {
    /// Opens both ends. The source stays as it is, of an older schema if it is of one. The target is made or
    /// brought to the present schema, and from now on it is not served until [`finish`](Self::finish).
    ///
    /// # Errors
    /// What opening a store tells, and [`MetadataError::NotEmpty`] for a target that holds data of
    /// its own.
    pub async fn open(source: Endpoint, target: Endpoint) -> Result<Self, MetadataError> {
        let source = open(source, true).await?;
        let mut target = open(target, false).await?;
        let closed = target.setting("closed").await?;
        if closed.is_none() && !target.is_empty().await? {
            return Err(MetadataError::NotEmpty { database: target.name() });
        }
        target.set("closed", Some(INCOMING)).await?;
        Ok(Self { source, target })
    }

    /// What messages call the two databases.
    pub fn names(&self) -> (String, String) {
        (self.source.name(), self.target.name())
    }

    /// Makes the target what the source is at this moment. The source may be in use.
    ///
    /// # Errors
    /// Those of the databases. What was done by then is no loss: make another pass.
    pub async fn pass(&mut self) -> Result<Changes, MetadataError> {
        pass::pass(&mut *self.source, &mut *self.target).await
    }

    /// Takes the source out of use, until this value ends.
    ///
    /// # Errors
    /// [`MetadataError::InUse`] while a registry works with it.
    pub async fn take_source(&mut self) -> Result<(), MetadataError> {
        self.source.take().await
    }

    /// Reads both databases whole and compares them, the bytes of every manifest with its digest.
    ///
    /// # Errors
    /// [`MetadataError::Differs`], with the first table that is not the same.
    pub async fn verify(&mut self) -> Result<Summary, MetadataError> {
        summary::verify(&mut *self.source, &mut *self.target).await
    }

    /// Ends the copying with two databases: both are served.
    pub(crate) async fn finish_copy(&mut self) -> Result<(), MetadataError> {
        if let Some(storage) = self.source.setting("storage").await? {
            self.target.set("storage", Some(&storage)).await?;
        }
        self.target.set("closed", None).await
    }

    /// Hands over: the target is served from now on, and the source no longer.
    ///
    /// # Errors
    /// Those of the databases. It can be called again.
    pub async fn finish(&mut self) -> Result<(), MetadataError> {
        if let Some(storage) = self.source.setting("storage").await? {
            self.target.set("storage", Some(&storage)).await?;
        }
        let moved =
            format!("it has moved to {}: name that one in the configuration", self.target.name());
        self.source.set("closed", Some(&moved)).await?;
        self.target.set("closed", None).await
    }
}

async fn open(endpoint: Endpoint, is_source: bool) -> Result<Box<dyn Side>, MetadataError> {
    Ok(match endpoint {
        Endpoint::Sqlite(path) => Box::new(sqlite::SqliteSide::open(path, is_source).await?),
        Endpoint::Postgres(options) => {
            Box::new(postgres::PostgresSide::open(&options, is_source).await?)
        }
    })
}
