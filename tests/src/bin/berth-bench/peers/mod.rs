//! Who is measured.

mod nginx;
mod registry;
mod server;

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use berth_test_stores::{Certificate, S3Access};

use crate::arguments::Arguments;
use crate::machine::first_line;
pub(crate) use nginx::SETTINGS as NGINX_SETTINGS;
pub(crate) use registry::SETTINGS as REGISTRY_SETTINGS;
pub(crate) use server::{Server, answers};

pub(crate) const BERTH: &str = "berth";
pub(crate) const DISTRIBUTION_2: &str = "distribution 2";
pub(crate) const DISTRIBUTION_3: &str = "distribution 3";
pub(crate) const NGINX: &str = "nginx";
pub(crate) const NGINX_CACHED: &str = "nginx, open_file_cache";

/// Berth's database, in the folder of its data.
const DATABASE: &str = "berth.db";

/// The order in which peers are shown.
pub(crate) fn rank(name: &str) -> usize {
    const ORDER: [&str; 5] = [BERTH, DISTRIBUTION_2, DISTRIBUTION_3, NGINX, NGINX_CACHED];
    ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len())
}

/// A server of images, or of files.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) version: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Berth(PathBuf),
    Distribution(PathBuf),
    Nginx {
        open_file_cache: bool,
    },
    /// Somebody else started it, with whatever settings.
    Running(SocketAddr),
}

/// How a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// Its configuration, log and, unless `data` says otherwise, data.
    pub(crate) folder: PathBuf,
    data: Option<PathBuf>,
    bucket: Option<Bucket>,
    tls: Option<TlsFiles>,
    environment: Vec<(OsString, OsString)>,
}

/// Where a registry keeps its blobs if not in files.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// Where the S3 server is, or what stands before it, and who may use it.
    pub(crate) access: S3Access,
    /// Whether clients are sent there to pull.
    pub(crate) redirect: bool,
}

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
}

impl Launch {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder, data: None, bucket: None, tls: None, environment: Vec::new() }
    }

    /// On data that are there already.
    pub(crate) fn on(mut self, data: &Path) -> Self {
        self.data = Some(data.to_owned());
        self
    }

    /// On an object store, in a directory of the bucket that has the name of the launch's folder.
    pub(crate) fn in_bucket(mut self, bucket: Bucket) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// Over TLS.
    pub(crate) fn over_tls(mut self, certificate: &Certificate) -> Self {
        let (certificate, key) = (certificate.authority(), certificate.key());
        self.tls = Some(TlsFiles { certificate, key });
        self
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| self.folder.join("data"))
    }

    /// Has nothing but a copy of a database that was prepared in a folder: no log of what was done to
    /// a copy before is applied to it.
    pub(crate) fn copy_database(&self, prepared: &Path) -> Result<()> {
        crate::remove(&self.data())?;
        std::fs::create_dir_all(self.data())?;
        let file = self.data().join(DATABASE);
        std::fs::copy(prepared.join(DATABASE), &file)
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(())
    }
}

/// Berth, and every peer that is on this machine.
pub(crate) fn find(arguments: &Arguments, berth: &Path) -> Result<Vec<Peer>> {
    let mut peers = vec![self::berth(berth)?];
    let mut missing = Vec::new();
    let two = Some(PathBuf::from("docker-registry"));
    for (name, program) in
        [(DISTRIBUTION_2, two), (DISTRIBUTION_3, arguments.distribution3.clone())]
    {
        match program.and_then(|program| distribution(name, program)) {
            Some(peer) => peers.push(peer),
            None => missing.push(name),
        }
    }
    match first_line(Command::new("nginx").arg("-v")) {
        version if version.is_empty() => missing.push("nginx"),
        version => {
            peers.extend([(NGINX, false), (NGINX_CACHED, true)].map(|(name, open_file_cache)| {
                Peer {
                    name: name.to_owned(),
                    version: version.clone(),
                    kind: Kind::Nginx { open_file_cache },
                }
            }))
        }
    }
    for peer in &arguments.peers {
        peers.push(running(peer)?);
    }
    if !missing.is_empty() {
        println!("NOT HERE, so not measured: {}", missing.join(", "));
    }
    Ok(peers)
}

fn berth(path: &Path) -> Result<Peer> {
    let path = path.canonicalize().with_context(|| format!("{} does not exist", path.display()))?;
    let commit = first_line(
        Command::new("git")
            .args(["describe", "--always", "--dirty"])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    let version = first_line(Command::new(&path).arg("--version"));
    Ok(Peer {
        name: BERTH.to_owned(),
        version: format!("{version} ({commit})"),
        kind: Kind::Berth(path),
    })
}

/// `None` when there is no such program.
fn distribution(name: &str, program: PathBuf) -> Option<Peer> {
    let printed = first_line(Command::new(&program).arg("--version"));
    // It begins with the path that the program was called by.
    let (_, version) = printed.split_once(' ')?;
    let (name, version) = (name.to_owned(), version.to_owned());
    Some(Peer { name, version, kind: Kind::Distribution(program) })
}

fn running(argument: &str) -> Result<Peer> {
    let (name, url) = argument.split_once('=').context("a peer is NAME=URL")?;
    let host = url.strip_prefix("http://").context("a peer's URL begins with http://")?;
    let host = host.trim_end_matches('/');
    let mut addresses = host.to_socket_addrs().with_context(|| format!("{host} is no address"))?;
    let address = addresses.next().with_context(|| format!("{host} has no address"))?;
    Ok(Peer {
        name: name.to_owned(),
        version: format!("{url}, started by hand"),
        kind: Kind::Running(address),
    })
}

impl Peer {
    /// The program, which has other commands than that of a server.
    pub(crate) fn program(&self) -> Result<&Path> {
        match &self.kind {
            Kind::Berth(program) | Kind::Distribution(program) => Ok(program),
            Kind::Nginx { .. } | Kind::Running(_) => {
                anyhow::bail!("the program of {} is not known", self.name)
            }
        }
    }

    /// Whether clients can push to it.
    pub(crate) fn is_registry(&self) -> bool {
        !matches!(self.kind, Kind::Nginx { .. })
    }

    /// Whether it is us who start it, with nothing in it.
    pub(crate) fn starts_empty(&self) -> bool {
        !matches!(self.kind, Kind::Running(_))
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&self, launch: &Launch) -> Result<Server> {
        if let Kind::Running(address) = self.kind {
            return Ok(Server::running(self, address));
        }
        let address = berth_tests::server::free_address()?;
        Server::start(self, self.command(launch, address)?, address, launch)
            .with_context(|| format!("cannot start {}", self.name))
    }

    /// Another command of the program, with the settings of that launch.
    pub(crate) fn tool(&self, launch: &Launch, arguments: &[&str]) -> Result<Command> {
        // The address is not listened on; the file names the storage.
        let serve = self.command(launch, berth_tests::server::free_address()?)?;
        let mut command = Command::new(serve.get_program());
        command.args(arguments).arg(launch.folder.join("config.yml"));
        for (name, value) in serve.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ok(command)
    }

    /// What starts it.
    pub(crate) fn command(&self, launch: &Launch, address: SocketAddr) -> Result<Command> {
        std::fs::create_dir_all(launch.data())?;
        let mut command = match &self.kind {
            Kind::Berth(program) | Kind::Distribution(program) => {
                registry::command(program, launch, address)?
            }
            Kind::Nginx { open_file_cache } => nginx::command(launch, address, *open_file_cache)?,
            Kind::Running(_) => anyhow::bail!("{} runs already", self.name),
        };
        command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}
