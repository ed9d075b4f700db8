//! The cloned process, from its first moment to `execve`: one straight line. What goes wrong is told
//! to whoever waits for it.

mod files;
mod identity;
mod order;
mod paths;
mod program;
mod rootfs;
mod terminal;

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::exit;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, chroot, fchdir, set_dumpable_behavior, setsid, umask};
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags, move_into_link_name_space,
    move_into_thread_name_spaces,
};

use super::cgroups::Entrance;
use super::config::linux::NamespaceKind;
use super::container::{Record, Status};
use super::error::{Doing as _, Error};
use super::kernel::channel::{Channel, Message};
use super::kernel::procfs::Procfs;
use super::kernel::root::RootDirectory;
use super::kernel::{signals, task};
use super::launch::{self, Opened};
use super::plan::{Plan, ProcessPlan};
use super::{Result, hooks};

use rootfs::Change;

/// What a process joins.
#[derive(Debug)]
pub(super) struct Joining {
    /// A process of the container.
    pub(super) member: OwnedFd,
    /// Its pid namespace.
    pub(super) pid_namespace: OwnedFd,
    /// Its root, where that is not the root of its mount namespace.
    pub(super) root: Option<OwnedFd>,
    pub(super) namespaces: Vec<NamespaceKind>,
    pub(super) console: Option<OwnedFd>,
    pub(super) preserved: u32,
}

/// Becomes the first process of a container.
pub(super) fn container(
    plan: &Plan,
    opened: Opened,
    entrance: Entrance,
    command: Channel,
    record: &Record,
) -> ! {
    let mut caller = Caller::Command(command);
    let Err(error) = become_container(plan, opened, entrance, &mut caller, record);
    caller.tell(&error);
    exit(1)
}

/// Becomes another process of a container.
pub(super) fn joining(
    process: &ProcessPlan,
    joining: Joining,
    entrance: Entrance,
    command: Channel,
) -> ! {
    let mut caller = Caller::Command(command);
    let Err(error) = join_container(process, joining, entrance, &mut caller);
    caller.tell(&error);
    exit(1)
}

fn become_container(
    plan: &Plan,
    mut opened: Opened,
    entrance: Entrance,
    caller: &mut Caller,
    record: &Record,
) -> Result<Infallible> {
    begin()?;
    let is_new_user = plan.namespaces.is_new(NamespaceKind::User);
    join(&opened)?;
    if is_new_user {
        caller.wait_for(&Message::Namespaces)?;
    }
    if is_new_user || opened.namespaces.iter().any(|(kind, _)| *kind == NamespaceKind::User) {
        identity::become_root()?;
    }
    // Hooks look at the cgroup, and so does what mounts one of version 2. All else is not held up by the limits of the
    // container, and not counted as its own.
    let early = opened.around.host_hooks || plan.cgroup.is_unified();
    let late = if early {
        enter_cgroup(plan, entrance)?;
        None
    } else {
        Some(entrance)
    };
    let has_network = opened.namespaces.iter().any(|(kind, _)| *kind == NamespaceKind::Network);
    if plan.namespaces.is_new(NamespaceKind::Network) && !has_network {
        task::raise_loopback().doing(|| "raise the loopback interface")?;
    }
    name_the_host(plan)?;
    if opened.around.host_hooks {
        caller.say(&Message::Namespaces)?;
        caller.wait_for(&Message::Namespaces)?;
    }
    let process = &plan.process;
    if !is_new_user {
        launch::set_limits(None, process)?;
        if let Some(adjustment) = process.oom_score_adj {
            launch::set_oom_score(&opened.procfs, "self", adjustment)?;
        }
    }
    let root = rootfs::build(plan, &mut opened, is_new_user)?;
    for (file, value) in &plan.sysctls {
        let written = opened.procfs.write(&format!("sys/{file}"), value);
        written.doing(|| format!("set {file} to {value:?}"))?;
    }
    if process.terminal {
        terminal::open(&root, process, opened.around.console.take(), true)?;
    }
    paths::restrict(&root, plan)?;
    if let Some(entrance) = late {
        enter_cgroup(plan, entrance)?;
    }
    hooks::run(&opened.around.create_container, &record.state(Status::Creating))?;
    let change = match opened.around.pivot {
        _ if !plan.namespaces.is_new(NamespaceKind::Mount) => Change::Enter,
        true => Change::Pivot,
        false => Change::Move,
    };
    // Whoever has a container run at once wants that to be short, and looks at no list.
    let is_listed = change == Change::Pivot && opened.around.start.is_some();
    let root = if is_listed { order::renew(root, &plan.root)? } else { root };
    rootfs::change_to(&root, change, &plan.root)?;
    if opened.around.new_keyring {
        let name = format!("_ses.{}", record.id);
        task::new_session_keyring(&program::c_string(name)?).doing(|| "make a session keyring")?;
    }
    let program = program::prepare(process, &root, &opened.procfs)?;
    task::close_on_exec_from(3 + opened.around.preserved).doing(|| "mark what is to be closed")?;
    caller.say(&Message::Ready)?;
    caller.wait_for(&Message::Ready)?;
    if let Some(start) = opened.around.start.take() {
        caller.wait_for_start(start)?;
    }
    hooks::run(&opened.around.start_container, &record.state(Status::Created))?;
    program.execute(process)
}

fn join_container(
    process: &ProcessPlan,
    joining: Joining,
    entrance: Entrance,
    caller: &mut Caller,
) -> Result<Infallible> {
    begin()?;
    entrance.enter()?;
    let procfs = Procfs::open().doing(|| "open /proc")?;
    launch::set_limits(None, process)?;
    if let Some(adjustment) = process.oom_score_adj {
        launch::set_oom_score(&procfs, "self", adjustment)?;
    }
    let flags = joining
        .namespaces
        .iter()
        .fold(ThreadNameSpaceType::empty(), |flags, kind| flags | thread_flag(*kind));
    move_into_thread_name_spaces(joining.member.as_fd(), flags)
        .doing(|| "join the namespaces of the container")?;
    if joining.namespaces.contains(&NamespaceKind::User) {
        identity::become_root()?;
    }
    if let Some(root) = &joining.root {
        fchdir(root).and_then(|()| chroot(".")).doing(|| "enter the root of the container")?;
    }
    let root = rustix::fs::open(
        "/",
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        Mode::empty(),
    );
    let root = RootDirectory::new(root.doing(|| "open the root of the container")?);
    if process.terminal {
        terminal::open(&root, process, joining.console, false)?;
    }
    let program = program::prepare(process, &root, &procfs)?;
    task::close_on_exec_from(3 + joining.preserved).doing(|| "mark what is to be closed")?;
    caller.say(&Message::Ready)?;
    caller.wait_for(&Message::Ready)?;
    program.execute(process)
}

/// What comes before anything of the container's: nobody who is in one of its namespaces may look
/// into this process, or at its program file.
fn begin() -> Result<()> {
    signals::unblock().doing(|| "reset the signals")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .doing(|| "close this process to others")?;
    umask(Mode::empty());
    // Whoever is the leader already has a session of its own.
    let _ = setsid();
    Ok(())
}

/// Joins the namespaces of the plan that whoever cloned did not have to join before.
fn join(opened: &Opened) -> Result<()> {
    for (kind, namespace) in &opened.namespaces {
        let kind = match kind {
            NamespaceKind::User => LinkNameSpaceType::User,
            NamespaceKind::Network => LinkNameSpaceType::Network,
            NamespaceKind::Mount => LinkNameSpaceType::Mount,
            NamespaceKind::Ipc => LinkNameSpaceType::InterProcessCommunication,
            NamespaceKind::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
            NamespaceKind::Cgroup => LinkNameSpaceType::ControlGroup,
            NamespaceKind::Time => LinkNameSpaceType::Time,
            NamespaceKind::Pid => continue,
        };
        move_into_link_name_space(namespace.as_fd(), Some(kind))
            .doing(|| format!("join the {kind:?} namespace"))?;
    }
    Ok(())
}

fn thread_flag(kind: NamespaceKind) -> ThreadNameSpaceType {
    match kind {
        NamespaceKind::User => ThreadNameSpaceType::USER,
        NamespaceKind::Network => ThreadNameSpaceType::NETWORK,
        NamespaceKind::Mount => ThreadNameSpaceType::MOUNT,
        NamespaceKind::Ipc => ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION,
        NamespaceKind::Uts => ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME,
        NamespaceKind::Cgroup => ThreadNameSpaceType::CONTROL_GROUP,
        NamespaceKind::Time => ThreadNameSpaceType::TIME,
        // This process is in there since it was cloned.
        NamespaceKind::Pid => ThreadNameSpaceType::empty(),
    }
}

/// A namespace of cgroups has for its root the one that its maker is in, so that comes first.
fn enter_cgroup(plan: &Plan, entrance: Entrance) -> Result<()> {
    entrance.enter()?;
    if plan.namespaces.is_new(NamespaceKind::Cgroup) {
        task::unshare(UnshareFlags::NEWCGROUP).doing(|| "make a cgroup namespace")?;
    }
    Ok(())
}

fn name_the_host(plan: &Plan) -> Result<()> {
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes()).doing(|| "set the hostname")?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.as_bytes()).doing(|| "set the domainname")?;
    }
    Ok(())
}

/// Whoever waits for this process: the command that cloned it, and later the one that starts it.
enum Caller {
    Command(Channel),
    Start(UnixStream),
}

impl Caller {
    fn say(&self, message: &Message) -> Result<()> {
        match self {
            Self::Command(channel) => channel.send(message).doing(|| "talk to the command"),
            Self::Start(_) => Ok(()),
        }
    }

    /// A command that is gone wants nothing any more, so this process ends with it.
    fn wait_for(&self, message: &Message) -> Result<()> {
        let Self::Command(channel) = self else { return Ok(()) };
        match channel.receive().doing(|| "listen to the command")? {
            Some(said) if said == *message => Ok(()),
            _ => Err(Error::Init("the command that made this process is gone".to_owned())),
        }
    }

    /// Waits for `start`, who is the caller from then on.
    fn wait_for_start(&mut self, start: UnixListener) -> Result<()> {
        let (stream, _) = start.accept().doing(|| "wait for start")?;
        *self = Self::Start(stream);
        Ok(())
    }

    /// What cannot be told to anybody is lost; the process ends in any case.
    fn tell(&mut self, error: &Error) {
        match self {
            Self::Command(channel) => {
                let _ = channel.send(&Message::Failed(error.to_string()));
            }
            Self::Start(stream) => {
                let _ = stream.write_all(error.to_string().as_bytes());
            }
        }
    }
}

/// Has the process that waits behind the socket at `path` go on, and waits until it has executed its
/// program.
///
/// # Errors
///
/// Why it could not.
pub(super) fn start(path: &Path) -> Result<()> {
    let mut stream = UnixStream::connect(path).doing(|| "reach the container's process")?;
    let mut reason = String::new();
    match stream.read_to_string(&mut reason) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Error::Init(reason)),
        Err(source) => {
            Err(Error::System { doing: "listen to the container's process".to_owned(), source })
        }
    }
}
