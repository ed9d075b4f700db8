//! Options as docker reads them.

use std::ops::Deref;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// Options in docker's manner: a switch may be given a value (`--rm=false`), of two values of one
/// option the last one counts, and what comes after an option is its value.
#[derive(Debug)]
pub(crate) struct AsDocker<T>(pub(crate) T);

impl<T> Deref for AsDocker<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

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
    // Unless it has another meaning.
    let help = match command.get_arguments().any(|arg| arg.get_short() == Some('h')) {
        true => help,
        false => help.short('h'),
    };
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
            ArgAction::Append if !arg.is_positional() => arg.num_args(1).allow_hyphen_values(true),
            // What comes after an option is its value, whatever it looks like.
            ArgAction::Set if takes_next(&arg) => arg.allow_hyphen_values(true),
            _ => arg,
        })
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(help)
}

/// Whether the value of an option is the next word.
fn takes_next(arg: &Arg) -> bool {
    !arg.is_positional() && !arg.is_require_equals_set()
}

/// A condition of a list; what it means is read later.
pub(crate) fn filter(text: &str) -> Result<String, &'static str> {
    match text.contains('=') {
        true => Ok(text.to_owned()),
        false => Err("bad format of filter (expected name=value)"),
    }
}

/// As Go reads it.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        text => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}
