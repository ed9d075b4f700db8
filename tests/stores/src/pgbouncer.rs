//! PgBouncer in transaction mode, as Debian has it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use crate::program::{Program, loopback, on_free_port};
use crate::{Postgres, account, folder};

/// Where Debian puts it, which is not on everybody's path.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A pooler before a [`Postgres`] that gives each transaction whichever of its connections is free.
///
/// Statements that outlive a transaction (prepared ones, `SET`, advisory locks of a session, `LISTEN`) therefore go
/// wrong behind it. It has far fewer connections to the server than clients may have to it.
#[derive(Debug)]
pub struct PgBouncer {
    _program: Program,
    _folder: TempDir,
    port: u16,
    user: String,
}

impl PgBouncer {
    /// Starts a pooler before a server, which may be stopped and started again meanwhile.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub fn start(server: &Postgres) -> Result<Self> {
        on_free_port(|port| Self::start_on(port, server))
    }

    fn start_on(port: u16, server: &Postgres) -> Result<Self> {
        let folder = folder::temporary()?;
        let users = folder.path().join("users");
        let (user, password) = (server.user(), server.password());
        fs::write(&users, format!("\"{user}\" \"{password}\"\n"))?;
        let configuration = folder.path().join("pgbouncer.ini");
        fs::write(&configuration, configure(port, server.port(), &users))?;
        account::own(folder.path())?;
        let log = folder.path().join("log");
        let mut program = Program::start_unprivileged(PROGRAM, log, |command| {
            command.arg(&configuration).current_dir(folder.path());
        })?;
        program.wait_until(|| crate::http::connect(loopback(port)).is_ok())?;
        let user = format!("{user}:{password}");
        Ok(Self { _program: program, _folder: folder, port, user })
    }

    /// The URL through the pooler of a database, whose name is the last part of its URL on the server.
    pub fn url(&self, database: &str) -> String {
        let name = database.rsplit('/').next().unwrap_or(database);
        format!("postgres://{}@127.0.0.1:{}/{name}", self.user, self.port)
    }
}

/// Drivers of PostgreSQL ask for `extra_float_digits` when they connect, which a pooler cannot keep.
fn configure(port: u16, server: u16, users: &Path) -> String {
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={server}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {}\n\
         pool_mode = transaction\n\
         max_client_conn = 500\n\
         default_pool_size = 10\n\
         ignore_startup_parameters = extra_float_digits\n",
        users.display()
    )
}
