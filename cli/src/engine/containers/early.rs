//! The commands that are started so often that it counts how long their words take to be read: `clap` makes of
//! all commands of this program ten times what it makes of one.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Command};

use super::arguments::{ContainersCommand, EitherCommand};
use crate::engine::usage;

/// Runs the command, if it is one of those.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let name = arguments.next()?;
    let name = name.to_str()?;
    let either = ContainersCommand::Either;
    let read = match name {
        "run" => read(name, arguments)?.map(EitherCommand::Run).map(either),
        "create" => read(name, arguments)?.map(EitherCommand::Create).map(either),
        "exec" => read(name, arguments)?.map(EitherCommand::Exec).map(either),
        "start" => read(name, arguments)?.map(EitherCommand::Start).map(either),
        "stop" => read(name, arguments)?.map(EitherCommand::Stop).map(either),
        "kill" => read(name, arguments)?.map(EitherCommand::Kill).map(either),
        "logs" => read(name, arguments)?.map(EitherCommand::Logs).map(either),
        "rm" => read(name, arguments)?.map(ContainersCommand::Rm),
        "ps" => read(name, arguments)?.map(ContainersCommand::Ps),
        _ => return None,
    };
    Some(read.map_or_else(|code| code, super::run))
}

/// Reads the words of one command. What is wrong with them is told. Whoever asks for help gets it from the
/// tree of all commands, which has what is said of each.
fn read<T: Args>(
    name: &str,
    arguments: impl Iterator<Item = OsString>,
) -> Option<Result<T, ExitCode>> {
    let mut command = T::augment_args(Command::new("berth").bin_name(format!("berth {name}")));
    let words = std::iter::once(OsString::from("berth")).chain(arguments);
    let read =
        command.try_get_matches_from_mut(words).and_then(|matches| T::from_arg_matches(&matches));
    let error = match read {
        Ok(read) => return Some(Ok(read)),
        Err(error) if !error.use_stderr() => return None,
        Err(error) => error,
    };
    Some(Err(usage::tell(&error, &command)))
}
