//! A file for each command.

mod create;
mod delete;
mod events;
mod exec;
mod features;
mod foreground;
mod kill;
mod list;
mod pause;
mod ps;
mod spec;
mod start;
mod state;
mod update;

use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use super::arguments::{Arguments, Command, Exec, Global};
use super::error::{Doing as _, Error};
use super::log::Log;
use super::{Result, launch};

/// What every command needs.
struct Context<'run> {
    root: &'run Path,
    log: &'run Log,
}

/// Runs one.
pub(super) fn run(arguments: Arguments, log: &Log) -> Result<ExitCode> {
    let Arguments { global, command } = arguments;
    refuse_unknown(&global)?;
    let context = Context { root: &global.root, log };
    let done = match command {
        Command::Create(create) => {
            launch::make_read_only()?;
            create::create(&context, &create.bundle)
        }
        Command::Run(run) => {
            launch::make_read_only()?;
            return create::run(&context, &run).map(ExitCode::from);
        }
        Command::Exec(exec) => {
            launch::make_read_only()?;
            return exec::exec(&context, &exec).map(ExitCode::from);
        }
        Command::Start { id } => start::start(&context, &id.parse()?),
        Command::State { id } => state::state(&context, &id.parse()?),
        Command::Kill { all, id, signal } => kill::kill(&context, &id.parse()?, &signal, all),
        Command::Delete { force, id } => delete::delete(&context, &id.parse()?, force),
        Command::List { format, quiet } => list::list(&context, format, quiet),
        Command::Ps { format, id, options } => ps::ps(&context, &id.parse()?, format, &options),
        Command::Events { interval, stats, id } => {
            events::events(&context, &id.parse()?, &interval, stats)
        }
        Command::Pause { id } => pause::pause(&context, &id.parse()?),
        Command::Resume { id } => pause::resume(&context, &id.parse()?),
        Command::Update(update) => update::update(&context, &update),
        Command::Features => features::features(),
        Command::Spec { bundle } => spec::spec(bundle.as_deref()),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// `delete --force` for whoever is in this process already.
pub(super) fn remove(root: &Path, id: &str) -> Result<()> {
    let log = Log::silent();
    delete::delete(&Context { root, log: &log }, &id.parse()?, true)
}

/// `exec` of a process that is said whole, for whoever is in this process already.
pub(super) fn execute(root: &Path, id: &str, process: Value, log: &Log) -> Result<u8> {
    launch::make_read_only()?;
    let process = serde_json::from_value(process);
    let process = process.map_err(|error| Error::invalid(error.to_string()))?;
    exec::execute(
        &Context { root, log },
        &Exec { id: id.to_owned(), ..Exec::default() },
        Some(process),
    )
}

fn refuse_unknown(global: &Global) -> Result<()> {
    if global.systemd_cgroup {
        return Err(Error::unsupported(
            "--systemd-cgroup is not supported: have the engine use its cgroupfs driver",
        ));
    }
    match global.rootless.as_deref() {
        None | Some("false" | "auto") if rustix::process::geteuid().is_root() => Ok(()),
        _ => Err(Error::unsupported(
            "this runtime needs root: containers of other users are not supported",
        )),
    }
}

/// Writes to the standard output; nobody who reads there is no error.
fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.doing(|| "write to the standard output"),
    }
}

/// A pid file, whole from the moment it is there.
fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let mut scratch = path.as_os_str().to_owned();
    scratch.push(".new");
    std::fs::write(&scratch, pid.to_string())
        .and_then(|()| std::fs::rename(&scratch, path))
        .doing(|| format!("write the pid file {}", path.display()))
}
