//! The `metadata` section.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, GoDuration, Secret};

/// The database of names: repositories, tags, manifests, links and upload sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metadata {
    /// The database in PostgreSQL, for one or many replicas: `postgres://user:password@host:5432/database?sslmode=verify-full`.
    /// Several hosts with commas between are tried in turn until one takes writes. What is left out comes from the
    /// `PG*` variables and the password file. It may hold a password and is not shown. Without it the database is
    /// the embedded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the embedded database"))]
    pub url: Option<Secret>,
    /// The database in PostgreSQL.
    pub postgres: Postgres,
    /// The embedded database.
    pub sqlite: Sqlite,
}

/// The database in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    /// The password, where the URL has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`PGPASSWORD`, or the password file"))]
    pub password: Option<Secret>,
    /// The most connections that this replica opens, at least 2.
    pub connections: u32,
    /// Whether a connection is this replica's while it is open, or for one transaction at a time, as behind PgBouncer
    /// with `pool_mode = transaction`.
    pub pooling: Pooling,
    /// URLs of servers that follow the first one. Listings are taken from one that has everything that was committed
    /// when they were asked for, so that whoever has just written finds it.
    pub standbys: Vec<Secret>,
    /// How long a listing waits for a standby to catch up, before the first server is asked.
    pub standbywait: GoDuration,
    /// The most time that one read or change may take. Then the client is told to try again.
    pub timeout: GoDuration,
    /// Memory for manifests that were read lately. What a name stands for is asked of the database every time, so no
    /// answer is ever stale. `0` turns it off.
    pub cachesize: ByteSize,
}

/// Whose a connection to PostgreSQL is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Ours while it is open.
    #[default]
    Session,
    /// Ours for one transaction at a time. Statements are then not prepared beforehand.
    Transaction,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            password: None,
            connections: 16,
            pooling: Pooling::Session,
            standbys: Vec::new(),
            standbywait: GoDuration::from_millis(20),
            timeout: GoDuration::from_secs(10),
            cachesize: ByteSize::from_mib(64),
        }
    }
}

/// The embedded database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sqlite {
    /// The file. Keep it on a local disk: SQLite's locks are not safe on network file systems.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path", "x-berth-default" = "`berth.db` in the root directory, or where it would be when blobs are in a remote store; in memory when blobs are"))]
    pub path: Option<PathBuf>,
    /// Connections for reading.
    pub readers: u32,
    /// Memory for manifests that were read lately. They never change, so the cache is never stale. `0` turns it off.
    pub cachesize: ByteSize,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self { path: None, readers: 4, cachesize: ByteSize::from_mib(64) }
    }
}
