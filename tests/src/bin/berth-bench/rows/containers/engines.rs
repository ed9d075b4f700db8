//! Engines with stores of their own, which take docker's command line.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use berth_tests::process::Daemon;

use super::{CONTAINERD, DOCKER, PODMAN, Row, is_there, says};
use crate::Bench;
use crate::peers::BERTH;
use crate::results::RowRun;

/// An engine that is ready.
pub(super) struct Engine {
    pub(super) name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    daemon: Option<Daemon>,
}

impl Engine {
    /// Those that are on this machine, of the ones that are wanted.
    pub(super) fn find(
        bench: &Bench,
        row: Row,
        wanted: &[&str],
        run: &mut RowRun,
    ) -> Result<Vec<Self>> {
        let mut engines = vec![Self::berth(bench, row)?];
        for name in wanted {
            let (program, start): (&str, fn(&Path) -> Result<Self>) = match *name {
                DOCKER => ("dockerd", Self::docker),
                PODMAN => ("podman", Self::podman),
                _ => ("containerd", Self::containerd),
            };
            if is_there(program) {
                let engine = start(&bench.folder(row, name)?)?;
                run.setting(format!("{name}: {}", engine.version()?));
                engines.push(engine);
            } else {
                run.note(format!("{name} is not installed"));
            }
        }
        Ok(engines)
    }

    fn berth(bench: &Bench, row: Row) -> Result<Self> {
        Self::berth_in(bench, &bench.folder(row, BERTH)?)
    }

    /// Berth with all that it has in a folder.
    pub(super) fn berth_in(bench: &Bench, folder: &Path) -> Result<Self> {
        Ok(Self {
            name: BERTH,
            program: bench.berth()?.program()?.to_owned(),
            arguments: Vec::new(),
            environment: vec![
                ("BERTH_DATA_ROOT", folder.join("data")),
                ("BERTH_EXEC_ROOT", folder.join("run")),
            ],
            daemon: None,
        })
    }

    /// With settings of Berth's, in a file there.
    pub(super) fn set_up(&mut self, folder: &Path, settings: &str) -> Result<()> {
        let path = write(folder, "engine.yml", settings)?;
        self.environment.push(("BERTH_ENGINE_CONFIG", path));
        Ok(())
    }

    fn docker(folder: &Path) -> Result<Self> {
        let socket = folder.join("docker.sock");
        let mut command = Command::new("dockerd");
        command.arg("--config-file").arg(write(folder, "daemon.json", "{}")?);
        command.arg("--data-root").arg(folder.join("data"));
        command.arg("--exec-root").arg(folder.join("run"));
        command.arg("--pidfile").arg(folder.join("pid"));
        command.arg("--host").arg(format!("unix://{}", socket.display()));
        let daemon = ready(command, folder, &socket)?;
        Ok(Self {
            name: DOCKER,
            program: "docker".into(),
            arguments: vec!["--host".into(), format!("unix://{}", socket.display())],
            environment: vec![("DOCKER_CONFIG", folder.join("config"))],
            daemon: Some(daemon),
        })
    }

    fn podman(folder: &Path) -> Result<Self> {
        let option = |name: &str, folder: PathBuf| format!("--{name}={}", folder.display());
        let mut arguments =
            vec![option("root", folder.join("data")), option("runroot", folder.join("run"))];
        arguments.extend(["--cgroup-manager=cgroupfs", "--events-backend=none"].map(str::to_owned));
        // Its own defaults ask for more open files than a container of a test machine may have.
        let limits = write(folder, "containers.conf", "[containers]\ndefault_ulimits = []\n")?;
        Ok(Self {
            name: PODMAN,
            program: "podman".into(),
            arguments,
            environment: vec![("CONTAINERS_CONF", limits)],
            daemon: None,
        })
    }

    fn containerd(folder: &Path) -> Result<Self> {
        let socket = folder.join("containerd.sock");
        let mut command = Command::new("containerd");
        command.arg("--config").arg(write(folder, "config.toml", "version = 2\n")?);
        command.arg("--root").arg(folder.join("data"));
        command.arg("--state").arg(folder.join("run"));
        command.arg("--address").arg(&socket);
        let daemon = ready(command, folder, &socket)?;
        Ok(Self {
            name: CONTAINERD,
            program: "ctr".into(),
            arguments: vec!["--address".into(), socket.display().to_string()],
            environment: Vec::new(),
            daemon: Some(daemon),
        })
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A pull from a registry on the loopback, which speaks HTTP.
    pub(super) fn pull(&self, image: &str) -> Command {
        match self.name {
            CONTAINERD => self.command(&["images", "pull", "--plain-http", image]),
            PODMAN => self.command(&["pull", "--quiet", "--tls-verify=false", image]),
            _ => self.command(&["pull", "--quiet", image]),
        }
    }

    /// Has nothing of an image any more.
    pub(super) fn remove(&self, image: &str) -> Result<()> {
        match self.name {
            CONTAINERD => says(self.command(&["images", "remove", "--sync", image]))?,
            _ => says(self.command(&["rmi", image]))?,
        };
        Ok(())
    }

    /// A command that runs a container on a network to its end.
    pub(super) fn run(&self, network: &str, port: Option<&str>, image: &str) -> Command {
        let network = format!("--network={network}");
        let port = port.map(|port| format!("--publish={port}"));
        let mut arguments = vec!["run", "--rm", &network];
        arguments.extend(port.as_deref());
        arguments.extend([image, "true"]);
        self.command(&arguments)
    }

    fn version(&self) -> Result<String> {
        match self.name {
            CONTAINERD => says(self.command(&["--version"])),
            _ => says(self.command(&["version", "--format", "{{.Client.Version}}"])),
        }
    }

    pub(super) fn stop(self) -> Result<()> {
        self.daemon.map(Daemon::stop).transpose()?;
        Ok(())
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text)?;
    Ok(path)
}

fn ready(command: Command, folder: &Path, socket: &Path) -> Result<Daemon> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut daemon = Daemon::start(&name, command, &folder.join("log"))?;
    daemon.wait_until(|| UnixStream::connect(socket).is_ok())?;
    Ok(daemon)
}
