//! The words of the commands, which are docker's.

use clap::{Args, Subcommand};

use crate::engine::options::{AsDocker, CreateOptions, RunOptions, filter};

/// What can be done with containers.
#[derive(Debug, Subcommand)]
pub(crate) enum ContainersCommand {
    #[command(flatten)]
    Either(EitherCommand),
    /// List containers
    Ps(AsDocker<ListArguments>),
    /// Remove one or more containers
    Rm(AsDocker<RemoveArguments>),
    /// Return low-level information on containers and images
    Inspect(AsDocker<InspectArguments>),
    /// Manage containers
    Container {
        #[command(subcommand)]
        command: ContainerCommand,
    },
}

/// The words after `berth container`.
#[derive(Debug, Subcommand)]
pub(crate) enum ContainerCommand {
    #[command(flatten)]
    Either(EitherCommand),
    /// List containers
    #[command(visible_aliases = ["list", "ps"])]
    Ls(AsDocker<ListArguments>),
    /// Remove one or more containers
    #[command(visible_alias = "remove")]
    Rm(AsDocker<RemoveArguments>),
    /// Display detailed information on one or more containers
    Inspect(AsDocker<ContainerInspectArguments>),
    /// Remove all stopped containers
    Prune(AsDocker<PruneArguments>),
}

/// The words that are the same with and without `container` before them.
#[derive(Debug, Subcommand)]
pub(crate) enum EitherCommand {
    /// Create and run a new container from an image
    #[command(disable_help_flag = true)]
    Run(Box<AsDocker<RunOptions>>),
    /// Create a new container
    #[command(disable_help_flag = true)]
    Create(Box<AsDocker<CreateOptions>>),
    /// Start one or more stopped containers
    Start(AsDocker<StartArguments>),
    /// Stop one or more running containers
    Stop(AsDocker<StopArguments>),
    /// Restart one or more containers
    Restart(AsDocker<StopArguments>),
    /// Kill one or more running containers
    Kill(AsDocker<KillArguments>),
    /// Pause all processes within one or more containers
    Pause(AsDocker<Names>),
    /// Unpause all processes within one or more containers
    Unpause(AsDocker<Names>),
    /// Fetch the logs of a container
    Logs(AsDocker<LogsArguments>),
    /// Execute a command in a running container
    Exec(AsDocker<ExecArguments>),
    /// Attach local standard input, output, and error streams to a running container
    Attach(AsDocker<AttachArguments>),
    /// Block until one or more containers stop, then print their exit codes
    Wait(AsDocker<Names>),
    /// Display the running processes of a container
    Top(AsDocker<TopArguments>),
    /// List port mappings or a specific mapping for the container
    Port(AsDocker<PortArguments>),
    /// Rename a container
    Rename(AsDocker<RenameArguments>),
}

/// One container or more.
#[derive(Args, Debug)]
pub(crate) struct Names {
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct StartArguments {
    /// Attach STDOUT/STDERR and forward signals
    #[arg(long, short)]
    pub(crate) attach: bool,
    /// Attach container's STDIN
    #[arg(long, short)]
    pub(crate) interactive: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct StopArguments {
    /// Signal to send to the container
    #[arg(long, short)]
    pub(crate) signal: Option<String>,
    /// Seconds to wait before killing the container
    #[arg(
        long,
        short,
        visible_short_alias = 'T',
        visible_alias = "timeout",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub(crate) time: Option<i64>,
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct KillArguments {
    /// Signal to send to the container
    #[arg(long, short, default_value = "KILL", hide_default_value = true)]
    pub(crate) signal: String,
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(long, short)]
    pub(crate) force: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(long, short)]
    pub(crate) volumes: bool,
    /// Remove the specified link
    #[arg(long, short)]
    pub(crate) link: bool,
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Show all containers (default shows just running)
    #[arg(long, short)]
    pub(crate) all: bool,
    /// Filter output based on conditions provided
    #[arg(long, short, value_name = "FILTER", value_parser = filter)]
    pub(crate) filter: Vec<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// Show n last created containers (includes all states)
    #[arg(long, short = 'n', value_name = "N", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    pub(crate) last: i64,
    /// Show the latest created container (includes all states)
    #[arg(long, short)]
    pub(crate) latest: bool,
    /// Don't truncate output
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Only display container IDs
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Display total file sizes
    #[arg(long, short)]
    pub(crate) size: bool,
}

#[derive(Args, Debug)]
pub(crate) struct LogsArguments {
    /// Show extra details provided to logs
    #[arg(long)]
    pub(crate) details: bool,
    /// Follow log output
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Show logs before a timestamp or relative
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(
        long,
        short = 'n',
        value_name = "LINES",
        default_value = "all",
        allow_negative_numbers = true
    )]
    pub(crate) tail: String,
    /// Show timestamps
    #[arg(long, short)]
    pub(crate) timestamps: bool,
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

#[derive(Args, Debug)]
pub(crate) struct ExecArguments {
    /// Detached mode: run command in the background
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// Accepted; a program is let go of by ending this one
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    /// Set environment variables
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<String>,
    /// Keep STDIN open even if not attached
    #[arg(long, short)]
    pub(crate) interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    pub(crate) privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(long, short)]
    pub(crate) tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(long, short)]
    pub(crate) user: Option<String>,
    /// Working directory inside the container
    #[arg(long, short, value_name = "DIRECTORY")]
    pub(crate) workdir: Option<String>,
    /// The container, the program and its arguments
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, allow_hyphen_values = false, value_names = ["CONTAINER", "COMMAND"])]
    pub(crate) words: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct AttachArguments {
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    /// Do not attach STDIN
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// Proxy all received signals to the process
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) sig_proxy: bool,
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

#[derive(Args, Debug)]
pub(crate) struct TopArguments {
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
    /// Options of ps
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PS OPTIONS")]
    pub(crate) options: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArguments {
    /// Format output using a custom template
    #[arg(long, short)]
    pub(crate) format: Option<String>,
    /// Display total file sizes
    #[arg(long, short)]
    pub(crate) size: bool,
    /// Only inspect objects of the given type: container, image or volume
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    #[arg(required = true, value_name = "NAME|ID")]
    pub(crate) names: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ContainerInspectArguments {
    /// Format output using a custom template
    #[arg(long, short)]
    pub(crate) format: Option<String>,
    /// Display total file sizes
    #[arg(long, short)]
    pub(crate) size: bool,
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) names: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct PortArguments {
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
    #[arg(value_name = "PRIVATE_PORT[/PROTO]")]
    pub(crate) port: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RenameArguments {
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
    #[arg(value_name = "NEW_NAME")]
    pub(crate) name: String,
}

#[derive(Args, Debug)]
pub(crate) struct PruneArguments {
    /// Do not prompt for confirmation
    #[arg(long, short)]
    pub(crate) force: bool,
    /// Provide filter values (e.g. "until=24h")
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub(crate) filter: Vec<String>,
}
