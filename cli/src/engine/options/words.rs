//! Options as docker reads them, and what it says of those that it cannot read.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// Options in docker's manner: a switch may be given a value (`--rm=false`), of two values of one
/// option the last one counts, and only `--help` is help.
#[derive(Debug)]
pub(crate) struct AsDocker<T>(pub(crate) T);

impl<T: Args> Args for AsDocker<T> {
    fn augment_args(command: Command) -> Command {
        as_docker(T::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        as_docker(T::augment_args_for_update(command))
    }
}

impl<T: FromArgMatches> FromArgMatches for AsDocker<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

fn as_docker(command: Command) -> Command {
    let help = Arg::new("help").long("help").action(ArgAction::Help).help("Print usage");
    command
        .mut_args(|arg| match arg.get_action() {
            ArgAction::SetTrue => arg
                .action(ArgAction::Set)
                .value_parser(switch)
                .num_args(0..=1)
                .require_equals(true)
                .default_value("false")
                .default_missing_value("true")
                .hide_default_value(true)
                .hide_possible_values(true),
            ArgAction::Append if !arg.is_positional() => arg.num_args(1),
            _ => arg,
        })
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(help)
}

/// As Go reads it.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        text => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// What docker says where an option of `command` cannot be read; help and the like are none of that.
pub(crate) fn usage_error(error: &clap::Error, command: &Command) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let option = context(ContextKind::InvalidArg).unwrap_or_default();
    Some(match error.kind() {
        ErrorKind::UnknownArgument => match option.strip_prefix("--") {
            Some(_) => format!("unknown flag: {option}"),
            None => {
                let letter = option.trim_start_matches('-');
                format!("unknown shorthand flag: '{letter}' in {option}")
            }
        },
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::NoEquals => {
            let value = context(ContextKind::InvalidValue).unwrap_or_default();
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
        ErrorKind::MissingRequiredArgument => {
            let name = command.get_bin_name().unwrap_or(command.get_name());
            format!("'{name}' requires at least 1 argument")
        }
        _ => return None,
    })
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
