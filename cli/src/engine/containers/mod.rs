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

use anyhow::{Error, Result, bail};
use berth_runner::Roots;
use berth_runner::containers::Engine;

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
            told(inspect::inspect_containers(arguments))
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
        EitherCommand::Exec(arguments) => exec::exec(arguments),
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

fn told(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| complain(&error, 1))
}

fn complain(error: &Error, code: u8) -> ExitCode {
    eprintln!("berth: {}", in_full(error));
    ExitCode::from(code)
}

/// An error with its causes; those that it names by itself stand there once.
fn in_full(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_that_an_error_names_by_itself_stands_there_once() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = Error::new(denied()).context("make /x: permission denied").context("run");
        assert_eq!(in_full(&error), "run: make /x: permission denied");
        let error: Result<()> = Err(denied()).context("make /x");
        assert_eq!(in_full(&error.unwrap_err()), "make /x: permission denied");
    }
}
