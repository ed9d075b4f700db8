//! `create` and `run`.

use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use jiff::Timestamp;

use super::super::Result;
use super::super::arguments::{Bundle, Run};
use super::super::config::linux::NamespaceKind;
use super::super::config::{Config, Hooks};
use super::super::container::{ContainerId, Folder, Record, Status};
use super::super::error::{Doing as _, Error};
use super::super::kernel::clone::Child;
use super::super::kernel::pidfd;
use super::super::launch::{self, HostHooks, NewNetwork, Opened, Surroundings, Waiting};
use super::super::plan::Plan;
use super::super::{hooks, log::Log};
use super::foreground::Foreground;
use super::{Context, delete, write_pid_file};

/// A container that is there and whose process waits.
struct Created {
    folder: Folder,
    record: Record,
    waiting: Waiting,
}

pub(super) fn create(context: &Context<'_>, bundle: &Bundle) -> Result<()> {
    let created = make(context, bundle, console(bundle)?, true)?;
    let Created { folder, record, waiting } = created;
    match waiting.release() {
        Ok(_) => Ok(()),
        Err(error) => Err(launch::undo(folder, &record, error)),
    }
}

/// Its exit code.
pub(super) fn run(context: &Context<'_>, run: &Run) -> Result<u8> {
    let bundle = &run.bundle;
    let id: ContainerId = bundle.id.parse()?;
    let foreground = Foreground::prepare(run.detach, bundle.process.console_socket.is_some())?;
    let console = match foreground.console()? {
        Some(console) => Some(console),
        None => console(bundle)?,
    };
    let created = make(context, bundle, console, false)?;
    let child = begin(created, context.log)?;
    if run.detach {
        return Ok(0);
    }
    let code = foreground.wait(&child);
    if !run.keep {
        delete::delete(context, &id, true)?;
    }
    code
}

/// Has the process of a container that was made just now execute its program.
fn begin(created: Created, log: &Log) -> Result<Child> {
    let Created { folder, record, waiting } = created;
    let child = match waiting.execute() {
        Ok(child) => child,
        Err(error) => return Err(launch::undo(folder, &record, error)),
    };
    hooks::run_and_warn(&record.hooks.poststart, &record.state(Status::Running), log);
    Ok(child)
}

fn console(bundle: &Bundle) -> Result<Option<OwnedFd>> {
    bundle.process.console_socket.as_deref().map(launch::connect).transpose()
}

/// Makes a container, up to its process that waits. What fails leaves nothing.
fn make(
    context: &Context<'_>,
    bundle: &Bundle,
    console: Option<OwnedFd>,
    wait_for_start: bool,
) -> Result<Created> {
    let id: ContainerId = bundle.id.parse()?;
    let path = fs::canonicalize(&bundle.bundle)
        .doing(|| format!("open the bundle {}", bundle.bundle.display()))?;
    // Before the configuration: whoever gives it may still be about to make it.
    let facts = launch::facts()?;
    let text = bundle.config.clone().unwrap_or_else(|| path.join("config.json"));
    let text = fs::read(&text).doing(|| format!("read {}", text.display()))?;
    let config = Config::parse(&text)?;
    let mut plan = Plan::new(&config, &path, &id, &facts)?;
    let network = NewNetwork::begin(&plan);
    plan.warnings.iter().for_each(|warning| context.log.warning(warning));
    plan.root.path = fs::canonicalize(&plan.root.path)
        .doing(|| format!("open the root {}", plan.root.path.display()))?;
    if bundle.process.console_socket.is_some() && !plan.process.terminal {
        return Err(Error::invalid("--console-socket is given, and process.terminal is false"));
    }
    let folder = Folder::create(context.root, &id)?;
    if let Err(error) = plan.cgroup.refuse_others() {
        // There is nothing yet but this, and what is in the cgroup is not ours to remove.
        let _ = folder.remove();
        return Err(error);
    }
    let mut record = record(id, &path, &config, &plan)?;
    let made = Surroundings {
        network,
        start: None,
        console: console.filter(|_| plan.process.terminal),
        preserved: bundle.process.preserve_fds + listening_descriptors(),
        pivot: !bundle.no_pivot,
        new_keyring: !bundle.no_new_keyring,
        host_hooks: !config.hooks.prestart.is_empty() || !config.hooks.create_runtime.is_empty(),
        create_container: config.hooks.create_container.clone(),
        start_container: config.hooks.start_container.clone(),
    };
    let made = make_in(&folder, &text, &plan, made, wait_for_start, &config.hooks, &mut record);
    let waiting = match made {
        Ok(waiting) => waiting,
        Err(error) => return Err(launch::undo(folder, &record, error)),
    };
    match write_process(&folder, &record, &waiting.child, bundle) {
        Ok(()) => Ok(Created { folder, record, waiting }),
        Err(error) => Err(launch::undo(folder, &record, waiting.give_up(error))),
    }
}

/// Tells later commands, and whoever asked for a file of it, which process it is.
fn write_process(folder: &Folder, record: &Record, child: &Child, bundle: &Bundle) -> Result<()> {
    if let Some(path) = &bundle.pin_file {
        // An older kernel cannot, and nothing depends on it but how much is known of the end.
        let _ = pidfd::pin(child.pidfd.as_fd(), path);
    }
    if let Some(identity) = &record.identity {
        folder.write_process(identity)?;
    }
    match &bundle.process.pid_file {
        Some(path) => write_pid_file(path, child.pid.as_raw_nonzero().get()),
        None => Ok(()),
    }
}

fn make_in(
    folder: &Folder,
    config: &[u8],
    plan: &Plan,
    mut around: Surroundings,
    wait_for_start: bool,
    hooks: &Hooks,
    record: &mut Record,
) -> Result<Waiting> {
    folder.write_config(config)?;
    // Recorded before there is anything of it, so that a later command finds what to remove.
    folder.write_record(record)?;
    plan.cgroup.create(&plan.resources)?;
    if wait_for_start {
        let socket = UnixListener::bind(folder.start_socket());
        around.start = Some(socket.doing(|| "make the start socket")?);
    }
    let opened = Opened::new(plan, around)?;
    let hooks = HostHooks { prestart: &hooks.prestart, create_runtime: &hooks.create_runtime };
    launch::container(plan, opened, hooks, record)
}

fn record(id: ContainerId, bundle: &Path, config: &Config, plan: &Plan) -> Result<Record> {
    let shares_mounts = !plan.namespaces.is_new(NamespaceKind::Mount);
    Ok(Record {
        id,
        identity: None,
        bundle: bundle.to_owned(),
        rootfs: plan.root.path.clone(),
        created: Timestamp::now().to_string(),
        annotations: config.annotations.clone(),
        cgroup: plan.cgroup.clone(),
        namespaces: plan.namespaces.kinds(),
        hooks: Hooks {
            poststart: config.hooks.poststart.clone(),
            poststop: config.hooks.poststop.clone(),
            ..Hooks::default()
        },
        shared_mounts: shares_mounts.then(|| launch::mount_at(&plan.root.path)).transpose()?,
    })
}

/// Sockets that a service manager has handed over are the container's.
pub(super) fn listening_descriptors() -> u32 {
    std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok()).unwrap_or(0)
}
