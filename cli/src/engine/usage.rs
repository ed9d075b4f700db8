//! What docker says, and exits with, where the words of a command cannot be read.

use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::elsewhere::COMMANDS;

/// An option that cannot be read.
const OPTION: u8 = 125;
/// Arguments that are too few or too many, or no command.
const ARGUMENTS: u8 = 1;

/// Says what is wrong with the words of a command of the engine. `None` where they are another's, or ask for help.
pub(crate) fn refuse(error: &clap::Error, all: Command, words: &[OsString]) -> Option<ExitCode> {
    let first = words.first()?.to_str()?;
    if !COMMANDS.contains(&first) || !error.use_stderr() {
        return None;
    }
    let command = named(all, words);
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Docker's commands that have others below them answer so to being alone.
        eprint!("{}", error.render());
        return Some(ExitCode::SUCCESS);
    }
    Some(tell(error, &command))
}

/// Says what is wrong with the words of this command.
pub(crate) fn tell(error: &clap::Error, command: &Command) -> ExitCode {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    match usage_error(error, command) {
        Some(message) => eprintln!("berth: {message}\n\nRun '{name} --help' for more information"),
        None => eprint!("{}", error.render()),
    }
    ExitCode::from(code(error))
}

/// The command below `all` that the words begin with.
fn named(mut all: Command, words: &[OsString]) -> Command {
    all.build();
    let mut command = &all;
    for word in words {
        match word.to_str().and_then(|word| command.find_subcommand(word)) {
            Some(below) => command = below,
            None => break,
        }
    }
    command.clone()
}

fn code(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::TooManyValues
            if context(error, ContextKind::InvalidArg).starts_with('-') =>
        {
            OPTION
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::NoEquals => OPTION,
        _ => ARGUMENTS,
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> &str {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text,
        _ => "",
    }
}

/// What docker says where the words of `command` cannot be read; help and the like are none of that.
pub(crate) fn usage_error(error: &clap::Error, command: &Command) -> Option<String> {
    let option = context(error, ContextKind::InvalidArg);
    let name = command.get_bin_name().unwrap_or(command.get_name());
    Some(match error.kind() {
        ErrorKind::UnknownArgument => match option.strip_prefix('-') {
            Some(rest) if rest.starts_with('-') => format!("unknown flag: {option}"),
            Some(letter) => format!("unknown shorthand flag: '{letter}' in {option}"),
            None => format!("'{name}' {}", wants(command)),
        },
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::NoEquals => {
            let value = context(error, ContextKind::InvalidValue);
            let name = option.split(['[', ' ', '=']).next().unwrap_or_default();
            match error.source() {
                Some(reason) => {
                    format!(
                        "invalid argument {value:?} for {:?} flag: {reason}",
                        flag(name, command)
                    )
                }
                None if value.is_empty() => format!("flag needs an argument: {name}"),
                None => format!("invalid argument {value:?} for {:?} flag", flag(name, command)),
            }
        }
        // A value of an option, which the parser tells of itself.
        ErrorKind::TooManyValues if option.starts_with('-') => return None,
        ErrorKind::MissingRequiredArgument
        | ErrorKind::TooFewValues
        | ErrorKind::TooManyValues
        | ErrorKind::WrongNumberOfValues => format!("'{name}' {}", wants(command)),
        ErrorKind::ArgumentConflict => {
            let name =
                |kind| context(error, kind).split(['[', ' ', '=']).next().unwrap_or_default();
            match (name(ContextKind::InvalidArg), name(ContextKind::PriorArg)) {
                (one, other) if one == other => return None,
                (one, other) => {
                    format!("conflicting options: cannot specify both {one} and {other}")
                }
            }
        }
        ErrorKind::InvalidSubcommand => {
            let word = context(error, ContextKind::InvalidSubcommand);
            format!("unknown command: {name} {word}")
        }
        _ => return None,
    })
}

/// How many arguments a command takes.
fn wants(command: &Command) -> String {
    let count = |number: usize| match number {
        1 => "1 argument".to_owned(),
        number => format!("{number} arguments"),
    };
    let (mut fewest, mut most) = (0, Some(0));
    for arg in command.get_positionals() {
        let values = arg.get_num_args().unwrap_or_else(|| 1.into());
        if arg.is_required_set() {
            fewest += values.min_values();
        }
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        most = most.filter(|_| !is_list).map(|most| most + values.max_values());
    }
    match (fewest, most) {
        (_, Some(0)) => "accepts no arguments".to_owned(),
        (fewest, None) => format!("requires at least {}", count(fewest)),
        (fewest, Some(most)) if fewest == most => format!("requires {}", count(most)),
        (0, Some(most)) => format!("requires at most {}", count(most)),
        (fewest, Some(most)) => format!("requires at least {fewest} and at most {}", count(most)),
    }
}

/// Its short and its long form.
fn flag(long: &str, command: &Command) -> String {
    let name = long.trim_start_matches('-');
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name));
    match arg.and_then(Arg::get_short) {
        Some(short) => format!("-{short}, {long}"),
        None => long.to_owned(),
    }
}
