//! From a record to a program that runs.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::streams::Streams;
use super::{Monitor, Program};
use crate::containers::console::Console;
use crate::containers::engine::Engine;
use crate::containers::error::{ContainerError, Doing as _};
use crate::containers::process::Process;
use crate::containers::record::{Container, Record, Running};
use crate::containers::runtime::{self, Begun, PIN, Runtime, Streams as Given};
use crate::containers::store::private;
use crate::layers::LayerStore;
use crate::network::{Attach, Endpoint, NetworkError, NetworkMode, Networks};
use crate::oci::container::Identity;
use crate::spec::{
    ContainerFiles, HostFacts, IpcMode, NamespacePaths, PidMode, SpecInput, make_familiar_files,
    make_working_directory, place_init, resolve_user, runtime_spec,
};

/// Names in the folder of what runs.
pub(super) const ROOT: &str = "rootfs";
const CONFIG: &str = "config.json";

/// Starts the program. What fails leaves things that [`super::give_back`] gives back.
pub(super) fn start(monitor: &Monitor) -> Result<Program, ContainerError> {
    let (engine, record) = (&monitor.engine, &monitor.record);
    let run = engine.store.run(&record.id);
    make_run_folder(engine, record, &run)?;
    let own = identity(i32::try_from(std::process::id()).unwrap_or(0))?;
    let mut running = Running { monitor: own, program: None, started_at: None, network: None };
    engine.store.write_running(&record.id, &running)?;

    let networks = Networks::open(&engine.roots)?;
    networks.prepare(&record.host_config.network_mode.parse()?);
    let runtime = Runtime::named(&record.host_config.runtime, engine.roots.run());
    let (begun, streams) = begin(monitor, &runtime, &run)?;
    let root = run.join(ROOT);
    private(false).create(&root).doing(|| format!("make {}", root.display()))?;
    let layers = LayerStore::open(&engine.roots)?;
    let writable = engine.store.data(&record.id);
    match record.host_config.auto_remove {
        true => layers.mount_root_once(&record.layers, &writable, &root)?,
        false => layers.mount_root(&record.layers, &writable, &root)?,
    };
    let _ = make_familiar_files(&root);
    engine.fill_volumes(record, &root)?;
    make_working_directory(&root, &record.config)?;
    let endpoint = connect(engine, record, &networks)?;
    running.network = endpoint.as_ref().map(|endpoint| endpoint.settings.clone());
    let (config, _pinned) = configure(engine, record, &run, &root, endpoint.as_ref())?;
    {
        let _shared = monitor.held.share()?;
        begun.run(&config)?;
    }
    let process = Process::of_child(runtime::started(&run)?)?;
    let streams = streams.ready()?;

    let started_at = Timestamp::now();
    // Our own runtime has done so before the program began. Without it the exit code is lost with the monitor, and
    // nothing else.
    let _ = process.pin(&run.join(PIN));
    running.program = Some(identity(process.number())?);
    running.started_at = Some(started_at);
    engine.store.write_running(&record.id, &running)?;
    // Without it nobody is told of it when the machine goes down, and nothing else.
    let _ = engine.store.mark_begun(&record.id, started_at);
    Ok(Program { process, started_at, streams, networks, endpoint })
}

/// Takes up a program that runs. `None` when it has ended meanwhile; then all is done that there is to do.
pub(super) fn adopt(
    monitor: &Monitor,
    mut running: Running,
) -> Result<Option<Program>, ContainerError> {
    let (engine, record) = (&monitor.engine, &monitor.record);
    let run = engine.store.run(&record.id);
    let process = match &running.program {
        Some(program) => Process::pinned(&run.join(PIN), program)?,
        None => None,
    };
    let Some(process) = process else {
        engine.end_unseen(&monitor.held, record, Some(running))?;
        return Ok(None);
    };
    running.monitor = identity(i32::try_from(std::process::id()).unwrap_or(0))?;
    engine.store.write_running(&record.id, &running)?;
    // It is not yet where the monitor was killed at once.
    let _ = process.pin(&run.join(PIN));
    // Ports that somebody else has got meanwhile are lost, and nothing else.
    let pid = u32::try_from(process.number()).unwrap_or(0);
    let networks = Networks::open(&engine.roots)?;
    let endpoint = networks.resume(record.id.as_str(), pid).unwrap_or(None);
    let reader = record.config.open_stdin.then(|| process.number());
    let streams = if record.config.tty { Streams::none() } else { Streams::again(&run, reader) };
    let started_at = running.started_at.unwrap_or_else(Timestamp::now);
    let _ = engine.store.mark_begun(&record.id, started_at);
    Ok(Some(Program { process, started_at, streams, networks, endpoint }))
}

/// Makes the folder of what runs. What is in it of an earlier time is given back.
fn make_run_folder(engine: &Engine, record: &Record, run: &Path) -> Result<(), ContainerError> {
    let make = || private(false).create(run);
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let is_empty = fs::read_dir(run).is_ok_and(|mut entries| entries.next().is_none());
            if is_empty {
                // By it the start was announced.
                return Ok(());
            }
            super::give_back(engine, record)?;
            make()
        }
        other => other,
    }
    .doing(|| format!("make {}", run.display()))
}

fn identity(pid: i32) -> Result<Identity, ContainerError> {
    Identity::of(pid).map_err(|error| ContainerError::Conflict(error.to_string()))
}

/// Connects the container to its network.
fn connect(
    engine: &Engine,
    record: &Record,
    networks: &Networks,
) -> Result<Option<Endpoint>, ContainerError> {
    let mode: NetworkMode = record.host_config.network_mode.parse()?;
    let joined = match &mode {
        NetworkMode::Container(other) => {
            Some(running(engine, other, "join network namespace of")?.pid())
        }
        _ => None,
    };
    let (ports, exposed) = engine.ports(record)?;
    let attach = Attach {
        container: record.id.as_str(),
        mode: &mode,
        joined: joined.and_then(|pid| u32::try_from(pid).ok()),
        ports: &ports,
        exposed: &exposed,
        publish_all: record.host_config.publish_all_ports,
    };
    loop {
        match networks.attach(&attach) {
            Err(NetworkError::PortHeld { address, container }) => {
                if is_running(engine, &container)? {
                    return Err(NetworkError::PortAllocated { address }.into());
                }
                networks.detach(&container)?;
            }
            other => return Ok(Some(other?)),
        }
    }
}

fn is_running(engine: &Engine, id: &str) -> Result<bool, ContainerError> {
    let Ok(id) = id.parse() else { return Ok(false) };
    match engine.store.look(&id) {
        Err(ContainerError::NotFound(_)) => Ok(false),
        other => other?.lives(),
    }
}

/// Another container, which must run.
fn running(engine: &Engine, name: &str, what: &str) -> Result<Container, ContainerError> {
    let other = engine.find(name)?;
    if other.status.is_running() {
        return Ok(other);
    }
    Err(ContainerError::Conflict(format!(
        "cannot {what} a non running container: container {} is {}",
        other.record.id, other.status
    )))
}

/// Writes what the runtime is told, and the files that the container gets of the engine. What is given back beside
/// the configuration has to stay open until the runtime has mounted it.
fn configure(
    engine: &Engine,
    record: &Record,
    run: &Path,
    root: &Path,
    endpoint: Option<&Endpoint>,
) -> Result<(String, Vec<OwnedFd>), ContainerError> {
    let (mounts, pinned) = engine.volumes().pin(&record.mounts)?;
    let namespaces = namespaces(engine, record, endpoint)?;
    let files = files(engine, record, run, endpoint)?;
    let user = resolve_user(root, &record.config.user, &record.host_config.group_add)?;
    let spec = runtime_spec(&SpecInput {
        id: record.id.as_str(),
        config: &record.config,
        host_config: &record.host_config,
        root,
        user: &user,
        mounts: &mounts,
        namespaces: &namespaces,
        files: &files,
        host: &HostFacts::detect()?,
    })?;
    let (path, config) = (run.join(CONFIG), spec.to_string());
    fs::write(&path, &config).doing(|| format!("write {}", path.display()))?;
    Ok((config, pinned))
}

fn namespaces(
    engine: &Engine,
    record: &Record,
    endpoint: Option<&Endpoint>,
) -> Result<NamespacePaths, ContainerError> {
    use std::os::fd::AsRawFd as _;
    let of = |other: &str, kind: &str, what: &str| -> Result<PathBuf, ContainerError> {
        Ok(format!("/proc/{}/ns/{kind}", running(engine, other, what)?.pid()).into())
    };
    let mut paths = NamespacePaths::default();
    if let PidMode::Container(other) = &record.host_config.pid_mode {
        paths.pid = Some(of(other, "pid", "join PID of")?);
    }
    if let IpcMode::Container(other) = &record.host_config.ipc_mode {
        let donor = engine.find(other)?.record;
        if matches!(donor.host_config.ipc_mode, IpcMode::None | IpcMode::Private) {
            return Err(ContainerError::Conflict(format!(
                "cannot join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor \
                 container)",
                donor.id
            )));
        }
        paths.ipc = Some(of(other, "ipc", "join IPC of")?);
    }
    let mode: NetworkMode = record.host_config.network_mode.parse()?;
    paths.network = endpoint.filter(|_| mode != NetworkMode::Host).map(|endpoint| {
        let number = endpoint.namespace.as_raw_fd();
        format!("/proc/{}/fd/{number}", std::process::id()).into()
    });
    Ok(paths)
}

fn files(
    engine: &Engine,
    record: &Record,
    run: &Path,
    endpoint: Option<&Endpoint>,
) -> Result<ContainerFiles, ContainerError> {
    let mode: NetworkMode = record.host_config.network_mode.parse()?;
    // Whoever has the network of another has its names, too.
    let folder = match &mode {
        NetworkMode::Container(other) => engine.store.run(&engine.find(other)?.record.id),
        _ => {
            engine.write_network_files(record, run, &mode, endpoint)?;
            run.to_owned()
        }
    };
    let file = |name| Some(folder.join(name));
    let has_init = record.host_config.init == Some(true);
    Ok(ContainerFiles {
        hosts: file("hosts"),
        hostname: file("hostname"),
        resolv_conf: file("resolv.conf"),
        init: has_init.then(|| place_init(&engine.roots)).transpose()?,
        ..ContainerFiles::default()
    })
}

/// The monitor's ends of what a program reads and writes.
enum Ends {
    Pipes(Streams),
    /// The terminal comes by this socket, when the container is made.
    Terminal(Console),
}

impl Ends {
    fn ready(self) -> Result<Streams, ContainerError> {
        match self {
            Self::Pipes(streams) => Ok(streams),
            Self::Terminal(console) => Streams::terminal(console.take()?),
        }
    }
}

/// Starts the runtime before there is anything for it to do: it needs as long for that as for the rest. Should this
/// process be killed meanwhile, the runtime still holds the container, so that nobody takes away what it is about to
/// need.
fn begin<'run>(
    monitor: &Monitor,
    runtime: &'run Runtime,
    run: &'run Path,
) -> Result<(Begun<'run>, Ends), ContainerError> {
    let Monitor { record, held, .. } = monitor;
    let _shared = held.share()?;
    let (ends, given) = if record.config.tty {
        (Ends::Terminal(Console::make(run)?), Given::Terminal)
    } else {
        let (ours, theirs) = Streams::pipes(run, record.config.open_stdin)?;
        (Ends::Pipes(ours), theirs)
    };
    Ok((runtime.begin(&record.id, run, given)?, ends))
}
