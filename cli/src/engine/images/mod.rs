//! `berth pull`, `push`, `images` and the like, in docker's words.

mod archive;
mod arguments;
mod filter;
mod history;
mod inspect;
mod list;
mod login;
mod progress;
mod prune;
mod pull;
mod push;
mod remove;
pub(crate) mod units;

use std::process::ExitCode;

use anyhow::Result;
use berth_runner::Roots;
use berth_runner::images::ImageStore;
use berth_runner::layers::LayerStore;

pub(crate) use arguments::ImagesCommand;
use arguments::{EitherCommand, ImageCommand as Nested, ImagesCommand as Command};
pub(crate) use pull::pull_missing;

/// Does what was asked for.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Either(command) | Command::Image { command: Nested::Either(command) } => {
            either(command)
        }
        Command::Images(arguments) | Command::Image { command: Nested::Ls(arguments) } => {
            list::run(&arguments)
        }
        Command::Rmi(arguments) | Command::Image { command: Nested::Rm(arguments) } => {
            remove::run(&arguments)
        }
        Command::Login(arguments) => login::login(arguments.0),
        Command::Logout { server } => login::logout(server.as_deref()),
        Command::Image { command: Nested::Inspect(arguments) } => inspect::run(&arguments),
        Command::Image { command: Nested::Prune(arguments) } => prune::run(&arguments),
    }
}

fn either(command: EitherCommand) -> Result<ExitCode> {
    match command {
        EitherCommand::Pull(arguments) => pull::run(&arguments),
        EitherCommand::Push(arguments) => push::run(&arguments),
        EitherCommand::Tag { source, target } => tag(&source, &target),
        EitherCommand::Save(arguments) => archive::save(&arguments),
        EitherCommand::Load(arguments) => archive::load(&arguments),
        EitherCommand::History(arguments) => history::run(&arguments),
    }
}

/// The images of this machine, and their layers.
fn stores() -> Result<(ImageStore, LayerStore)> {
    let roots = Roots::from_environment();
    Ok((ImageStore::open(&roots)?, LayerStore::open(&roots)?))
}

fn tag(source: &str, target: &str) -> Result<ExitCode> {
    let (images, _) = stores()?;
    images.tag(source, &images.name(target)?)?;
    Ok(ExitCode::SUCCESS)
}
