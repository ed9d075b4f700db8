//! PostgreSQL, as Debian has it.

mod cluster;
mod options;
mod processes;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use self::cluster::Cluster;
pub use self::options::PostgresOptions;
use crate::program::{Program, on_free_port};
use crate::{Certificate, wait};

/// Who creates databases and looks after the server.
const ADMIN: &str = "postgres";
/// Who owns the databases: nobody with special rights.
const USER: &str = "berth";
const PASSWORD: &str = "berth-password";

/// A server with its data in a temporary folder, on a loopback port that it keeps for as long as this lives.
///
/// Text is sorted as in English unless a query says otherwise, as it is on many real servers: an order that must be
/// that of the bytes shows when it is not asked for. Passwords are asked for (SCRAM). Every commit is on the disk
/// before it is acknowledged, unless that is [switched off](PostgresOptions::fsync).
#[derive(Debug)]
pub struct Postgres {
    // The program ends before its folder goes.
    program: Option<Program>,
    cluster: Cluster,
    port: u16,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts a server with nothing in it.
    ///
    /// # Errors
    ///
    /// PostgreSQL is not installed, or does not start.
    pub fn start() -> Result<Self> {
        Self::options().start()
    }

    /// A server that is not as usual.
    pub fn options() -> PostgresOptions {
        PostgresOptions::new()
    }

    fn with(cluster: Cluster) -> Result<Self> {
        let (port, program) = on_free_port(|port| Ok((port, cluster.run(port)?)))?;
        Ok(Self { program: Some(program), cluster, port, databases: AtomicU32::new(0) })
    }

    /// The port, which stays the same.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user of the databases.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The password of that user.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The certificate of a server that speaks TLS only.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.cluster.certificate.as_deref()
    }

    /// The number of the server's process while it runs, for what it takes of the machine.
    pub fn process(&self) -> Option<u32> {
        self.program.as_ref().map(Program::process)
    }

    /// Creates an empty database and gives its URL. The server must run.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub fn database(&self) -> Result<String> {
        self.create_database("")
    }

    /// Creates an empty database whose tables are in `folder`, which must be empty: on a disk of their own, so that it
    /// can be full while the rest of the server has space.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub fn database_in(&self, folder: &Path) -> Result<String> {
        crate::account::own(folder)?;
        let space = format!("space_{}", self.databases.load(Ordering::SeqCst) + 1);
        self.sql(ADMIN, &format!("CREATE TABLESPACE {space} LOCATION '{}'", folder.display()))?;
        self.create_database(&format!("TABLESPACE {space}"))
    }

    /// Creates a database with all that one of these has, which nobody may use meanwhile, and gives its URL.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub fn copy_of_database(&self, url: &str) -> Result<String> {
        self.create_database(&format!("TEMPLATE {}", name_of(url)?))
    }

    /// Drops one of these databases, whoever uses it.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub fn drop_database(&self, url: &str) -> Result<()> {
        self.sql(ADMIN, &format!("DROP DATABASE {} WITH (FORCE)", name_of(url)?)).map(drop)
    }

    /// Runs statements in one of these databases, as [`sql`](Self::sql) does.
    ///
    /// # Errors
    ///
    /// The server does not run, or refuses.
    pub fn sql_at(&self, url: &str, statements: &str) -> Result<String> {
        self.sql(name_of(url)?, statements)
    }

    fn create_database(&self, options: &str) -> Result<String> {
        let name = format!("berth_{}", self.databases.fetch_add(1, Ordering::SeqCst) + 1);
        self.sql(ADMIN, &format!("CREATE DATABASE {name} OWNER {USER} {options}"))?;
        Ok(self.url(&name))
    }

    /// The URL of a database, whether it exists or not.
    pub fn url(&self, database: &str) -> String {
        Self::url_of(&[self], database)
    }

    /// The URL of a database on whichever of these servers takes writes.
    pub fn url_of(servers: &[&Self], database: &str) -> String {
        let hosts: Vec<_> =
            servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        let mut url = format!("postgres://{USER}:{PASSWORD}@{}/{database}", hosts.join(","));
        if let Some(certificate) = servers.first().and_then(|server| server.certificate()) {
            let authority = certificate.authority();
            url.push_str(&format!("?sslmode=verify-full&sslrootcert={}", authority.display()));
        }
        url
    }

    /// Runs statements in a database, with all rights, and gives what they print: a line a row, columns between bars.
    ///
    /// # Errors
    ///
    /// The server does not run, or refuses.
    pub fn sql(&self, database: &str, statements: &str) -> Result<String> {
        let mut psql = self.client("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", database]);
        psql.args(["--set", "ON_ERROR_STOP=1", "--command", statements]);
        let output = cluster::output(&mut psql)?;
        Ok(output.trim_end().to_owned())
    }

    /// Whether the server lets clients in.
    pub fn is_ready(&self) -> bool {
        self.cluster.is_ready(self.port)
    }

    /// Whether the server does not run: it was stopped or killed, or has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.program.as_mut().is_none_or(Program::has_ended)
    }

    /// Shuts the server down as an operator does: clients are sent away, and everything is written down.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn stop(&mut self) -> Result<()> {
        self.take_program()?.end(Signal::INT)
    }

    /// Ends all processes of the server at once, as a power cut would.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn kill(&mut self) -> Result<()> {
        let program = self.take_program()?;
        let children = processes::children(program.process())?;
        program.end(Signal::KILL)?;
        processes::kill_all(&children)
    }

    /// Starts the server again, on the same port, after it was stopped or killed or has ended by itself.
    ///
    /// # Errors
    ///
    /// It runs, or does not start.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.has_ended(), "the server runs");
        self.program = Some(self.cluster.run(self.port)?);
        Ok(())
    }

    /// Cuts the connections of all clients, and gives how many there were.
    ///
    /// # Errors
    ///
    /// The server does not run.
    pub fn disconnect_clients(&self) -> Result<usize> {
        let cut = self.sql(
            ADMIN,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )?;
        Ok(cut.parse()?)
    }

    /// Starts a second server that follows this one. From when this returns, what this one acknowledges is on both
    /// disks. It takes no writes until it is [promoted](Self::promote).
    ///
    /// # Errors
    ///
    /// It does not start, or does not catch up.
    pub fn standby(&self) -> Result<Self> {
        let standby = Self::with(Cluster::copy_of(self)?)?;
        self.sql(ADMIN, "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        self.sql(ADMIN, "SELECT pg_reload_conf()")?;
        wait::until("the standby follows", || {
            let synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            Ok(self.sql(ADMIN, synchronous)? == "1")
        })?;
        Ok(standby)
    }

    /// Makes a standby take writes, alone. The one that it followed should be no more.
    ///
    /// # Errors
    ///
    /// It is no standby.
    pub fn promote(&self) -> Result<()> {
        ensure!(self.sql(ADMIN, "SELECT pg_promote()")? == "t", "the standby is not promoted");
        Ok(())
    }

    /// A program of PostgreSQL's that connects to this server, with all rights.
    fn client(&self, program: &str) -> Command {
        let mut command = self.cluster.client(program);
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--username", ADMIN, "--no-password"]);
        command.env("PGPASSWORD", PASSWORD);
        command
    }

    fn take_program(&mut self) -> Result<Program> {
        match self.program.take() {
            Some(program) => Ok(program),
            None => bail!("the server does not run"),
        }
    }
}

fn name_of(url: &str) -> Result<&str> {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().with_context(|| format!("{url} names no database"))
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(program) = self.program.take() {
            // In order but without writing down what nobody will read.
            let _ = program.end(Signal::QUIT);
        } else {
            self.cluster.free_shared_memory();
        }
    }
}
