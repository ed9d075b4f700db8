//! The `berth` binary: arguments, wiring, exit codes.

mod args;
mod commands;
mod engine;
mod limits;
mod logging;
mod memory;

use std::process::ExitCode;

use berth_registry::control::Ask;
#[cfg(target_os = "linux")]
use clap::CommandFactory as _;
use clap::Parser;

use commands::retention::RetentionOptions;

use args::{Args, Command, ConfigCommand, MetadataCommand, MirrorCommand};

fn main() -> ExitCode {
    // Before all else: engines start it for each container, and it may have one thread only.
    if let Some(code) = commands::oci::run() {
        return code;
    }
    #[cfg(target_os = "linux")]
    if let Some(code) = engine::containers::run_early() {
        return code;
    }
    #[cfg(not(target_os = "linux"))]
    if let Some(code) = engine::elsewhere::refuse() {
        return code;
    }
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let result = match arguments.command {
        Command::Serve { config } => commands::serve::run(config),
        Command::Copy { source, target, quiet } => commands::copy::run(&source, &target, quiet),
        Command::Mirror { command: MirrorCommand::Status { config } } => {
            commands::mirror::status(config.as_deref())
        }
        Command::GarbageCollect { dry_run, delete_untagged, quiet, config } => {
            let ask = Ask::Collect { dry_run, delete_untagged };
            commands::garbage_collect::run(ask, quiet, config.as_deref())
        }
        Command::Import(options) => commands::import::run(options),
        Command::Export(options) => commands::export::run(options),
        Command::Reindex { json, quiet, config } => {
            commands::reindex::run(json, quiet, config.as_deref())
        }
        Command::Scrub(options) => commands::scrub::run(&options),
        Command::Backup { command, config } => commands::backup::run(&command, config.as_deref()),
        Command::Delete { name, yes, config } => {
            commands::deletion::delete(name, yes, config.as_deref())
        }
        Command::Restore { name, list: true, config } => {
            commands::deletion::list(name, config.as_deref())
        }
        Command::Restore { name: Some(name), list: false, config } => {
            commands::deletion::restore(name, config.as_deref())
        }
        // The arguments say that one of them is there.
        Command::Restore { name: None, list: false, config } => {
            commands::deletion::list(None, config.as_deref())
        }
        Command::Retention { dry_run, repository, json, quiet, config } => {
            let options = RetentionOptions { dry_run, repository, json, quiet };
            commands::retention::run(options, config.as_deref())
        }
        Command::User { command, common } => commands::user::run(command, &common),
        Command::Organisation { command, common } => commands::organisation::run(command, &common),
        Command::Team { command, common } => commands::team::run(command, &common),
        Command::Robot { command, common } => commands::robot::run(command, &common),
        Command::Token { command, common } => commands::token::run(command, &common),
        Command::Grant { command, common } => commands::grant::run(command, &common),
        Command::Policy { command, common } => commands::policy::run(command, &common),
        Command::Audit { options, common } => commands::audit::run(options, &common),
        #[cfg(target_os = "linux")]
        Command::Containers(command) => return engine::containers::run(command),
        #[cfg(target_os = "linux")]
        Command::Images(command) => return engine::told(engine::images::run(command)),
        #[cfg(target_os = "linux")]
        Command::Volume { command } => return engine::told(engine::volumes::run(command)),
        Command::Oci { arguments } => commands::oci::refuse(&arguments),
        Command::Config { command } => match command {
            ConfigCommand::Check { config } => commands::config::check(config.as_deref()),
            ConfigCommand::Show { config } => commands::config::show(config.as_deref()),
            ConfigCommand::Schema => commands::config::schema(),
        },
        Command::Metadata { command } => match command {
            MetadataCommand::Migrate { to, online_only, config } => {
                commands::migrate::run(&to, online_only, config.as_deref())
            }
            MetadataCommand::Relocate { config } => commands::relocate::run(config.as_deref()),
        },
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("berth: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was asked for. Of the engine's commands it is said in docker's words what is wrong with it.
fn arguments() -> Result<Args, ExitCode> {
    Args::try_parse().map_err(|error| {
        #[cfg(target_os = "linux")]
        {
            let words: Vec<_> = std::env::args_os().skip(1).collect();
            if let Some(code) = engine::usage::refuse(&error, Args::command(), &words) {
                return code;
            }
        }
        error.exit()
    })
}
