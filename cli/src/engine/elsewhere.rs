//! What is said of the engine's commands where there is no engine.

/// Why there is none.
pub(crate) const WHY: &str =
    "containers run on Linux only; the registry's commands work here (berth --help)";

/// The words of the engine's commands.
pub(crate) const COMMANDS: [&str; 31] = [
    "attach",
    "container",
    "create",
    "exec",
    "history",
    "image",
    "images",
    "inspect",
    "kill",
    "load",
    "login",
    "logout",
    "logs",
    "pause",
    "port",
    "ps",
    "pull",
    "push",
    "rename",
    "restart",
    "rm",
    "rmi",
    "run",
    "save",
    "start",
    "stop",
    "tag",
    "top",
    "unpause",
    "volume",
    "wait",
];

/// Refuses such a command in one sentence.
#[cfg(not(target_os = "linux"))]
pub(crate) fn refuse() -> Option<std::process::ExitCode> {
    let command = std::env::args().nth(1)?;
    COMMANDS.contains(&command.as_str()).then(|| {
        eprintln!("berth: {command}: {WHY}");
        std::process::ExitCode::from(125)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use clap::Subcommand as _;

    use super::*;

    #[test]
    fn every_command_of_the_engine_is_known_elsewhere() {
        let all = clap::Command::new("berth");
        let all = crate::engine::containers::ContainersCommand::augment_subcommands(all);
        let all = crate::engine::images::ImagesCommand::augment_subcommands(all);
        let mut names: Vec<&str> = all.get_subcommands().map(clap::Command::get_name).collect();
        names.push("volume");
        names.sort_unstable();
        assert_eq!(names, COMMANDS);
    }
}
