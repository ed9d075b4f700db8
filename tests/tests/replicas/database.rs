//! The database servers that tests share.

use std::sync::OnceLock;

use anyhow::Result;
use berth_test_stores::Postgres;

/// A server that nobody stops, for the tests that want a database of their own and no trouble with it.
pub(crate) fn shared() -> Result<&'static Postgres> {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    if let Some(server) = SERVER.get() {
        return Ok(server);
    }
    let server = Postgres::options().fsync(false).start()?;
    Ok(SERVER.get_or_init(|| server))
}

/// The name of a database, from its URL.
pub(crate) fn name(url: &str) -> &str {
    let path = url.rsplit('/').next().unwrap_or(url);
    path.split('?').next().unwrap_or(path)
}
