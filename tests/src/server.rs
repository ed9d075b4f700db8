//! A registry under test: a process of its own on a loopback port.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail, ensure};
use berth_test_stores::free_port;
use tempfile::TempDir;

use crate::authority::{Pair, Trust};
use crate::home;
use crate::process::Daemon;
use crate::registry::Registry;

/// Another process may take the free port between our looking and the server's binding.
const PORT_ATTEMPTS: usize = 5;

/// Which registry the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `berth serve`.
    Berth,
    /// Debian's `docker-registry` (distribution 2.8): the yardstick for the tests themselves.
    DockerRegistry,
    /// The registry of distribution 3.
    Distribution3,
}

impl Target {
    /// Reads `BERTH_TEST_TARGET` (`berth`, which is the default, `docker-registry` or `distribution`).
    pub fn from_environment() -> Result<Self> {
        match env::var("BERTH_TEST_TARGET").as_deref() {
            Ok("berth") | Err(env::VarError::NotPresent) => Ok(Self::Berth),
            Ok("docker-registry") => Ok(Self::DockerRegistry),
            Ok("distribution") => Ok(Self::Distribution3),
            other => bail!(
                "BERTH_TEST_TARGET must be berth, docker-registry or distribution, not {other:?}"
            ),
        }
    }
}

/// How to start a registry.
#[derive(Clone, Debug)]
pub struct Launch {
    target: Target,
    storage: Storage,
    address: Option<SocketAddr>,
    tls: Option<Trust>,
    authorization: Option<String>,
    environment: Vec<(OsString, OsString)>,
}

#[derive(Clone, Debug)]
enum Storage {
    Temporary,
    Filesystem(PathBuf),
    InMemory,
    /// On another server, which the environment names.
    Remote,
}

impl Launch {
    /// A registry on an empty tree that vanishes with it.
    pub fn temporary() -> Result<Self> {
        Self::on(Storage::Temporary)
    }

    /// A registry that keeps its tree under `root`.
    pub fn filesystem(root: impl Into<PathBuf>) -> Result<Self> {
        Self::on(Storage::Filesystem(root.into()))
    }

    /// A registry that forgets everything when it stops.
    pub fn in_memory() -> Result<Self> {
        Self::on(Storage::InMemory)
    }

    /// A registry whose blobs are on another server: `driver` is its name in the configuration, and the settings are
    /// the keys of its section. The database vanishes with it, unless
    /// `REGISTRY_METADATA_URL` is set.
    pub fn remote(driver: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let prefix = format!("REGISTRY_STORAGE_{}", driver.to_uppercase());
        let mut launch = Self::on(Storage::Remote)?.env("REGISTRY_STORAGE", driver);
        for (key, value) in settings {
            launch = launch.env(format!("{prefix}_{}", key.to_uppercase()), *value);
        }
        Ok(launch)
    }

    /// Another registry than the one `BERTH_TEST_TARGET` names.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// A fixed address, to come back on after a restart; otherwise a free loopback port is taken.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// With this certificate, over TLS. `trust` is whom the reader of the registry trusts, and who it is.
    #[must_use]
    pub fn tls(mut self, pair: &Pair, trust: Trust) -> Self {
        self.tls = Some(trust);
        self.env("REGISTRY_HTTP_TLS_CERTIFICATE", &pair.certificate)
            .env("REGISTRY_HTTP_TLS_KEY", &pair.key)
    }

    /// With a reader of the registry who shows this `Authorization` header.
    #[must_use]
    pub fn showing(mut self, authorization: impl Into<String>) -> Self {
        self.authorization = Some(authorization.into());
        self
    }

    /// One more setting, in the registry's own environment form.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The settings, in the registry's own environment form.
    #[must_use]
    pub fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }

    /// Starts the registry and returns once it answers `GET /v2/`.
    pub fn start(&self) -> Result<Server> {
        for _ in 1..PORT_ATTEMPTS {
            match self.try_start() {
                Err(e) if self.address.is_none() && lost_the_port(&e) => {}
                result => return result,
            }
        }
        self.try_start()
    }

    fn on(storage: Storage) -> Result<Self> {
        Ok(Self {
            target: Target::from_environment()?,
            storage,
            address: None,
            tls: None,
            authorization: None,
            environment: Vec::new(),
        })
    }

    fn try_start(&self) -> Result<Server> {
        let directory = tempfile::tempdir()?;
        let address = self.address.map_or_else(free_address, Ok)?;
        let root = match &self.storage {
            Storage::Temporary => Some(directory.path().join("tree")),
            Storage::Filesystem(root) => Some(root.clone()),
            Storage::InMemory | Storage::Remote => None,
        };
        let root = root.as_deref();
        let command = match self.target {
            Target::Berth => self.berth(address, root, directory.path())?,
            Target::DockerRegistry => self.other("docker-registry", address, root, &directory)?,
            Target::Distribution3 => {
                let program = home::cache()?.join("bin/distribution");
                self.other(program, address, root, &directory)?
            }
        };
        let log = directory.path().join("log");
        let mut daemon = Daemon::start("the registry", command, &log)?;
        let registry = match &self.tls {
            Some(trust) => Registry::over_tls(&format!("https://{address}"), trust)?,
            None => Registry::new(&format!("http://{address}"))?,
        };
        let registry = match &self.authorization {
            Some(authorization) => registry.showing(authorization),
            None => registry,
        };
        daemon.wait_until(|| registry.answers())?;
        Ok(Server { target: self.target, daemon, address, registry, _directory: directory })
    }

    /// A registry that is not Berth.
    fn other(
        &self,
        program: impl AsRef<OsStr>,
        address: SocketAddr,
        root: Option<&Path>,
        directory: &TempDir,
    ) -> Result<Command> {
        let directory = directory.path();
        let config = directory.join("config.yml");
        fs::write(&config, distribution_config(address, root))?;
        let mut command = Command::new(program);
        command.arg("serve").arg(config).current_dir(directory);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // distribution 3 sends traces unless it is told not to.
        command.env("OTEL_TRACES_EXPORTER", "none");
        Ok(command)
    }

    fn has_database(&self) -> bool {
        const NAMES: [&str; 2] = ["REGISTRY_METADATA_URL", "REGISTRY_METADATA_SQLITE_PATH"];
        self.environment.iter().any(|(name, _)| NAMES.iter().any(|known| name == known))
    }

    fn berth(&self, address: SocketAddr, root: Option<&Path>, directory: &Path) -> Result<Command> {
        let mut command = self.settled(root)?;
        command.arg("serve").current_dir(directory).env("REGISTRY_HTTP_ADDR", address.to_string());
        match (root, &self.storage) {
            (None, Storage::Remote) if !self.has_database() => {
                command.env("REGISTRY_METADATA_SQLITE_PATH", directory.join("metadata/berth.db"));
            }
            _ => {}
        }
        Ok(command)
    }

    /// Another command of berth's than `serve`, with the same settings: on what stays when a registry stops.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let root = match &self.storage {
            Storage::Filesystem(root) => Some(root.as_path()),
            Storage::Remote => None,
            Storage::Temporary | Storage::InMemory => bail!("this registry takes all with it"),
        };
        let mut command = self.settled(root)?;
        command.args(arguments);
        Ok(command)
    }

    /// `berth` with the settings in its environment.
    fn settled(&self, root: Option<&Path>) -> Result<Command> {
        let mut command = Command::new(berth_binary()?);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("REGISTRY_") {
                command.env_remove(name);
            }
        }
        command.env("REGISTRY_STORAGE_DELETE_ENABLED", "true");
        match (root, &self.storage) {
            (Some(root), _) => command.env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root),
            (None, Storage::Remote) => &mut command,
            (None, _) => command.env("REGISTRY_STORAGE", "inmemory"),
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

/// A running registry.
#[derive(Debug)]
pub struct Server {
    target: Target,
    daemon: Daemon,
    address: SocketAddr,
    registry: Registry,
    _directory: TempDir,
}

impl Server {
    /// Starts the registry under test on an empty tree that vanishes with it.
    pub fn start() -> Result<Self> {
        Launch::temporary()?.start()
    }

    /// `127.0.0.1:PORT`, as clients write it before a repository's name.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// A reader of this registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All that it wrote, both to its standard output and to its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// The last lines it wrote, both to its standard output and to its log.
    #[must_use]
    pub fn log_end(&self) -> String {
        self.daemon.log_end()
    }

    /// Stops it as an operator would (SIGTERM). Berth must then end with exit code 0, all its work written down.
    pub fn stop(self) -> Result<()> {
        self.stop_for_log().map(drop)
    }

    /// The same; returns all that it wrote, both to its standard output and to its log.
    pub fn stop_for_log(self) -> Result<String> {
        let log = self.daemon.log_file().to_owned();
        let status = self.daemon.stop()?;
        // distribution 2.8 does not handle SIGTERM, so it ends by the signal, and 3 calls its end an error.
        ensure!(
            status.success() || self.target != Target::Berth,
            "the registry stopped with {status}"
        );
        Ok(String::from_utf8_lossy(&fs::read(log)?).into_owned())
    }

    /// Asks it to end, unless it has ended already, and tells how it did: something else than this test may have
    /// killed it.
    pub fn end(self) -> Result<ExitStatus> {
        self.daemon.stop()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.daemon.has_ended()
    }

    /// Ends it as a crash would (SIGKILL).
    pub fn kill(self) -> Result<()> {
        self.daemon.kill()
    }
}

/// `$BERTH_BIN`, or the optimised build in the target directory.
pub fn berth_binary() -> Result<PathBuf> {
    let path = env::var_os("BERTH_BIN")
        .map_or_else(|| target_directory().join("optimised/berth"), PathBuf::from);
    ensure!(
        path.is_file(),
        "{} does not exist: `cargo build --profile optimised --bin berth`, or set BERTH_BIN",
        path.display()
    );
    path.canonicalize().with_context(|| format!("cannot resolve {}", path.display()))
}

fn distribution_config(address: SocketAddr, root: Option<&Path>) -> String {
    let storage = match root {
        Some(root) => format!("filesystem: {{rootdirectory: \"{}\"}}", root.display()),
        None => "inmemory: {}".to_owned(),
    };
    format!(
        "version: 0.1\nstorage:\n  {storage}\n  delete: {{enabled: true}}\nhttp: {{addr: \"{address}\"}}\n"
    )
}

fn target_directory() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target))
}

/// A loopback address with a port that is free now, and that nobody else in this process is given.
pub fn free_address() -> Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, free_port()?).into())
}

fn lost_the_port(error: &anyhow::Error) -> bool {
    error.to_string().to_lowercase().contains("address already in use")
}
