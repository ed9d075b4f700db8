//! From a plan to a process: what the host's side does.

mod executable;
mod host;
mod id_maps;
mod network;
mod open;
mod shared;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::process::{Pid, Signal, WaitOptions, getrlimit, pidfd_send_signal, prlimit, waitpid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::cgroups::Entrance;
use super::config::Hook;
use super::config::linux::NamespaceKind;
use super::container::{Folder, Identity, Record, Status};
use super::error::{Doing as _, Error};
use super::kernel::channel::{Channel, Message};
use super::kernel::clone::{Child, Cloned, clone};
use super::kernel::procfs::Procfs;
use super::kernel::task::unshare;
use super::plan::{IdMaps, Plan, ProcessPlan};
use super::{Result, hooks, init};

pub use executable::make_read_only_early;
pub(super) use executable::{make_read_only, read_only};
pub(super) use host::facts;
pub(super) use network::NewNetwork;
pub(super) use open::{Opened, Surroundings};
pub(super) use shared::{mount_at, unmount_shared};

/// A process that waits for a word before `execve`.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) child: Child,
    channel: Channel,
    /// Whether it has said that it is all that it should be but for that.
    is_ready: bool,
}

/// Hooks of the host's side, and what they are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostHooks<'record> {
    pub(super) prestart: &'record [Hook],
    pub(super) create_runtime: &'record [Hook],
}

/// Clones the first process of a container, and sees it through to where it waits.
///
/// # Errors
///
/// What the process says, or the kernel. Then there is no process; the cgroup is there still.
pub(super) fn container(
    plan: &Plan,
    opened: Opened,
    hooks: HostHooks<'_>,
    record: &mut Record,
) -> Result<Waiting> {
    let (ours, theirs) = Channel::pair().doing(|| "make a pair of sockets")?;
    enter_before_cloning(plan, &opened)?;
    let entrance = plan.cgroup.entrance()?;
    let made: Vec<_> = opened.namespaces.iter().map(|(kind, _)| *kind).collect();
    let cloned = clone_into(plan.namespaces.clone_flags(&made), &entrance)?;
    let Cloned::Parent(child) = cloned else {
        drop(ours);
        init::container(plan, opened, entrance, theirs, record);
    };
    drop((theirs, opened, entrance));
    let mut waiting = Waiting { child, channel: ours, is_ready: false };
    match waiting.see_through(plan, hooks, record) {
        Ok(()) => Ok(waiting),
        Err(error) => Err(waiting.give_up(error)),
    }
}

/// Clones a process that joins a container. It may not be ready yet.
///
/// # Errors
///
/// What the kernel says.
pub(super) fn joining(
    process: &ProcessPlan,
    joining: init::Joining,
    entrance: Entrance,
) -> Result<Waiting> {
    let (ours, theirs) = Channel::pair().doing(|| "make a pair of sockets")?;
    if joining.namespaces.contains(&NamespaceKind::Pid) {
        // Only what is cloned after it is in there.
        move_into_link_name_space(
            joining.pid_namespace.as_fd(),
            Some(LinkNameSpaceType::ProcessID),
        )
        .doing(|| "join the pid namespace of the container")?;
    }
    let cloned = clone_into(0, &entrance)?;
    let Cloned::Parent(child) = cloned else {
        drop(ours);
        init::joining(process, joining, entrance, theirs);
    };
    drop((theirs, joining, entrance));
    Ok(Waiting { child, channel: ours, is_ready: false })
}

fn clone_into(flags: u64, entrance: &Entrance) -> Result<Cloned> {
    let folder = match entrance {
        Entrance::Clone(folder) => Some(folder.as_fd()),
        Entrance::Write(_) => None,
    };
    clone(flags, folder).doing(|| "clone a process into new namespaces")
}

/// Those namespaces that a process is in only if whoever clones it says so before.
fn enter_before_cloning(plan: &Plan, opened: &Opened) -> Result<()> {
    for (kind, namespace) in &opened.namespaces {
        if *kind == NamespaceKind::Pid {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::ProcessID))
                .doing(|| "join the pid namespace")?;
        }
    }
    if plan.namespaces.is_new(NamespaceKind::Time) {
        unshare(UnshareFlags::NEWTIME).doing(|| "make a time namespace")?;
        let lines = plan.namespaces.time_offsets.concat();
        if !lines.is_empty() {
            let written = opened.procfs.write("self/timens_offsets", &lines);
            written.doing(|| "set the clocks of the time namespace")?;
        }
    }
    Ok(())
}

impl Waiting {
    fn see_through(
        &mut self,
        plan: &Plan,
        hooks: HostHooks<'_>,
        record: &mut Record,
    ) -> Result<()> {
        let pid = self.child.pid.as_raw_nonzero().get();
        record.identity = Some(Identity::of(pid)?);
        if plan.namespaces.is_new(NamespaceKind::User) {
            self.lend_rights(&plan.namespaces.ids, &plan.process)?;
            self.go_on(&Message::Namespaces)?;
        }
        loop {
            match self.channel.receive().doing(|| "listen to the container's process")? {
                Some(Message::Namespaces) => {
                    let state = record.state(Status::Creating);
                    hooks::run(hooks.prestart, &state)?;
                    hooks::run(hooks.create_runtime, &state)?;
                    self.go_on(&Message::Namespaces)?;
                }
                Some(Message::Ready) => {
                    self.is_ready = true;
                    return Ok(());
                }
                Some(Message::Failed(reason)) => return Err(Error::Init(reason)),
                None => return Err(ended()),
            }
        }
    }

    /// Waits until it is all that it should be but for `execve`.
    ///
    /// # Errors
    ///
    /// What the process says. Then there is none.
    pub(super) fn ready(mut self) -> Result<Self> {
        let error = match self.channel.receive().doing(|| "listen to the process") {
            Ok(Some(Message::Ready)) => {
                self.is_ready = true;
                return Ok(self);
            }
            Ok(Some(Message::Failed(reason))) => Error::Init(reason),
            Ok(Some(Message::Namespaces) | None) => ended(),
            Err(error) => error,
        };
        Err(self.give_up(error))
    }

    /// What a process in a new user namespace cannot do for itself.
    fn lend_rights(&self, ids: &IdMaps, process: &ProcessPlan) -> Result<()> {
        let pid = self.child.pid.as_raw_nonzero().get();
        let procfs = Procfs::open().doing(|| "open /proc")?;
        for (file, mappings) in [("uid_map", &ids.uids), ("gid_map", &ids.gids)] {
            let written = procfs.write(&format!("{pid}/{file}"), &IdMaps::lines(mappings));
            written.doing(|| format!("write the {file} of the user namespace"))?;
        }
        set_limits(Some(self.child.pid), process)?;
        if let Some(adjustment) = process.oom_score_adj {
            set_oom_score(&procfs, &pid.to_string(), adjustment)?;
        }
        Ok(())
    }

    fn go_on(&self, message: &Message) -> Result<()> {
        match self.channel.send(message) {
            // It has ended. Why, is what it has said before.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.doing(|| "talk to the container's process"),
        }
    }

    /// Has the process go on: to `execve`, or to wait for `start` where it has a socket for that.
    pub(super) fn release(self) -> Result<Child> {
        self.go_on(&Message::Ready)?;
        Ok(self.child)
    }

    /// The same, and waits until it has executed its program. One that is not ready yet finds the word when it is, and
    /// need not wait for it.
    pub(super) fn execute(mut self) -> Result<Child> {
        match self.see_executed() {
            Ok(()) => Ok(self.child),
            Err(error) => Err(self.give_up(error)),
        }
    }

    fn see_executed(&mut self) -> Result<()> {
        self.go_on(&Message::Ready)?;
        loop {
            match self.channel.receive().doing(|| "listen to the container's process")? {
                Some(Message::Failed(reason)) => return Err(Error::Init(reason)),
                Some(Message::Ready) => self.is_ready = true,
                Some(Message::Namespaces) => {}
                None if self.is_ready => return Ok(()),
                None => return Err(ended()),
            }
        }
    }

    /// Ends the process.
    pub(super) fn give_up(&self, error: Error) -> Error {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&self.child.pidfd, Signal::KILL);
        let _ = waitpid(Some(self.child.pid), WaitOptions::empty());
        error
    }
}

fn ended() -> Error {
    Error::Init("the container's process was killed before it could begin".to_owned())
}

/// Sets the limits of a process, this one or another.
pub(super) fn set_limits(pid: Option<Pid>, process: &ProcessPlan) -> Result<()> {
    for (resource, limit) in &process.rlimits {
        prlimit(pid, *resource, *limit).doing(|| {
            let host = getrlimit(*resource).maximum;
            let host = host.map_or("unlimited".to_owned(), |limit| limit.to_string());
            format!("set the limit {resource:?}, whose hard limit is {host} on this host")
        })?;
    }
    Ok(())
}

/// To make a process a lesser target than it is takes a right that not even every root has, so that
/// is only tried.
pub(super) fn set_oom_score(procfs: &Procfs, pid: &str, adjustment: i32) -> Result<()> {
    match procfs.write(&format!("{pid}/oom_score_adj"), &adjustment.to_string()) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other.doing(|| format!("set the oom score adjustment {adjustment}")),
    }
}

/// Undoes what was made of a container that did not come to be.
pub(super) fn undo(folder: Folder, record: &Record, error: Error) -> Error {
    // The reason is worth more than what goes wrong while tidying up.
    let _ = unmount_shared(record);
    let _ = record.cgroup.remove();
    let _ = folder.remove();
    error
}

/// Opens a socket for the terminal of a process.
pub(super) fn connect(path: &Path) -> Result<OwnedFd> {
    let socket = std::os::unix::net::UnixStream::connect(path);
    Ok(socket.doing(|| format!("connect to the console socket {}", path.display()))?.into())
}
