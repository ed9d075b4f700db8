use std::time::Duration;

use crate::Follower;

/// How to open a [`PostgresStore`](crate::PostgresStore).
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=…`. Several hosts, with commas between,
    /// are tried in turn until one takes writes. What is left out comes from the `PG*` variables
    /// and the password file, as in libpq.
    pub url: String,
    /// The password, if it is not in the URL.
    pub password: Option<String>,
    /// The most connections at the same time, at least 2.
    pub connections: u32,
    /// What stands between us and the server.
    pub pooling: Pooling,
    /// Servers that follow the first one and are asked for listings, each a URL.
    pub standbys: Vec<String>,
    /// How long a listing waits for a standby to have all that was committed when it was asked for.
    pub standby_wait: Duration,
    /// The most time that one read or change may take, waiting for a connection included.
    pub timeout: Duration,
    /// The most memory for manifests that were read before, in bytes. What a name stands for is
    /// asked of the server every time; only the bytes, which never change, are kept.
    pub cache_bytes: u64,
    /// What beside the database is told of changes (see
    /// [`MetadataStore::outbox`](crate::MetadataStore::outbox)).
    pub follower: Follower,
}

/// Who hands out the server's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// A connection is ours for as long as it is open: the server itself, or a pooler by session.
    #[default]
    Session,
    /// A connection is ours for one transaction: a pooler by transaction. No statement is prepared
    /// beforehand, and every read is a transaction.
    Transaction,
}

impl PostgresOptions {
    /// The defaults: 16 connections by session, 10 s, 64 MiB, no standbys, no record of changes.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            connections: 16,
            pooling: Pooling::Session,
            standbys: Vec::new(),
            standby_wait: Duration::from_millis(20),
            timeout: Duration::from_secs(10),
            cache_bytes: 64 * 1024 * 1024,
            follower: Follower::None,
        }
    }
}
