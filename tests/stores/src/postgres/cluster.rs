//! A server's data on the disk: made, configured, and served.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::{ADMIN, PASSWORD, Postgres, PostgresOptions, USER};
use crate::program::Program;
use crate::{Certificate, account, folder};

/// Where Debian keeps its versions.
const VERSIONS: &str = "/usr/lib/postgresql";

/// What every server here has. A small cache and small files of its log are enough for tests; a standby must be able
/// to follow.
const SETTINGS: &str = "
unix_socket_directories = ''
max_connections = 200
shared_buffers = '64MB'
max_wal_size = '256MB'
wal_level = replica
max_wal_senders = 8
hot_standby = on
";

/// The data of one server.
#[derive(Debug)]
pub(super) struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    pub(super) certificate: Option<Arc<Certificate>>,
    parent: PathBuf,
    fsync: bool,
}

impl Cluster {
    /// An empty one.
    pub(super) fn create(options: &PostgresOptions) -> Result<Self> {
        let PostgresOptions { parent, fsync, certificate, .. } = options.clone();
        let cluster =
            Self { programs: programs()?, folder: folder_in(&parent)?, certificate, parent, fsync };
        let password = cluster.folder.path().join("password");
        fs::write(&password, PASSWORD)?;
        account::own(&password)?;
        let mut initdb = cluster.server_side("initdb");
        initdb.arg("--pgdata").arg(cluster.data()).arg("--pwfile").arg(&password);
        initdb.args(["--username", ADMIN, "--auth", "scram-sha-256", "--encoding", "UTF8"]);
        initdb.args(["--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en"]);
        initdb.args(["--no-sync", "--no-instructions", "--wal-segsize", "4"]);
        output(&mut initdb)?;
        cluster.configure(&options.settings)?;
        cluster.create_user()?;
        Ok(cluster)
    }

    /// The data of a running server, set up to follow it.
    pub(super) fn copy_of(primary: &Postgres) -> Result<Self> {
        let Self { programs, certificate, parent, fsync, .. } = &primary.cluster;
        let cluster = Self {
            programs: programs.clone(),
            folder: folder_in(parent)?,
            certificate: certificate.clone(),
            parent: parent.clone(),
            fsync: *fsync,
        };
        let mut copy = primary.client("pg_basebackup");
        copy.arg("--pgdata").arg(cluster.data());
        copy.args(["--write-recovery-conf", "--checkpoint", "fast", "--no-sync"]);
        output(&mut copy)?;
        account::own(&cluster.data())?;
        Ok(cluster)
    }

    /// Serves it on a port, and returns when clients are let in.
    pub(super) fn run(&self, port: u16) -> Result<Program> {
        let log = self.folder.path().join("log");
        let program = self.programs.join("postgres");
        let mut program = Program::start_unprivileged(program, log, |command| {
            command.current_dir(self.folder.path());
            command.arg("-D").arg(self.data());
            command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        })?;
        program.wait_until(|| self.is_ready(port))?;
        Ok(program)
    }

    pub(super) fn is_ready(&self, port: u16) -> bool {
        let mut ask = self.client("pg_isready");
        ask.args(["--quiet", "--host", "127.0.0.1", "--port", &port.to_string()]);
        ask.status().is_ok_and(|status| status.success())
    }

    /// Gives back what the kernel keeps for a server that was killed: the seventh line of its lock file names it.
    pub(super) fn free_shared_memory(&self) {
        let lock = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let segment = lock.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
        if let Some(segment) = segment {
            let _ = Command::new("ipcrm").args(["--shmem-id", segment]).status();
        }
    }

    /// A program that connects to a server.
    pub(super) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        // Nothing of this user's own settings.
        command.env_clear().env("LC_ALL", "C.UTF-8");
        command
    }

    /// A program that works on the data.
    fn server_side(&self, program: &str) -> Command {
        let mut command = account::setpriv();
        command.arg("--").arg(self.programs.join(program)).current_dir(self.folder.path());
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn configure(&self, settings: &[(String, String)]) -> Result<()> {
        let path = self.data().join("postgresql.conf");
        let mut file = fs::File::options().append(true).open(path)?;
        file.write_all(SETTINGS.as_bytes())?;
        writeln!(file, "fsync = {}", if self.fsync { "on" } else { "off" })?;
        for (name, value) in settings {
            writeln!(file, "{name} = '{value}'")?;
        }
        if let Some(certificate) = &self.certificate {
            self.copy_secret(&certificate.authority(), "server.crt")?;
            self.copy_secret(&certificate.key(), "server.key")?;
            writeln!(file, "ssl = on")?;
        }
        // Whoever must encrypt is let in no other way.
        let host = if self.certificate.is_some() { "hostssl" } else { "host" };
        let rules = format!(
            "{host} all all 127.0.0.1/32 scram-sha-256\n\
             {host} replication {ADMIN} 127.0.0.1/32 scram-sha-256\n"
        );
        fs::write(self.data().join("pg_hba.conf"), rules)?;
        Ok(())
    }

    /// A file in the data folder that the server's account alone may read.
    fn copy_secret(&self, from: &Path, name: &str) -> Result<()> {
        let path = self.data().join(name);
        fs::copy(from, &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        account::own(&path)
    }

    /// By a server without a network, which takes statements from its standard input.
    fn create_user(&self) -> Result<()> {
        let statement = format!("CREATE USER {USER} PASSWORD '{PASSWORD}'\n");
        let input = self.folder.path().join("create-user.sql");
        fs::write(&input, statement)?;
        let mut single = self.server_side("postgres");
        single.args(["--single", "-D"]).arg(self.data()).arg(ADMIN);
        output(single.stdin(fs::File::open(&input)?))?;
        Ok(())
    }
}

/// A folder that the server's account may enter.
fn folder_in(parent: &Path) -> Result<TempDir> {
    let folder = folder::temporary_in(parent)?;
    account::own(folder.path())?;
    Ok(folder)
}

/// The programs of the newest version that is installed.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let installed = versions.filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        let programs = version.path().join("bin");
        programs.join("postgres").is_file().then_some((number, programs))
    });
    let newest = installed.max_by_key(|(number, _)| *number);
    let (_, programs) = newest.context("PostgreSQL is not installed: run `cargo xtask setup`")?;
    Ok(programs)
}

/// Runs a program and gives what it printed; an error with all of it if it fails.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let name = PathBuf::from(command.get_program()).display().to_string();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{name} ended with {}:\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(stdout)
}
