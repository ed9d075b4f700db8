//! Commands that change what containers are, and print their names.

use std::process::ExitCode;

use anyhow::Result;
use berth_runner::containers::ContainerError;

use super::arguments::{KillArguments, Names, RemoveArguments, RenameArguments, StopArguments};
use super::{each, engine, warn};

pub(super) fn stop(arguments: &StopArguments) -> Result<ExitCode> {
    let engine = engine()?;
    named(&arguments.containers, |name| {
        Ok(engine.stop(name, arguments.signal.as_deref(), arguments.time)?)
    })
}

pub(super) fn restart(arguments: &StopArguments) -> Result<ExitCode> {
    let engine = engine()?;
    named(&arguments.containers, |name| {
        warn(&engine.restart(name, arguments.signal.as_deref(), arguments.time)?);
        Ok(())
    })
}

pub(super) fn kill(arguments: &KillArguments) -> Result<ExitCode> {
    let engine = engine()?;
    let signal = Some(arguments.signal.as_str()).filter(|signal| !signal.is_empty());
    named(&arguments.containers, |name| Ok(engine.kill(name, signal.unwrap_or("KILL"))?))
}

pub(super) fn pause(names: &Names) -> Result<ExitCode> {
    let engine = engine()?;
    named(&names.containers, |name| Ok(engine.pause(name)?))
}

pub(super) fn unpause(names: &Names) -> Result<ExitCode> {
    let engine = engine()?;
    named(&names.containers, |name| Ok(engine.unpause(name)?))
}

pub(super) fn remove(arguments: &RemoveArguments) -> Result<ExitCode> {
    if arguments.link {
        anyhow::bail!("links are not there yet");
    }
    let engine = engine()?;
    Ok(each(&arguments.containers, |name| {
        match engine.remove(name, arguments.force, arguments.volumes) {
            // As docker: what is not there need not be removed.
            Err(error @ ContainerError::NotFound(_)) if arguments.force => {
                eprintln!("berth: {error}");
            }
            other => {
                other?;
                println!("{name}");
            }
        }
        Ok(())
    }))
}

pub(super) fn wait(names: &Names) -> Result<ExitCode> {
    let engine = engine()?;
    Ok(each(&names.containers, |name| {
        println!("{}", engine.wait(name)?);
        Ok(())
    }))
}

pub(super) fn rename(arguments: &RenameArguments) -> Result<ExitCode> {
    engine()?.rename(&arguments.container, &arguments.name)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the name of each that it worked with.
fn named(names: &[String], mut act: impl FnMut(&str) -> Result<()>) -> Result<ExitCode> {
    Ok(each(names, |name| {
        act(name)?;
        println!("{name}");
        Ok(())
    }))
}
