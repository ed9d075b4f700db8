//! `berth run`, `ps`, `logs` and the like, in docker's words.

mod arguments;
mod early;
mod exec;
mod inspect;
mod lifecycle;
mod list;
mod logs;
mod ports;
mod prune;
mod run;

use std::process::ExitCode;

use anyhow::{Result, bail};
use berth_runner::Roots;
use berth_runner::containers::Engine;

use super::failure::{complain, told};
use arguments::{ContainerCommand, EitherCommand};

pub(crate) use arguments::ContainersCommand;
pub(crate) use early::run as run_early;

/// Does what was asked for.
pub(crate) fn run(command: ContainersCommand) -> ExitCode {
    use {ContainerCommand as Nested, ContainersCommand as Command};
    match command {
        Command::Either(command) | Command::Container { command: Nested::Either(command) } => {
            either(command)
        }
        Command::Ps(arguments) | Command::Container { command: Nested::Ls(arguments) } => {
            told(list::list(&arguments))
        }
        Command::Rm(arguments) | Command::Container { command: Nested::Rm(arguments) } => {
            told(lifecycle::remove(&arguments))
        }
        Command::Inspect(arguments) => told(inspect::inspect(&arguments)),
        Command::Container { command: Nested::Inspect(arguments) } => {
            told(inspect::inspect_containers(arguments.0))
        }
        Command::Container { command: Nested::Prune(arguments) } => told(prune::prune(&arguments)),
    }
}

fn either(command: EitherCommand) -> ExitCode {
    match command {
        EitherCommand::Run(options) => run::run(options.0),
        EitherCommand::Create(options) => run::create(options.0),
        EitherCommand::Start(arguments) => run::start(&arguments),
        EitherCommand::Attach(arguments) => run::attach(&arguments),
        EitherCommand::Exec(arguments) => exec::exec(arguments.0),
        EitherCommand::Stop(arguments) => told(lifecycle::stop(&arguments)),
        EitherCommand::Restart(arguments) => told(lifecycle::restart(&arguments)),
        EitherCommand::Kill(arguments) => told(lifecycle::kill(&arguments)),
        EitherCommand::Pause(names) => told(lifecycle::pause(&names)),
        EitherCommand::Unpause(names) => told(lifecycle::unpause(&names)),
        EitherCommand::Wait(names) => told(lifecycle::wait(&names)),
        EitherCommand::Rename(arguments) => told(lifecycle::rename(&arguments)),
        EitherCommand::Top(arguments) => told(list::top(&arguments)),
        EitherCommand::Logs(arguments) => told(logs::logs(&arguments)),
        EitherCommand::Port(arguments) => told(inspect::port(&arguments)),
    }
}

/// Says what people should know although it works.
fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| eprintln!("WARNING: {warning}"));
}

/// The engine of this machine. Its monitors give memory back when they have nothing to do.
pub(crate) fn engine() -> Result<Engine> {
    if !rustix::process::geteuid().is_root() {
        bail!("containers take root: use sudo (those of other users are not there yet)");
    }
    // Folders of volumes are for whoever runs in a container, not for the caller alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    Ok(Engine::open(&Roots::from_environment(), crate::memory::give_back)?)
}

/// Does something with each container, and says what went wrong with which.
fn each<T>(names: &[T], mut act: impl FnMut(&T) -> Result<()>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for name in names {
        if let Err(error) = act(name) {
            code = complain(&error, 1);
        }
    }
    code
}
