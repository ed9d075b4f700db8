//! `berth run`, `ps`, `logs` and the like, in docker's words.

mod arguments;
mod early;
mod exec;
mod inspect;
mod lifecycle;
mod list;
mod logs;
mod prune;
mod run;

use std::process::ExitCode;

use anyhow::{Error, Result};
use berth_runner::Roots;
use berth_runner::containers::Engine;

use arguments::Action;

pub(crate) use arguments::ContainersCommand;
pub(crate) use early::run as run_early;

/// Does what was asked for.
pub(crate) fn run(command: ContainersCommand) -> ExitCode {
    act(command.into())
}

fn act(action: Action) -> ExitCode {
    match action {
        Action::Run(options) => run::run(options),
        Action::Create(options) => run::create(options),
        Action::Start(arguments) => run::start(&arguments),
        Action::Attach(arguments) => run::attach(&arguments),
        Action::Exec(arguments) => exec::exec(arguments),
        Action::Stop(arguments) => told(lifecycle::stop(&arguments)),
        Action::Restart(arguments) => told(lifecycle::restart(&arguments)),
        Action::Kill(arguments) => told(lifecycle::kill(&arguments)),
        Action::Pause(names) => told(lifecycle::pause(&names)),
        Action::Unpause(names) => told(lifecycle::unpause(&names)),
        Action::Rm(arguments) => told(lifecycle::remove(&arguments)),
        Action::Wait(names) => told(lifecycle::wait(&names)),
        Action::Rename(arguments) => told(lifecycle::rename(&arguments)),
        Action::Ps(arguments) => told(list::list(&arguments)),
        Action::Top(arguments) => told(list::top(&arguments)),
        Action::Logs(arguments) => told(logs::logs(&arguments)),
        Action::Inspect(arguments) => told(inspect::inspect(&arguments)),
        Action::Port(arguments) => told(inspect::port(&arguments)),
        Action::Prune(arguments) => told(prune::prune(&arguments)),
    }
}

fn told(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| complain(&error, 1))
}

fn complain(error: &Error, code: u8) -> ExitCode {
    eprintln!("berth: {error:#}");
    ExitCode::from(code)
}

/// The engine of this machine. Its monitors give memory back when they have nothing to do.
pub(crate) fn engine() -> Result<Engine> {
    Ok(Engine::open(&Roots::from_environment(), crate::give_memory_back)?)
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
