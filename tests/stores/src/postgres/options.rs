//! What may be unusual about a server.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::Postgres;
use super::cluster::Cluster;
use crate::Certificate;

/// How to start a server.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    pub(super) parent: PathBuf,
    pub(super) fsync: bool,
    pub(super) tls: bool,
    pub(super) settings: Vec<(String, String)>,
    pub(super) certificate: Option<Arc<Certificate>>,
}

impl PostgresOptions {
    pub(super) fn new() -> Self {
        Self {
            parent: env::temp_dir(),
            fsync: true,
            tls: false,
            settings: Vec::new(),
            certificate: None,
        }
    }

    /// Keeps the data in a temporary folder inside `parent`, for those who choose the disk.
    #[must_use]
    pub fn folder(mut self, parent: &Path) -> Self {
        parent.clone_into(&mut self.parent);
        self
    }

    /// Whether commits wait for the disk, which they do unless told otherwise. Without, it is faster, and a
    /// [kill](Postgres::kill) still loses nothing: the kernel has the bytes.
    #[must_use]
    pub fn fsync(mut self, fsync: bool) -> Self {
        self.fsync = fsync;
        self
    }

    /// Takes only connections with TLS, with a certificate of its own.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// One more of PostgreSQL's own settings.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// PostgreSQL is not installed, or does not start.
    pub fn start(mut self) -> Result<Postgres> {
        if self.tls {
            self.certificate = Some(Arc::new(Certificate::new()?));
        }
        Postgres::with(Cluster::create(&self)?)
    }
}
