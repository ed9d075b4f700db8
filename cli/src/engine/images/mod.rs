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
use arguments::{ImageCommand, ImagesCommand as Command};
pub(crate) use pull::pull_missing;

/// Does what was asked for.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Pull(arguments) => pull::run(&arguments),
        Command::Push(arguments) => push::run(&arguments),
        Command::Images(arguments) => list::run(&arguments),
        Command::Rmi(arguments) => remove::run(&arguments),
        Command::Tag { source, target } => tag(&source, &target),
        Command::Save(arguments) => archive::save(&arguments),
        Command::Load(arguments) => archive::load(&arguments),
        Command::History(arguments) => history::run(&arguments),
        Command::Login(arguments) => login::login(arguments),
        Command::Logout { server } => login::logout(server.as_deref()),
        Command::Image { command } => match command {
            ImageCommand::Ls(arguments) => list::run(&arguments),
            ImageCommand::Pull(arguments) => pull::run(&arguments),
            ImageCommand::Push(arguments) => push::run(&arguments),
            ImageCommand::Rm(arguments) => remove::run(&arguments),
            ImageCommand::Tag { source, target } => tag(&source, &target),
            ImageCommand::Save(arguments) => archive::save(&arguments),
            ImageCommand::Load(arguments) => archive::load(&arguments),
            ImageCommand::History(arguments) => history::run(&arguments),
            ImageCommand::Inspect(arguments) => inspect::run(&arguments),
            ImageCommand::Prune(arguments) => prune::run(&arguments),
        },
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
